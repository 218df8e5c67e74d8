#include "publisher/cli/table.h"

#include <stdarg.h>
#include <string.h>

enum { GAP = 2 };

void table_init(struct table *table, const char *const *heads, size_t columns)
{
    *table = (struct table){.heads = heads, .columns = columns};
}

void table_fini(struct table *table)
{
    buf_fini(&table->cells);
}

void table_cell(struct table *table, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum err err = table->err ? table->err : buf_vprintf(&table->cells, format, args);
    va_end(args);
    table->err = err ? err : buf_append_char(&table->cells, '\0');
    table->count += !table->err;
}

/* Bytes that begin a character. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += (*text & 0xc0) != 0x80;
    }
    return width;
}

static const char *head_text(const char *head)
{
    return head + (*head == ' ');
}

static void measure(const struct table *table, size_t widths[TABLE_COLUMNS_MAX])
{
    const char *cell = table->cells.data;
    for (size_t i = 0; i < table->columns; i++) {
        widths[i] = width_of(head_text(table->heads[i]));
    }
    for (size_t i = 0; i < table->count; i++, cell += strlen(cell) + 1) {
        size_t *width = &widths[i % table->columns];
        *width = width_of(cell) > *width ? width_of(cell) : *width;
    }
}

static void print_cell(const struct table *table, size_t column, size_t width, const char *text,
                       FILE *out)
{
    bool last = column + 1 == table->columns;
    int padding = (int)(width - width_of(text));
    bool right = table->heads[column][0] == ' ';
    fprintf(out, "%*s%s", right ? padding : 0, "", text);
    fprintf(out, "%*s%s", right || last ? 0 : padding, "", "");
    fprintf(out, "%*s%s", last ? 0 : GAP, "", last ? "\n" : "");
}

enum err table_print(const struct table *table, FILE *out)
{
    size_t widths[TABLE_COLUMNS_MAX];
    const char *cell = table->cells.data;
    measure(table, widths);
    for (size_t i = 0; i < table->columns; i++) {
        print_cell(table, i, widths[i], head_text(table->heads[i]), out);
    }
    for (size_t i = 0; i < table->count; i++, cell += strlen(cell) + 1) {
        print_cell(table, i % table->columns, widths[i % table->columns], cell, out);
    }
    return table->err;
}

const char *table_span(uint64_t ms, char out[TABLE_SPAN_LEN])
{
    uint64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
    if (ms == UINT64_MAX) {
        snprintf(out, TABLE_SPAN_LEN, "-");
    } else if (d > 0) {
        snprintf(out, TABLE_SPAN_LEN, "%llud%lluh", (unsigned long long)d,
                 (unsigned long long)(h % 24));
    } else if (h > 0) {
        snprintf(out, TABLE_SPAN_LEN, "%lluh%llum", (unsigned long long)h,
                 (unsigned long long)(m % 60));
    } else if (m > 0) {
        snprintf(out, TABLE_SPAN_LEN, "%llum%llus", (unsigned long long)m,
                 (unsigned long long)(s % 60));
    } else if (s >= 10) {
        snprintf(out, TABLE_SPAN_LEN, "%llus", (unsigned long long)s);
    } else {
        snprintf(out, TABLE_SPAN_LEN, "%llu.%llus", (unsigned long long)s,
                 (unsigned long long)(ms % 1000 / 100));
    }
    return out;
}

const char *table_amount(uint64_t number, char out[TABLE_SPAN_LEN])
{
    static const char units[] = "kMGTPE";
    double value = (double)number;
    size_t unit = 0;
    if (number < 10000) {
        snprintf(out, TABLE_SPAN_LEN, "%llu", (unsigned long long)number);
        return out;
    }
    for (value /= 1000; value >= 1000; value /= 1000) {
        unit++;
    }
    snprintf(out, TABLE_SPAN_LEN, value < 100 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return out;
}

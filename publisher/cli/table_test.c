#include "publisher/cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "util/attr.h"

static const char *const heads[] = {"NAME", " COUNT", "STATE"};

static void lines_up_columns(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct table table;
    table_init(&table, heads, ARRAY_LEN(heads));
    table_cell(&table, "%s", "é");
    table_cell(&table, "%d", 7);
    table_cell(&table, "ready");
    table_cell(&table, "a long name");
    table_cell(&table, "1234567");
    table_cell(&table, "%s", "");
    assert_int_equal(table_print(&table, out), OK);
    fclose(out);
    assert_string_equal(text, "NAME           COUNT  STATE\n"
                              "é                  7  ready\n"
                              "a long name  1234567  \n");
    free(text);
    table_fini(&table);
}

static void shortens_spans_and_amounts(void **state)
{
    (void)state;
    char text[TABLE_SPAN_LEN];
    assert_string_equal(table_span(430, text), "0.4s");
    assert_string_equal(table_span(17999, text), "17s");
    assert_string_equal(table_span(125000, text), "2m5s");
    assert_string_equal(table_span(7380000, text), "2h3m");
    assert_string_equal(table_span(270000000, text), "3d3h");
    assert_string_equal(table_span(UINT64_MAX, text), "-");
    assert_string_equal(table_amount(9999, text), "9999");
    assert_string_equal(table_amount(10000, text), "10.0k");
    assert_string_equal(table_amount(123456, text), "123k");
    assert_string_equal(table_amount(4200000, text), "4.2M");
    assert_string_equal(table_amount(UINT64_MAX, text), "18.4E");
}

static void fill(void *context)
{
    FILE *out = context;
    struct table table;
    table_init(&table, heads, ARRAY_LEN(heads));
    for (int i = 0; i < 300; i++) {
        table_cell(&table, "cell %d", i);
    }
    enum err err = table_print(&table, out);
    assert_true(err == OK || err == ERR_NOMEM);
    table_fini(&table);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    FILE *out = fopen("/dev/null", "w");
    setvbuf(out, NULL, _IONBF, 0);
    failing_alloc_each(fill, out);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_up_columns),
        cmocka_unit_test(shortens_spans_and_amounts),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

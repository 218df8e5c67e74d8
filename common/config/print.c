#include "config/internal.h"

#include <string.h>

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

static void print_value(const struct config_option *option, const void *settings, FILE *out)
{
    struct buf text = {0};
    enum err err = config_write_value(option, settings, &text);
    fprintf(out, STR_FMT, STR_ARG(err ? str_from(err_name(err)) : buf_str(&text)));
    buf_fini(&text);
}

void config_print_values(struct config_table table, const void *settings, FILE *out)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        fprintf(out, "%s=", option->env);
        print_value(option, settings, out);
        fputc('\n', out);
    }
}

void config_print_reloadable(struct config_table table, FILE *out)
{
    size_t column = HELP_WIDTH;
    fputs("# SIGHUP reloads these:", out);
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        if (option->flags & CONFIG_RELOADABLE) {
            bool fits = column + 1 + strlen(option->env) <= HELP_WIDTH;
            column = (fits ? column : 1) + 1 + strlen(option->env);
            fprintf(out, "%s %s", fits ? "" : "\n#", option->env);
        }
    }
    fputc('\n', out);
}

/* How each kind of page shows where a group begins, and one row of it. */
struct page {
    void (*group)(const char *name, bool first, FILE *out);
    void (*row)(const struct config_option *row, FILE *out);
};

/* Every row as a user sees it: behind a secret comes the file that may hold it. */
static void print_page(struct config_table table, const struct page *page, FILE *out)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        if (i == 0 || strcmp(option->group, table.options[i - 1].group) != 0) {
            page->group(option->group, i == 0, out);
        }
        page->row(option, out);
        if (option->flags & CONFIG_SECRET) {
            struct config_file_row file;
            config_file_row(option, &file);
            page->row(&file.option, out);
        }
    }
}

static void print_choices(const struct config_option *option, const char *separator, FILE *out)
{
    for (unsigned i = 0; option->choices[i]; i++) {
        fprintf(out, "%s%s", i ? separator : "", option->choices[i]);
    }
}

/* What stands for the value: MS, N, N|auto, TEXT, or the choices; nothing for what is true by being
 * there. */
static void print_placeholder(const struct config_option *option, FILE *out)
{
    if (option->type == CONFIG_CHOICE) {
        print_choices(option, "|", out);
    } else if (option->unit) {
        for (const char *c = option->unit; *c; c++) {
            fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
        }
    } else if (option->type != CONFIG_BOOL) {
        fputs(option->type == CONFIG_NUMBER ? "N" : "TEXT", out);
    }
    if (option->type == CONFIG_NUMBER && option->choices) {
        fprintf(out, "|%s", option->choices[0]);
    }
}

/* "0 to 65535 ms", "1 to 128, or auto", "error, warn", "true or false", "text". */
static void print_values_allowed(const struct config_option *option, FILE *out)
{
    switch (option->type) {
    case CONFIG_NUMBER:
        fprintf(out, "%llu to %llu%s%s%s%s", (unsigned long long)option->min,
                (unsigned long long)option->max, option->unit ? " " : "",
                option->unit ? option->unit : "", option->choices ? ", or " : "",
                option->choices ? option->choices[0] : "");
        return;
    case CONFIG_CHOICE:
        print_choices(option, ", ", out);
        return;
    case CONFIG_BOOL:
        fputs("true or false", out);
        return;
    case CONFIG_STRING:
        fputs(option->unit ? option->unit : "text", out);
        return;
    }
}

static void start_help_group(const char *name, bool first, FILE *out)
{
    (void)first;
    fprintf(out, "\n%s:\n", name);
}

/* Words from a column on, each line as wide as it may be. */
static void print_words(struct str text, size_t *column, FILE *out)
{
    struct str word;
    while (str_split(&text, ' ', &word)) {
        bool starts = *column <= HELP_COLUMN;
        if (!starts && *column + 1 + word.len > HELP_WIDTH) {
            fputc('\n', out);
            *column = 0;
            starts = true;
        }
        fprintf(out, "%*s" STR_FMT, starts ? (int)(HELP_COLUMN - *column) : 1, "", STR_ARG(word));
        *column = (starts ? HELP_COLUMN : *column + 1) + word.len;
    }
}

static void print_help_row(const struct config_option *option, FILE *out)
{
    char flag[CONFIG_FLAG_MAX], head[256] = "", tail[256];
    config_flag_name(option->env, flag);
    FILE *to = fmemopen(head, sizeof head, "w");
    if (to) {
        fprintf(to, "  --%s%s", flag, option->type == CONFIG_BOOL ? "" : " ");
        print_placeholder(option, to);
        fclose(to);
    }
    fputs(head, out);
    size_t column = strlen(head);
    if (column + 2 > HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    print_words(str_from(option->help), &column, out);
    snprintf(tail, sizeof tail, "[%s%s%s%s]", option->env, option->fallback ? "=" : "",
             option->fallback ? option->fallback : "",
             option->flags & CONFIG_RELOADABLE ? "; reload" : "");
    print_words(str_from(tail), &column, out);
    fputc('\n', out);
}

void config_print_help(struct config_table table, FILE *out)
{
    static const struct page page = {start_help_group, print_help_row};
    print_page(table, &page, out);
}

static void start_markdown_group(const char *name, bool first, FILE *out)
{
    fprintf(out, "%s### %s\n\n| setting | flag | values | default | |\n|---|---|---|---|---|\n",
            first ? "" : "\n", name);
}

static void print_markdown_row(const struct config_option *option, FILE *out)
{
    char flag[CONFIG_FLAG_MAX];
    fprintf(out, "| `%s` | `--%s` | ", option->env, config_flag_name(option->env, flag).ptr);
    print_values_allowed(option, out);
    fprintf(out, " | %s%s%s | %s%s |\n", option->fallback ? "`" : "",
            option->fallback ? option->fallback : "", option->fallback ? "`" : "", option->help,
            option->flags & CONFIG_RELOADABLE ? " (reload)" : "");
}

void config_print_markdown(struct config_table table, FILE *out)
{
    static const struct page page = {start_markdown_group, print_markdown_row};
    print_page(table, &page, out);
}

/* A dash is a hyphen to troff unless it is told otherwise. */
static void print_roff(const char *text, FILE *out)
{
    for (; *text; text++) {
        fputs(*text == '-' || *text == '\\' ? "\\" : "", out);
        fputs(*text == '\\' ? "e" : (char[]){*text, '\0'}, out);
    }
}

static void start_man_group(const char *name, bool first, FILE *out)
{
    (void)first;
    fprintf(out, ".SS %s\n", name);
}

static void print_man_row(const struct config_option *option, FILE *out)
{
    char flag[CONFIG_FLAG_MAX];
    config_flag_name(option->env, flag);
    fputs(".TP\n.BI \\-\\-", out);
    print_roff(flag, out);
    fputs(" \"", out);
    fputs(option->type == CONFIG_BOOL ? "" : " ", out);
    print_placeholder(option, out);
    fputs("\"\n", out);
    print_roff(option->help, out);
    fprintf(out, ".\n.br\n.BR %s :\n", option->env);
    print_values_allowed(option, out);
    if (option->fallback) {
        fputs("; default ", out);
        print_roff(option->fallback, out);
    }
    fputs(option->flags & CONFIG_RELOADABLE ? "; reload.\n" : ".\n", out);
}

void config_print_man(struct config_table table, FILE *out)
{
    static const struct page page = {start_man_group, print_man_row};
    print_page(table, &page, out);
}

#include "config/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const levels[] = {"low", "high", NULL};

static const struct config_option options[] = {
    {.env = "T_PORT",
     .group = "Net",
     .type = CONFIG_NUMBER,
     .fallback = "3000",
     .min = 1,
     .max = 65535,
     .help = "Port"},
    {.env = "T_HOST",
     .group = "Net",
     .type = CONFIG_STRING,
     .help = "Host, whose sentence is long enough for a second line"},
    {.env = "T_SECRET",
     .group = "Keys",
     .type = CONFIG_STRING,
     .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
     .help = "Secret"},
    {.env = "T_TLS", .group = "Keys", .type = CONFIG_BOOL, .fallback = "false", .help = "TLS"},
    {.env = "T_LEVEL",
     .group = "Keys",
     .type = CONFIG_CHOICE,
     .fallback = "low",
     .choices = levels,
     .flags = CONFIG_RELOADABLE,
     .help = "Level"},
};
static const struct config_table table = {options, ARRAY_LEN(options)};

static char *printed(void (*print)(struct config_table table, FILE *out))
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    print(table, out);
    fclose(out);
    return text;
}

static void help_groups_and_aligns_the_options(void **state)
{
    (void)state;
    char *text = printed(config_print_help);
    assert_string_equal(
        text, "\nNet:\n"
              "  --t-port N                Port [T_PORT=3000]\n"
              "  --t-host TEXT             Host, whose sentence is long enough for a second\n"
              "                            line [T_HOST]\n"
              "\nKeys:\n"
              "  --t-secret TEXT           Secret [T_SECRET; reload]\n"
              "  --t-secret-file FILE      File whose first line is T_SECRET [T_SECRET_FILE;\n"
              "                            reload]\n"
              "  --t-tls                   TLS [T_TLS=false]\n"
              "  --t-level low|high        Level [T_LEVEL=low; reload]\n");
    free(text);
}

static void markdown_is_a_table_a_group(void **state)
{
    (void)state;
    char *text = printed(config_print_markdown);
    assert_non_null(strstr(text, "### Net\n\n| setting | flag | values | default | |\n"
                                 "|---|---|---|---|---|\n"
                                 "| `T_PORT` | `--t-port` | 1 to 65535 | `3000` | Port |\n"));
    assert_non_null(strstr(text, "|\n\n### Keys\n"));
    assert_non_null(strstr(text, "| `T_SECRET_FILE` | `--t-secret-file` | file |  | File whose "));
    assert_non_null(
        strstr(text, "| `T_LEVEL` | `--t-level` | low, high | `low` | Level (reload) |\n"));
    free(text);
}

static void a_man_page_escapes_its_dashes(void **state)
{
    (void)state;
    char *text = printed(config_print_man);
    assert_non_null(strstr(text, ".SS Net\n.TP\n.BI \\-\\-t\\-port \" N\"\nPort.\n.br\n"
                                 ".BR T_PORT :\n1 to 65535; default 3000.\n"));
    assert_non_null(strstr(text, ".BI \\-\\-t\\-tls \"\"\nTLS.\n.br\n.BR T_TLS :\n"
                                 "true or false; default false.\n"));
    assert_non_null(strstr(text, "low, high; default low; reload.\n"));
    free(text);
}

static void what_is_reloaded_is_listed_in_a_remark(void **state)
{
    (void)state;
    char *text = printed(config_print_reloadable);
    assert_string_equal(text, "# SIGHUP reloads these:\n# T_SECRET T_LEVEL\n");
    free(text);
}

static void a_number_tells_its_word(void **state)
{
    (void)state;
    static const char *const word[] = {"auto", NULL};
    static const struct config_option row = {.env = "T_N",
                                             .group = "Net",
                                             .type = CONFIG_NUMBER,
                                             .fallback = "1",
                                             .min = 1,
                                             .max = 8,
                                             .choices = word,
                                             .help = "Number"};
    static const struct config_table one = {&row, 1};
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_print_help(one, out);
    config_print_markdown(one, out);
    config_print_values(one, &(uint64_t){0}, out);
    config_print_values(one, &(uint64_t){2}, out);
    fclose(out);
    assert_non_null(strstr(text, "  --t-n N|auto              Number [T_N=1]\n"));
    assert_non_null(strstr(text, "| `T_N` | `--t-n` | 1 to 8, or auto | `1` | Number |\n"));
    assert_non_null(strstr(text, "T_N=auto\nT_N=2\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_groups_and_aligns_the_options),
        cmocka_unit_test(markdown_is_a_table_a_group),
        cmocka_unit_test(a_man_page_escapes_its_dashes),
        cmocka_unit_test(a_number_tells_its_word),
        cmocka_unit_test(what_is_reloaded_is_listed_in_a_remark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

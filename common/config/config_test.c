#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct settings {
    uint64_t port;
    const char *secret;
    const char *host;
    bool tls;
    unsigned level;
};

static const char *const levels[] = {"low", "high", NULL};

static const struct config_option options[] = {
    {"T_PORT", "Net", CONFIG_NUMBER, NULL, "3000", 1, 65535, NULL, 0,
     offsetof(struct settings, port), "Port"},
    {"T_HOST", "Net", CONFIG_STRING, NULL, NULL, 0, 0, NULL, 0, offsetof(struct settings, host),
     "Host"},
    {"T_SECRET", "Keys", CONFIG_STRING, NULL, NULL, 4, 64, NULL, CONFIG_SECRET,
     offsetof(struct settings, secret), "Secret"},
    {"T_TLS", "Keys", CONFIG_BOOL, NULL, "false", 0, 0, NULL, 0, offsetof(struct settings, tls),
     "TLS"},
    {"T_LEVEL", "Keys", CONFIG_CHOICE, NULL, "low", 0, 0, levels, 0,
     offsetof(struct settings, level), "Level"},
};
static const struct config_table table = {options, ARRAY_LEN(options)};

struct outcome {
    enum err err;
    struct settings settings;
    int rest;
    struct buf complaint;
};

static struct outcome load(const char **argv)
{
    struct outcome o = {.rest = -1};
    int argc = 0;
    while (argv[argc]) {
        argc++;
    }
    buf_init(&o.complaint, 0);
    o.err = config_load(table, argc, (char **)argv, &o.settings, &o.rest, &o.complaint);
    return o;
}

#define LOAD(...) load((const char *[]){"program", __VA_ARGS__ __VA_OPT__(, ) NULL})

static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < table.count; i++) {
        unsetenv(options[i].env);
    }
    return 0;
}

static void defaults_then_environment_then_flags(void **state)
{
    (void)state;
    struct outcome o = LOAD();
    assert_int_equal(o.err, OK);
    assert_int_equal(o.settings.port, 3000);
    assert_null(o.settings.host);
    setenv("T_PORT", "4000", 1);
    setenv("T_HOST", "", 1);
    o = LOAD();
    assert_int_equal(o.settings.port, 4000);
    assert_null(o.settings.host);
    o = LOAD("--t-port", "5000", "--t-host=h", "--t-tls", "--t-level=HIGH", "operand");
    assert_int_equal(o.err, OK);
    assert_int_equal(o.settings.port, 5000);
    assert_string_equal(o.settings.host, "h");
    assert_true(o.settings.tls);
    assert_int_equal(o.settings.level, 1);
    assert_int_equal(o.rest, 6);
}

static void assert_refused(struct outcome o, const char *complaint)
{
    assert_int_equal(o.err, ERR_INVALID);
    assert_string_equal(buf_cstr(&o.complaint), complaint);
    buf_fini(&o.complaint);
}

static void refusals_say_what_where_and_what_would_be_right(void **state)
{
    (void)state;
    assert_refused(LOAD("--t-port", "70000"),
                   "T_PORT (from the command line): \"70000\" is refused; "
                   "expected a number from 1 to 65535");
    assert_refused(LOAD("--t-prot", "1"), "unknown flag --t-prot; --help lists all flags");
    assert_refused(LOAD("--t-port"), "--t-port needs a value");
    assert_refused(LOAD("--t-tls=maybe"), "T_TLS (from the command line): \"maybe\" is refused; "
                                          "expected true or false");
    setenv("T_LEVEL", "mid", 1);
    assert_refused(LOAD(), "T_LEVEL (from the environment): \"mid\" is refused; "
                           "expected one of low, high");
}

static void secrets_are_never_shown(void **state)
{
    (void)state;
    setenv("T_SECRET", "abc", 1);
    assert_refused(LOAD(), "T_SECRET (from the environment): the value is refused; "
                           "expected 4 to 64 bytes, not 3");
    setenv("T_SECRET", "hushhush", 1);
    struct outcome o = LOAD();
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_print_values(table, &o.settings, out);
    fclose(out);
    assert_string_equal(text, "T_PORT=3000\nT_HOST=\nT_SECRET=***\nT_TLS=false\nT_LEVEL=low\n");
    free(text);
}

static void help_groups_the_options(void **state)
{
    (void)state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_print_help(table, out);
    fclose(out);
    assert_non_null(strstr(text, "\nNet:\n  --t-port  (T_PORT)\n      Port; default 3000\n"));
    assert_non_null(strstr(text, "Level: low, high; default low\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(defaults_then_environment_then_flags, clean),
        cmocka_unit_test_teardown(refusals_say_what_where_and_what_would_be_right, clean),
        cmocka_unit_test_teardown(secrets_are_never_shown, clean),
        cmocka_unit_test_teardown(help_groups_the_options, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/internal.h"
#include "failing_alloc.h"

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
    char *strings;
    struct buf complaint;
};

static struct outcome load(const char **argv)
{
    struct outcome o = {.rest = -1, .strings = NULL};
    int argc = 0;
    while (argv[argc]) {
        argc++;
    }
    buf_init(&o.complaint, 0);
    o.err = config_load(table, argc, (char **)argv, &o.settings, &o.rest, &o.strings, &o.complaint);
    return o;
}

#define LOAD(...) load((const char *[]){"program", __VA_ARGS__ __VA_OPT__(, ) NULL})

static void release(struct outcome *o)
{
    free(o->strings);
    buf_fini(&o->complaint);
}

static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < table.count; i++) {
        unsetenv(options[i].env);
    }
    unsetenv("T_SECRET_FILE");
    return 0;
}

static void defaults_then_environment_then_flags(void **state)
{
    (void)state;
    struct outcome o = LOAD();
    assert_int_equal(o.err, OK);
    assert_int_equal(o.settings.port, 3000);
    assert_null(o.settings.host);
    release(&o);
    setenv("T_PORT", "4000", 1);
    setenv("T_HOST", "", 1);
    o = LOAD();
    assert_int_equal(o.settings.port, 4000);
    assert_null(o.settings.host);
    release(&o);
    o = LOAD("--t-port", "5000", "--t-host=h", "--t-tls", "--t-level=HIGH", "operand");
    assert_int_equal(o.err, OK);
    assert_int_equal(o.settings.port, 5000);
    assert_string_equal(o.settings.host, "h");
    assert_true(o.settings.tls);
    assert_int_equal(o.settings.level, 1);
    assert_int_equal(o.rest, 6);
    release(&o);
}

static void assert_refused(struct outcome o, const char *complaint)
{
    assert_int_equal(o.err, ERR_INVALID);
    assert_string_equal(buf_cstr(&o.complaint), complaint);
    assert_null(o.strings);
    assert_null(o.settings.host);
    assert_null(o.settings.secret);
    release(&o);
}

static void refusals_say_what_where_and_what_would_be_right(void **state)
{
    (void)state;
    assert_refused(LOAD("--t-port", "70000"),
                   "T_PORT (from the command line): \"70000\" is refused; "
                   "expected a number from 1 to 65535");
    assert_refused(LOAD("--t-prot", "1"), "unknown flag --t-prot; did you mean --t-port?");
    assert_refused(LOAD("--colour=red"), "unknown flag --colour; --help lists all flags");
    assert_refused(LOAD("--t-port"), "--t-port needs a value");
    assert_refused(LOAD("--t-tls=maybe"), "T_TLS (from the command line): \"maybe\" is refused; "
                                          "expected true or false");
    setenv("T_LEVEL", "mid", 1);
    assert_refused(LOAD(), "T_LEVEL (from the environment): \"mid\" is refused; "
                           "expected one of low, high");
}

/* A number that has a word for 0. */
static void a_word_can_stand_for_zero(void **state)
{
    (void)state;
    static const char *const word[] = {"auto", NULL};
    const struct config_option row = {
        .env = "T_N", .type = CONFIG_NUMBER, .min = 1, .max = 8, .choices = word};
    uint64_t number = 7;
    struct buf complaint;
    buf_init(&complaint, 0);
    assert_int_equal(config_set_value(&row, "environment", "Auto", &number, &complaint), OK);
    assert_int_equal(number, 0);
    assert_int_equal(config_set_value(&row, "environment", "3", &number, &complaint), OK);
    assert_int_equal(number, 3);
    assert_int_equal(config_set_value(&row, "environment", "0", &number, &complaint), ERR_INVALID);
    assert_string_equal(buf_cstr(&complaint), "T_N (from the environment): \"0\" is refused; "
                                              "expected a number from 1 to 8, or auto");
    buf_fini(&complaint);
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
    release(&o);
}

static void strings_outlive_where_they_came_from(void **state)
{
    (void)state;
    char host[] = "--t-host=first";
    setenv("T_SECRET", "hushhush", 1);
    struct outcome o = LOAD(host);
    memset(host, 'x', sizeof host - 1);
    setenv("T_SECRET", "something longer than before", 1);
    assert_string_equal(o.settings.host, "first");
    assert_string_equal(o.settings.secret, "hushhush");
    release(&o);
}

/* A file with this content, whose path is in T_SECRET_FILE; to be unlinked. */
static const char *secret_file(const char *content, size_t len)
{
    static char path[64];
    strcpy(path, "/tmp/guesslyfe-secret-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), (ssize_t)len);
    close(fd);
    setenv("T_SECRET_FILE", path, 1);
    return path;
}

static void expect_secret(struct outcome o, const char *secret)
{
    assert_int_equal(o.err, OK);
    assert_string_equal(o.settings.secret, secret);
    release(&o);
}

static void a_secret_is_the_first_line_of_its_file(void **state)
{
    (void)state;
    static const char *const contents[] = {"from a file", "from a file\n", "from a file\r\nmore\n"};
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        const char *path = secret_file(contents[i], strlen(contents[i]));
        expect_secret(LOAD(), "from a file");
        expect_secret(LOAD("--t-secret=by flag"), "by flag");
        unsetenv("T_SECRET_FILE");
        expect_secret(LOAD("--t-secret-file", path), "from a file");
        expect_secret(LOAD("--t-secret=by flag", "--t-secret-file", path), "from a file");
        expect_secret(LOAD("--t-secret-file", path, "--t-secret=by flag"), "by flag");
        setenv("T_SECRET_FILE", path, 1);
        setenv("T_SECRET", "from the environment", 1);
        expect_secret(LOAD(), "from the environment");
        unsetenv("T_SECRET");
        unlink(path);
    }
}

static void only_secrets_may_be_in_files(void **state)
{
    (void)state;
    assert_refused(LOAD("--t-host-file=/dev/null"),
                   "unknown flag --t-host-file; --help lists all flags");
}

static void a_secret_file_must_hold_one(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        size_t len;
        const char *why;
    } files[] = {
        {"", 0, "it is empty"},
        {"\nsecond", 7, "its first line is empty"},
        {"with\0nul", 8, "its first line holds a NUL byte"},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const char *path = secret_file(files[i].content, files[i].len);
        char complaint[160];
        snprintf(complaint, sizeof complaint,
                 "T_SECRET_FILE (from the environment): cannot read \"%s\": %s", path,
                 files[i].why);
        assert_refused(LOAD(), complaint);
        unlink(path);
    }
    unsetenv("T_SECRET_FILE");
    assert_refused(LOAD("--t-secret-file=/nonexistent"),
                   "T_SECRET_FILE (from the command line): cannot read \"/nonexistent\": "
                   "No such file or directory");
    assert_refused(LOAD("--t-secret-file=/"), "T_SECRET_FILE (from the command line): cannot read "
                                              "\"/\": Is a directory");
    assert_refused(LOAD("--t-secret-file=/dev/zero"),
                   "T_SECRET_FILE (from the command line): cannot read \"/dev/zero\": "
                   "its first line is too long");
    const char *path = secret_file("abc\n", 4);
    assert_refused(LOAD(), "T_SECRET (from the file): the value is refused; "
                           "expected 4 to 64 bytes, not 3");
    unlink(path);
}

static void load_without_memory(void *context)
{
    (void)context;
    struct outcome o = LOAD("--t-host=h");
    if (o.err) {
        assert_int_equal(o.err, ERR_NOMEM);
        assert_null(o.settings.host);
        assert_null(o.settings.secret);
    } else {
        assert_string_equal(o.settings.secret, "hushhush");
    }
    release(&o);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    const char *path = secret_file("hushhush\n", 9);
    failing_alloc_each(load_without_memory, NULL);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(defaults_then_environment_then_flags, clean),
        cmocka_unit_test_teardown(refusals_say_what_where_and_what_would_be_right, clean),
        cmocka_unit_test_teardown(a_word_can_stand_for_zero, clean),
        cmocka_unit_test_teardown(secrets_are_never_shown, clean),
        cmocka_unit_test_teardown(strings_outlive_where_they_came_from, clean),
        cmocka_unit_test_teardown(a_secret_is_the_first_line_of_its_file, clean),
        cmocka_unit_test_teardown(only_secrets_may_be_in_files, clean),
        cmocka_unit_test_teardown(a_secret_file_must_hold_one, clean),
        cmocka_unit_test_teardown(survives_failing_allocations, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

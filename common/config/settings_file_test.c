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
    const char *file, *host, *secret;
    uint64_t port;
    bool tls;
};

static const struct config_option options[] = {
    {.env = "T_FILE",
     .group = "Files",
     .type = CONFIG_STRING,
     .flags = CONFIG_SETTINGS_FILE,
     .offset = offsetof(struct settings, file)},
    {.env = "T_HOST",
     .group = "Net",
     .type = CONFIG_STRING,
     .fallback = "by default",
     .flags = CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, host)},
    {.env = "T_PORT",
     .group = "Net",
     .type = CONFIG_NUMBER,
     .fallback = "3000",
     .max = 65535,
     .offset = offsetof(struct settings, port)},
    {.env = "T_SECRET",
     .group = "Keys",
     .type = CONFIG_STRING,
     .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, secret)},
    {.env = "T_TLS",
     .group = "Net",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .offset = offsetof(struct settings, tls)},
};
static const struct config_table table = {options, ARRAY_LEN(options)};

static char path[64], secret_path[64];

static void make_file(char *at, const char *content, size_t len)
{
    strcpy(at, "/tmp/guesslyfe-settings-XXXXXX");
    int fd = mkstemp(at);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), (ssize_t)len);
    close(fd);
}

static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {"T_FILE", "T_HOST", "T_PORT", "T_SECRET", "T_SECRET_FILE"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unsetenv(names[i]);
    }
    unlink(path);
    unlink(secret_path);
    path[0] = secret_path[0] = '\0';
    return 0;
}

struct outcome {
    enum err err;
    struct settings settings;
    char *strings;
    struct buf complaint;
};

static struct outcome load(const char **argv)
{
    struct outcome o = {0};
    int argc = 0, rest;
    while (argv[argc]) {
        argc++;
    }
    o.err = config_load(table, argc, (char **)argv, &o.settings, &rest, &o.strings, &o.complaint);
    return o;
}

#define LOAD(...) load((const char *[]){"program", __VA_ARGS__ __VA_OPT__(, ) NULL})

static void release(struct outcome *o)
{
    free(o->strings);
    buf_fini(&o->complaint);
}

/* Of a file with this content, that T_FILE names. */
static struct outcome load_file(const char *content, size_t len)
{
    unlink(path);
    make_file(path, content, len);
    setenv("T_FILE", path, 1);
    return LOAD();
}

static void check_host(const char *content, const char *host)
{
    struct outcome o = load_file(content, strlen(content));
    assert_int_equal(o.err, OK);
    assert_string_equal(o.settings.host, host);
    release(&o);
}

static void check_refused(const char *content, const char *complaint)
{
    struct outcome o = load_file(content, strlen(content));
    assert_int_equal(o.err, ERR_INVALID);
    assert_string_equal(buf_cstr(&o.complaint), complaint);
    assert_null(o.strings);
    assert_null(o.settings.host);
    release(&o);
}

static void a_line_is_a_setting(void **state)
{
    (void)state;
    check_host("T_HOST=a", "a");
    check_host("# a remark\n\n  \t\n  T_PORT = 4000  \r\n\tT_HOST\t=\t a b # c \r\n#T_HOST=x",
               "a b # c");
    check_host("T_HOST=\n", "by default");
    check_host("T_HOST=\"\"\n", "by default");
    check_host("", "by default");
    check_host("T_HOST=a=b=c\nT_TLS=yes\n", "a=b=c");
    struct outcome o = load_file("T_PORT=4000\nT_TLS=yes\n", 22);
    assert_int_equal(o.settings.port, 4000);
    assert_true(o.settings.tls);
    release(&o);
}

static void between_quotes_all_is_meant(void **state)
{
    (void)state;
    check_host("T_HOST=\"  a 'b' \\n#$c \"\n", "  a 'b' \\n#$c ");
    check_host("T_HOST='  a \"b\" '\t\r\n", "  a \"b\" ");
    check_host("T_HOST=a\"b\"", "a\"b\"");
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    check_refused("\nT_HSOT=a\n",
                  "settings file, line 2: unknown setting T_HSOT; did you mean T_HOST?");
    check_refused("T_SECRET_FIEL=a",
                  "settings file, line 1: unknown setting T_SECRET_FIEL; did you mean "
                  "T_SECRET_FILE?");
    check_refused("COLOUR=red",
                  "settings file, line 1: unknown setting COLOUR; --help lists all of them");
    check_refused("t_host=a",
                  "settings file, line 1: unknown setting t_host; --help lists all of them");
    check_refused("T_HOST_FILE=a",
                  "settings file, line 1: unknown setting T_HOST_FILE; --help lists all of them");
    check_refused("# x\n\nhush hush\n",
                  "settings file, line 3: expected NAME=value, or # before a remark");
    check_refused("=a", "settings file, line 1: unknown setting ; --help lists all of them");
    check_refused("T_HOST=a\nT_HOST=a\n", "settings file, line 2: this setting has been set above");
    check_refused("T_HOST=\"a\n\"\n",
                  "settings file, line 1: a quote that begins has to end in the same line");
    check_refused("T_HOST='a' # b\n",
                  "settings file, line 1: nothing may follow the closing quote");
    check_refused("T_FILE=/dev/null",
                  "settings file, line 1: one settings file can't name another");
    check_refused("\nT_PORT=http\n",
                  "T_PORT (from the settings file, line 2): \"http\" is refused; "
                  "expected a number from 0 to 65535");
    check_refused("T_SECRET_FILE=/nonexistent",
                  "T_SECRET_FILE (from the settings file, line 1): cannot read \"/nonexistent\": "
                  "No such file or directory");
}

static void it_must_be_a_file_of_text(void **state)
{
    (void)state;
    struct outcome o = load_file("T_HOST=a\0b\n", 11);
    assert_int_equal(o.err, ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&o.complaint), "\": it holds a NUL byte"));
    release(&o);
    static const char *const paths[][2] = {
        {"/nonexistent",
         "cannot read the settings file \"/nonexistent\": No such file or directory"},
        {"/", "cannot read the settings file \"/\": Is a directory"},
        {"/dev/zero", "cannot read the settings file \"/dev/zero\": it is too long"},
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        o = LOAD("--config", paths[i][0]);
        assert_int_equal(o.err, ERR_INVALID);
        assert_string_equal(buf_cstr(&o.complaint), paths[i][1]);
        release(&o);
    }
}

static void flags_then_environment_then_file(void **state)
{
    (void)state;
    make_file(path, "T_HOST=by file\nT_PORT=1\n", 24);
    struct outcome o = LOAD("--config", path);
    assert_string_equal(o.settings.host, "by file");
    assert_string_equal(o.settings.file, path);
    release(&o);
    setenv("T_HOST", "by environment", 1);
    o = LOAD("--t-file", path);
    assert_string_equal(o.settings.host, "by environment");
    assert_int_equal(o.settings.port, 1);
    release(&o);
    o = LOAD("--t-host=by flag", "--config", path);
    assert_string_equal(o.settings.host, "by flag");
    release(&o);
    setenv("T_FILE", "/nonexistent", 1);
    o = LOAD("--t-port=2", "--config", path);
    assert_int_equal(o.err, OK);
    assert_int_equal(o.settings.port, 2);
    release(&o);
}

static void check_secret(const char *content, const char *secret)
{
    struct outcome o = load_file(content, strlen(content));
    assert_int_equal(o.err, OK);
    assert_string_equal(o.settings.secret, secret);
    release(&o);
}

static void a_secret_may_be_there_or_in_another_file(void **state)
{
    (void)state;
    char line[128];
    make_file(secret_path, "hush\n", 5);
    snprintf(line, sizeof line, "T_SECRET_FILE=%s\n", secret_path);
    check_secret(line, "hush");
    check_secret("T_SECRET=plain\n", "plain");
    strcat(line, "T_SECRET=plain\n");
    check_secret(line, "plain");
    setenv("T_SECRET_FILE", secret_path, 1);
    check_secret("T_SECRET=plain\n", "hush");
}

static void load_without_memory(void *context)
{
    (void)context;
    struct outcome o = LOAD("--config", path);
    if (o.err) {
        assert_int_equal(o.err, ERR_NOMEM);
        assert_null(o.settings.host);
    } else {
        assert_string_equal(o.settings.host, "by file");
    }
    release(&o);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    make_file(path, "T_HOST=by file\nT_SECRET='hush'\n", 31);
    failing_alloc_each(load_without_memory, NULL);
}

static void differences_are_found_and_taken_over(void **state)
{
    (void)state;
    struct outcome a = load_file("T_HOST=a\nT_PORT=1\n", 18);
    struct outcome b = load_file("T_HOST=a\nT_PORT=2\nT_SECRET=hush\nT_TLS=1\n",
                                 sizeof "T_HOST=a\nT_PORT=1\nT_SECRET=hush\nT_TLS=1\n" - 1);
    static const bool same[] = {false, true, false, false, false};
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        assert_int_equal(config_same_value(&options[i], &a.settings, &b.settings), same[i]);
        config_copy_value(&options[i], &a.settings, &b.settings);
        assert_true(config_same_value(&options[i], &a.settings, &b.settings));
    }
    assert_memory_equal(&a.settings, &b.settings, sizeof a.settings);
    release(&a);
    release(&b);
}

static void values_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const char *const written[] = {"a", "1", "***", "true"};
    struct outcome o = load_file("T_HOST=a\nT_PORT=1\nT_SECRET=hush\nT_TLS=1\n",
                                 sizeof "T_HOST=a\nT_PORT=1\nT_SECRET=hush\nT_TLS=1\n" - 1);
    for (size_t i = 0; i < ARRAY_LEN(written); i++) {
        struct buf text = {0};
        assert_int_equal(config_write_value(&options[i + 1], &o.settings, &text), OK);
        assert_string_equal(buf_cstr(&text), written[i]);
        buf_fini(&text);
    }
    release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_line_is_a_setting, clean),
        cmocka_unit_test_teardown(between_quotes_all_is_meant, clean),
        cmocka_unit_test_teardown(what_is_wrong_is_told_with_its_line, clean),
        cmocka_unit_test_teardown(it_must_be_a_file_of_text, clean),
        cmocka_unit_test_teardown(flags_then_environment_then_file, clean),
        cmocka_unit_test_teardown(a_secret_may_be_there_or_in_another_file, clean),
        cmocka_unit_test_teardown(survives_failing_allocations, clean),
        cmocka_unit_test_teardown(differences_are_found_and_taken_over, clean),
        cmocka_unit_test_teardown(values_are_written_as_they_are_read, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "publisher/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int clean(void **state)
{
    (void)state;
    unsetenv("REDIS_HOST");
    unsetenv("REDIS_PASSWORD");
    unsetenv("REDIS_PASSWORD_FILE");
    return 0;
}

static enum err load(struct publisher_settings *settings, struct buf *complaint, const char *first,
                     const char *second)
{
    return publisher_settings_load((const char *const[]){first, second, NULL}, settings, complaint);
}

static void has_defaults(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    assert_int_equal(publisher_settings_load(NULL, &settings, &complaint), OK);
    assert_string_equal(settings.redis.host, "127.0.0.1");
    assert_int_equal(settings.redis.port, 6379);
    assert_string_equal(settings.bus.prefix, "guesslyfe:");
    assert_int_equal(settings.timeout_ms, 10000);
    assert_int_equal(settings.wait_replicas, 0);
    assert_true(settings.redis.reconnect);
    publisher_settings_fini(&settings);
}

static void what_is_passed_goes_before_the_environment(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    setenv("REDIS_HOST", "environment", 1);
    assert_int_equal(load(&settings, &complaint, "REDIS_PORT=7", NULL), OK);
    assert_string_equal(settings.redis.host, "environment");
    assert_int_equal(settings.redis.port, 7);
    publisher_settings_fini(&settings);
    assert_int_equal(load(&settings, &complaint, "REDIS_HOST=passed=", "REDIS_TLS=true"), OK);
    assert_string_equal(settings.redis.host, "passed=");
    assert_true(settings.redis.tls);
    publisher_settings_fini(&settings);
}

static void keeps_its_own_copies(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    char host[] = "REDIS_HOST=first";
    setenv("REDIS_PASSWORD", "secret", 1);
    assert_int_equal(load(&settings, &complaint, host, NULL), OK);
    memset(host, 'x', sizeof host - 1);
    setenv("REDIS_PASSWORD", "another and longer", 1);
    assert_string_equal(settings.redis.host, "first");
    assert_string_equal(settings.redis.password, "secret");
    publisher_settings_fini(&settings);
}

static void refusals_say_what_is_wrong(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    assert_int_equal(load(&settings, &complaint, "REDIS_PORT=none", NULL), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "REDIS_PORT"));
    buf_clear(&complaint);
    assert_int_equal(load(&settings, &complaint, "REDIS_PROT=1", NULL), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "redis-prot"));
    buf_fini(&complaint);
}

/* As the gateway does: what no single row can check. */
static void settings_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    assert_int_equal(load(&settings, &complaint, "REDIS_SENTINELS=a", NULL), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "without REDIS_SENTINEL_MASTER"));
    buf_clear(&complaint);
    assert_int_equal(load(&settings, &complaint, "REDIS_BACKOFF_MIN=2", "REDIS_BACKOFF_MAX=1"),
                     ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "REDIS_BACKOFF_MIN"));
    buf_clear(&complaint);
    assert_int_equal(load(&settings, &complaint, "REDIS_TLS_KEY=k", NULL), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "REDIS_TLS_CERT"));
    buf_fini(&complaint);
}

static void write_file(char path[], const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    setenv("REDIS_PASSWORD_FILE", path, 1);
}

static void the_password_may_be_in_a_file(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    char path[] = "/tmp/guesslyfe-password-XXXXXX";
    write_file(path, "from file\r\nmore\n");
    assert_int_equal(publisher_settings_load(NULL, &settings, &complaint), OK);
    assert_string_equal(settings.redis.password, "from file");
    publisher_settings_fini(&settings);
    setenv("REDIS_PASSWORD", "direct", 1);
    assert_int_equal(publisher_settings_load(NULL, &settings, &complaint), OK);
    assert_string_equal(settings.redis.password, "direct");
    publisher_settings_fini(&settings);
    unlink(path);
}

static void a_password_file_must_be_readable(void **state)
{
    (void)state;
    struct publisher_settings settings;
    struct buf complaint = {0};
    setenv("REDIS_PASSWORD_FILE", "/nonexistent/password", 1);
    assert_int_equal(publisher_settings_load(NULL, &settings, &complaint), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "/nonexistent/password"));
    buf_clear(&complaint);
    char path[] = "/tmp/guesslyfe-password-XXXXXX";
    write_file(path, "");
    assert_int_equal(publisher_settings_load(NULL, &settings, &complaint), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), "empty"));
    buf_fini(&complaint);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(has_defaults, clean, clean),
        cmocka_unit_test_setup_teardown(what_is_passed_goes_before_the_environment, clean, clean),
        cmocka_unit_test_setup_teardown(keeps_its_own_copies, clean, clean),
        cmocka_unit_test_setup_teardown(refusals_say_what_is_wrong, clean, clean),
        cmocka_unit_test_setup_teardown(settings_that_do_not_go_together_are_refused, clean, clean),
        cmocka_unit_test_setup_teardown(the_password_may_be_in_a_file, clean, clean),
        cmocka_unit_test_setup_teardown(a_password_file_must_be_readable, clean, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

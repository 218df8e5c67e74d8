#include "bus/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"
#include "redis/link.h"

struct settings {
    struct redis_link_options redis;
    struct bus_settings bus;
};

#define REDIS_OPTION(field) offsetof(struct settings, redis.field)
#define BUS_OPTION(field)   offsetof(struct settings, bus.field)

static const struct config_option rows[] = {
#include "redis/options.def"

#include "bus/history.def"
#include "bus/options.def"
};

static const struct config_table table = {rows, ARRAY_LEN(rows)};

/* What the strings of the settings of one test lie in. */
static char *strings;

static enum err load(struct settings *settings, int argc, char **argv)
{
    struct buf complaint;
    int rest;
    buf_init(&complaint, 0);
    enum err err = config_load(table, argc, argv, settings, &rest, &strings, &complaint);
    buf_fini(&complaint);
    return err;
}

static void test_defaults(void **state)
{
    (void)state;
    struct settings settings = {0};
    char *argv[] = {(char *)"test", NULL};
    assert_int_equal(load(&settings, 1, argv), OK);
    assert_string_equal(settings.redis.host, "127.0.0.1");
    assert_int_equal(settings.redis.port, 6379);
    assert_null(settings.redis.password);
    assert_null(settings.redis.tls_ca);
    assert_false(settings.redis.tls);
    assert_int_equal(settings.redis.reply_timeout_ms, 5000);
    struct bus_publish_options publish = bus_settings_publish(&settings.bus);
    assert_true(str_eq(publish.keys.prefix, STR("guesslyfe:")));
    assert_int_equal(publish.keys.partitions, 1);
    const struct bus_history expected[ROOM_KINDS] = {
        [ROOM_MARKET] = {100, 300},
        [ROOM_CREATOR] = {100, 300},
        [ROOM_USER] = {50, 86400},
        [ROOM_GLOBAL] = {10, 3600},
    };
    assert_memory_equal(publish.history, expected, sizeof expected);
}

static void test_flags(void **state)
{
    (void)state;
    struct settings settings = {0};
    char *argv[] = {(char *)"test",
                    (char *)"--redis-tls",
                    (char *)"--redis-port=7000",
                    (char *)"--history-user-length=0",
                    (char *)"--redis-prefix=p:",
                    NULL};
    assert_int_equal(load(&settings, 5, argv), OK);
    assert_true(settings.redis.tls);
    assert_int_equal(settings.redis.port, 7000);
    assert_int_equal(settings.bus.history[ROOM_USER].length, 0);
    assert_true(str_eq(bus_settings_keys(&settings.bus).prefix, STR("p:")));
    char *wrong[] = {(char *)"test", (char *)"--redis-partitions=0", NULL};
    assert_int_equal(load(&settings, 2, wrong), ERR_INVALID);
}

static int release(void **state)
{
    (void)state;
    free(strings);
    strings = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_defaults, release),
        cmocka_unit_test_teardown(test_flags, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

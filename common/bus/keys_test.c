#include "bus/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct bus_keys one = {{"guesslyfe:", 10}, 1};
static const struct bus_keys many = {{"p:", 2}, 1024};

static void expect(struct buf *out, enum err err, const char *expected)
{
    assert_int_equal(err, OK);
    assert_string_equal(buf_cstr(out), expected);
    buf_clear(out);
}

static void test_names(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    expect(&out, bus_channel_name(&one, STR("market:1"), &out), "guesslyfe:{0}:room:market:1");
    expect(&out, bus_log_key(&one, STR("market:1"), &out), "guesslyfe:{0}:log:market:1");
    expect(&out, bus_clock_key(&one, 0, &out), "guesslyfe:{0}:clock");
    expect(&out, bus_once_key(&many, 17, STR("a b"), &out), "p:{17}:once:a b");
    expect(&out, bus_gateway_key(&one, STR("id"), &out), "guesslyfe:gateway:id");
    expect(&out, bus_gateways_key(&one, &out), "guesslyfe:gateways");
    expect(&out, bus_revoked_key(&one, &out), "guesslyfe:revoked");
    expect(&out, bus_connections_key(&one, STR("alice"), &out), "guesslyfe:connections:alice");
    buf_fini(&out);
}

/* The check value of CRC-16/XMODEM is 0x31C3 for "123456789". */
static void test_partition_is_the_crc_of_redis_cluster(void **state)
{
    (void)state;
    struct bus_keys keys = {{"", 0}, 1024};
    assert_int_equal(bus_partition(&keys, STR("123456789")), 0x31c3 % 1024);
    keys.partitions = 1000;
    assert_int_equal(bus_partition(&keys, STR("123456789")), 0x31c3 % 1000);
    assert_int_equal(bus_partition(&one, STR("123456789")), 0);
}

static void expect_room(const struct bus_keys *keys, const char *channel, const char *room)
{
    struct str got = bus_channel_room(keys, str_from(channel));
    if (!str_eq(got, str_from(room))) {
        fail_msg("%s gave " STR_FMT, channel, STR_ARG(got));
    }
}

static void test_room_of_a_channel(void **state)
{
    (void)state;
    expect_room(&one, "guesslyfe:{0}:room:market:1", "market:1");
    expect_room(&many, "p:{1023}:room:global:all", "global:all");
    expect_room(&many, "guesslyfe:{0}:room:market:1", "");
    expect_room(&one, "guesslyfe:{0}:log:market:1", "");
    expect_room(&one, "guesslyfe:{0", "");
    expect_room(&one, "guesslyfe:", "");
    expect_room(&one, "guesslyfe:to:abc", "");
    expect_room(&one, "", "");
}

static void test_names_are_all_or_nothing(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 20);
    assert_int_equal(buf_append(&out, STR("x")), OK);
    assert_int_equal(bus_channel_name(&one, STR("market:1"), &out), ERR_LIMIT);
    assert_int_equal(out.len, 1);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_partition_is_the_crc_of_redis_cluster),
        cmocka_unit_test(test_room_of_a_channel),
        cmocka_unit_test(test_names_are_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

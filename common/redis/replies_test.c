#include "redis/replies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static bool count_reply(void *context, const redisReply *reply)
{
    unsigned *count = context;
    (void)reply;
    ++*count;
    return true;
}

static bool take_one(void *context, const redisReply *reply)
{
    count_reply(context, reply);
    return false;
}

static enum err feed(struct redis_replies *replies, struct str bytes, unsigned *count)
{
    const char *why;
    return redis_replies_feed(replies, bytes, count_reply, count, &why);
}

static void test_whole_and_byte_by_byte(void **state)
{
    (void)state;
    struct str text =
        STR("+OK\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n:12\r\n-ERR x\r\n$-1\r\n");
    struct redis_replies replies;
    assert_int_equal(redis_replies_init(&replies), OK);
    unsigned count = 0;
    assert_int_equal(feed(&replies, text, &count), OK);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < text.len; i++) {
        assert_int_equal(feed(&replies, str_range(text.ptr + i, 1), &count), OK);
    }
    assert_int_equal(count, 10);
    redis_replies_fini(&replies);
}

static void test_stops_when_no_more_is_wanted(void **state)
{
    (void)state;
    struct redis_replies replies;
    assert_int_equal(redis_replies_init(&replies), OK);
    unsigned count = 0;
    const char *why;
    assert_int_equal(redis_replies_feed(&replies, STR(":1\r\n:2\r\n"), take_one, &count, &why), OK);
    assert_int_equal(count, 1);
    redis_replies_fini(&replies);
}

static void expect_refusal(struct str start, struct str more, size_t times, enum err expected)
{
    struct redis_replies replies;
    assert_int_equal(redis_replies_init(&replies), OK);
    unsigned count = 0;
    enum err err = feed(&replies, start, &count);
    for (size_t i = 0; i < times && !err; i++) {
        err = feed(&replies, more, &count);
    }
    assert_int_equal(err, expected);
    assert_int_equal(count, 0);
    redis_replies_fini(&replies);
}

static void test_garbage_is_refused(void **state)
{
    (void)state;
    expect_refusal(STR("HTTP/1.1 400 Bad Request\r\n"), STR(""), 0, ERR_PROTO);
    expect_refusal(STR("*-7\r\n"), STR(""), 0, ERR_PROTO);
    expect_refusal(STR("$9999999999999999999999\r\n"), STR(""), 0, ERR_PROTO);
}

static void test_absurd_arrays_are_refused(void **state)
{
    (void)state;
    expect_refusal(STR("*2147483647\r\n"), STR(""), 0, ERR_LIMIT);
    expect_refusal(STR("*3\r\n*600000\r\n*600000\r\n"), STR(""), 0, ERR_LIMIT);
}

static void test_endless_things_are_refused(void **state)
{
    (void)state;
    static char kilobytes[64 * 1024];
    memset(kilobytes, 'x', sizeof kilobytes);
    struct str more = {kilobytes, sizeof kilobytes};
    expect_refusal(STR("+"), more, 1 << 20, ERR_PROTO);
    expect_refusal(STR("$512000000\r\n"), more, 1 << 20, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_byte_by_byte),
        cmocka_unit_test(test_stops_when_no_more_is_wanted),
        cmocka_unit_test(test_garbage_is_refused),
        cmocka_unit_test(test_absurd_arrays_are_refused),
        cmocka_unit_test(test_endless_things_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

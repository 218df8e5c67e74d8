#include "publisher/cli/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>

#include "failing_alloc.h"
#include "util/attr.h"

static const char bytes[] = "*5\r\n$3\r\na\0b\r\n:-7\r\n$-1\r\n+OK\r\n*1\r\n-ERR no\r\n";

static redisReply *parse(redisReader *reader)
{
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, bytes, sizeof bytes - 1), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    return reply;
}

static void outlives_the_reply(void **state)
{
    (void)state;
    redisReader *reader = redisReaderCreate();
    redisReply *reply = parse(reader);
    struct answer answer;
    assert_int_equal(answer_copy(reply, &answer), OK);
    freeReplyObject(reply);
    redisReaderFree(reader);
    assert_int_equal(answer.count, 5);
    assert_true(str_eq(answer_item(&answer, 0), (struct str){"a\0b", 3}));
    assert_int_equal(answer.items[1].kind, ANSWER_NUMBER);
    assert_int_equal(answer.items[1].number, -7);
    assert_int_equal(answer.items[2].kind, ANSWER_NIL);
    assert_true(str_eq(answer_item(&answer, 3), STR("OK")));
    assert_int_equal(answer.items[4].items[0].kind, ANSWER_ERROR);
    assert_int_equal(answer_item(&answer, 1).len, 0);
    assert_int_equal(answer_item(&answer, 9).len, 0);
    answer_fini(&answer);
    assert_int_equal(answer.kind, ANSWER_NIL);
}

static void copy(void *reply)
{
    struct answer answer;
    enum err err = answer_copy(reply, &answer);
    assert_true(err == OK || err == ERR_NOMEM);
    if (!err) {
        answer_fini(&answer);
    }
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    redisReader *reader = redisReaderCreate();
    redisReply *reply = parse(reader);
    failing_alloc_each(copy, reply);
    freeReplyObject(reply);
    redisReaderFree(reader);
}

static void finds_what_info_says(void **state)
{
    (void)state;
    struct str info = STR("# Server\r\nredis_version:7.0.15\r\nredis_version_x:1\r\nmax:12\r\n");
    assert_true(str_eq(answer_info(info, "redis_version"), STR("7.0.15")));
    assert_int_equal(answer_info(info, "version").len, 0);
    assert_int_equal(answer_info_number(info, "max"), 12);
    assert_int_equal(answer_info_number(info, "redis_version"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outlives_the_reply),
        cmocka_unit_test(survives_failing_allocations),
        cmocka_unit_test(finds_what_info_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

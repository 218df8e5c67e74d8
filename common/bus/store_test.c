#include "bus/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { ANSWERS_MAX = 6000, ANSWER_MAX = 24, MANY = 5000 };

struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct loop *loop;
    struct bus_store *store;
    unsigned ups, downs, refusals, answers, errors;
    char texts[ANSWERS_MAX][ANSWER_MAX]; /* of the answers, in the order of their coming */
    char refusal[128];
    bool ask_when_up;
};

static struct stage stage;

static void on_answer(void *context, const struct redisReply *reply)
{
    struct stage *own = context;
    char *text = own->texts[own->answers++ % ANSWERS_MAX];
    own->errors += reply->type == REDIS_REPLY_ERROR;
    if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(text, ANSWER_MAX, "%lld", reply->integer);
    } else {
        snprintf(text, ANSWER_MAX, "%.20s", reply->str ? reply->str : "(nil)");
    }
}

/* Words separated by single spaces. */
static struct bus_request *ask_for(struct stage *own, const char *command, bus_answer_fn done)
{
    struct str args[BUS_REQUEST_ARGS_MAX], rest = str_from(command);
    size_t count = 0;
    while (count < BUS_REQUEST_ARGS_MAX && str_split(&rest, ' ', &args[count])) {
        count++;
    }
    return bus_store_ask(own->store, args, count, done, own);
}

static struct bus_request *ask(struct stage *own, const char *command)
{
    struct bus_request *request = ask_for(own, command, on_answer);
    assert_non_null(request);
    return request;
}

static void on_up(void *owner)
{
    struct stage *own = owner;
    own->ups++;
    if (own->ask_when_up) {
        ask(own, "ECHO first");
    }
}

static void on_down(void *owner, enum err err, const char *why)
{
    struct stage *own = owner;
    assert_true(err != OK && strlen(why) > 0);
    own->downs++;
}

static void on_refused(void *owner, struct str why)
{
    struct stage *own = owner;
    own->refusals++;
    snprintf(own->refusal, sizeof own->refusal, STR_FMT, STR_ARG(why));
}

static const struct bus_store_ops ops = {on_up, on_down, on_refused};

static int set_up(void **state)
{
    *state = &stage;
    stage = (struct stage){0};
    redis_server_start(&stage.server, NULL, false);
    stage.redis = redis_peer_options(&stage.server);
    stage.loop = loop_new();
    assert_non_null(stage.loop);
    stage.store = bus_store_new(stage.loop, &stage.redis, &ops, &stage);
    assert_non_null(stage.store);
    PUMP_UNTIL(stage.loop, stage.ups == 1);
    return 0;
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    bus_store_free(own->store);
    loop_free(own->loop);
    redis_server_stop(&own->server);
    return 0;
}

static void tell(struct stage *own, const char *command)
{
    char answer[256];
    redis_server_ask(&own->server, command, answer, sizeof answer);
    if (answer[0] == '-') {
        fail_msg("%s: %s", command, answer);
    }
}

static void wait_for(struct stage *own, unsigned answers)
{
    PUMP_UNTIL(own->loop, own->answers >= answers && bus_store_waiting(own->store) == 0);
    assert_int_equal(own->answers, answers);
}

static void turns(struct stage *own, unsigned ms)
{
    uint64_t until = clock_monotonic_ms() + ms;
    PUMP_UNTIL(own->loop, clock_monotonic_ms() >= until);
}

static void ask_numbers(struct stage *own, unsigned from, unsigned to)
{
    char command[32];
    for (unsigned i = from; i < to; i++) {
        snprintf(command, sizeof command, "ECHO %u", i);
        ask(own, command);
    }
}

static void assert_numbers(const struct stage *own, unsigned first, unsigned from, unsigned to)
{
    char number[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(number, sizeof number, "%u", i);
        assert_string_equal(own->texts[first + i - from], number);
    }
}

static void test_answers_come_in_the_order_of_asking(void **state)
{
    struct stage *own = *state;
    assert_true(bus_store_connected(own->store));
    ask_numbers(own, 0, MANY);
    assert_int_equal(bus_store_waiting(own->store), MANY);
    assert_int_equal(own->answers, 0);
    wait_for(own, MANY);
    assert_numbers(own, 0, 0, MANY);
}

static void test_arguments_may_be_empty_or_binary(void **state)
{
    struct stage *own = *state;
    const struct str set[] = {STR("SET"), {NULL, 0}, STR("a\0b\r\n")};
    const struct str length[] = {STR("STRLEN"), STR("")};
    assert_non_null(bus_store_ask(own->store, set, 3, NULL, NULL));
    assert_non_null(bus_store_ask(own->store, length, 2, on_answer, own));
    wait_for(own, 1);
    assert_string_equal(own->texts[0], "5");
}

static void test_requests_wait_while_redis_is_away(void **state)
{
    struct stage *own = *state;
    redis_server_kill(&own->server);
    ask_numbers(own, 0, 10);
    PUMP_UNTIL(own->loop, own->downs > 0);
    assert_false(bus_store_connected(own->store));
    ask_numbers(own, 10, 20);
    redis_server_start_again(&own->server);
    wait_for(own, 20);
    assert_numbers(own, 0, 0, 20);
    assert_int_equal(own->refusals, 0);
}

static void test_what_was_on_its_way_is_repeated_in_order(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    ask_numbers(own, 0, 1500); /* more than are sent at once */
    turns(own, 20);
    ask_numbers(own, 1500, 2000);
    redis_server_kill(&own->server);
    redis_server_start_again(&own->server);
    wait_for(own, 2000);
    assert_numbers(own, 0, 0, 2000);
}

static void test_a_renewed_connection_repeats(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    ask_numbers(own, 0, 5);
    turns(own, 20);
    bus_store_renew(own->store, "a test says so");
    assert_int_equal(own->downs, 1);
    redis_server_resume(&own->server);
    wait_for(own, 5);
    assert_numbers(own, 0, 0, 5);
}

static void test_what_is_asked_when_up_comes_first(void **state)
{
    struct stage *own = *state;
    own->ask_when_up = true;
    redis_server_pause(&own->server);
    ask_numbers(own, 0, 3);
    turns(own, 20);
    bus_store_renew(own->store, "a test says so");
    ask_numbers(own, 3, 5);
    redis_server_resume(&own->server);
    wait_for(own, 6);
    assert_string_equal(own->texts[0], "first");
    assert_numbers(own, 1, 0, 5);
}

/* --- Scripts --- */

static const struct bus_script script = {
    STR("098e0f0d1448c0a81dafe820f66d460eb09263da"), /* SHA-1 of the text */
    STR("return ARGV[1]"),
};

static void call(struct stage *own, const char *argument)
{
    const struct str args[] = {STR("key"), str_from(argument)};
    assert_non_null(bus_store_call(own->store, &script, 1, args, 2, on_answer, own));
}

static void test_a_script_that_redis_does_not_know_is_sent_by_its_text(void **state)
{
    struct stage *own = *state;
    call(own, "0");
    call(own, "1");
    wait_for(own, 2);
    tell(own, "SCRIPT FLUSH");
    call(own, "2");
    wait_for(own, 3);
    assert_numbers(own, 0, 0, 3);
    assert_int_equal(own->refusals, 0);
}

static void test_a_script_is_sent_by_its_hash_where_it_is_known(void **state)
{
    struct stage *own = *state;
    char answer[4096];
    call(own, "0");
    wait_for(own, 1);
    tell(own, "CONFIG RESETSTAT");
    call(own, "1");
    wait_for(own, 2);
    redis_server_ask(&own->server, "INFO commandstats", answer, sizeof answer);
    assert_non_null(strstr(answer, "cmdstat_evalsha:calls=1"));
    assert_null(strstr(answer, "cmdstat_eval:"));
}

/* --- Refusals that pass --- */

static void test_a_replica_is_left_until_it_is_a_primary(void **state)
{
    struct stage *own = *state;
    tell(own, "REPLICAOF 127.0.0.1 1");
    for (unsigned i = 0; i < 10; i++) {
        ask(own, "INCR counter");
    }
    PUMP_UNTIL(own->loop, own->downs > 0);
    assert_int_equal(own->answers, 0);
    tell(own, "REPLICAOF NO ONE");
    wait_for(own, 10);
    assert_numbers(own, 0, 1, 11);
    assert_int_equal(own->refusals, 0);
}

/* Until it is told to stop. */
static void make_busy(struct redis_peer *peer, const struct stage *own)
{
    const struct str endless[] = {STR("EVAL"), STR("while true do end"), STR("0")};
    redis_peer_open(peer, &own->redis);
    PUMP_UNTIL(peer->loop, peer->ups == 1);
    redis_peer_ask(peer, "CONFIG SET busy-reply-threshold 1");
    assert_int_equal(redis_peer_send(peer, endless, 3), OK);
    assert_int_equal(loop_turn(peer->loop, 20), OK);
}

static void test_what_a_busy_redis_refuses_is_repeated_in_order(void **state)
{
    struct stage *own = *state;
    struct redis_peer peer;
    make_busy(&peer, own);
    for (unsigned i = 0; i < 20; i++) {
        ask(own, "INCR counter");
    }
    assert_non_null(ask_for(own, "SET noted yes", NULL));
    ask(own, "GET noted");
    turns(own, 250);
    assert_int_equal(own->answers, 0);
    char answer[64];
    redis_server_ask(&own->server, "SCRIPT KILL", answer, sizeof answer);
    wait_for(own, 21);
    assert_numbers(own, 0, 1, 21);
    assert_string_equal(own->texts[20], "yes");
    assert_int_equal(own->refusals, 0);
    redis_peer_close(&peer);
}

/* --- Refusals for good --- */

static void test_a_refusal_is_told_twice(void **state)
{
    struct stage *own = *state;
    ask(own, "RPUSH list x");
    ask(own, "GET list");
    ask(own, "ECHO 7");
    wait_for(own, 3);
    assert_int_equal(own->errors, 1);
    assert_int_equal(own->refusals, 1);
    assert_true(str_starts(str_from(own->refusal), STR("WRONGTYPE")));
    assert_string_equal(own->texts[2], "7");
}

static void test_missing_rights_are_a_refusal(void **state)
{
    struct stage *own = *state;
    tell(own, "ACL SETUSER default -echo");
    ask(own, "ECHO 1");
    assert_non_null(ask_for(own, "ECHO 2", NULL));
    PUMP_UNTIL(own->loop, own->refusals == 2);
    assert_int_equal(own->answers, 1);
    assert_true(str_starts(str_from(own->refusal), STR("NOPERM")));
}

/* --- Cancelling --- */

static void test_cancelled_before_it_was_sent(void **state)
{
    struct stage *own = *state;
    bus_store_cancel(ask(own, "SET key x"));
    bus_store_cancel(NULL);
    assert_int_equal(bus_store_waiting(own->store), 0);
    ask(own, "EXISTS key");
    wait_for(own, 1);
    assert_string_equal(own->texts[0], "0");
}

static void test_cancelled_on_its_way(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    struct bus_request *request = ask(own, "SET key x");
    turns(own, 20);
    bus_store_cancel(request);
    redis_server_resume(&own->server);
    ask(own, "EXISTS key");
    wait_for(own, 1);
    assert_string_equal(own->texts[0], "1");
}

static void test_cancelled_before_its_connection_is_lost(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    struct bus_request *request = ask(own, "SET key x");
    turns(own, 20);
    bus_store_cancel(request);
    redis_server_kill(&own->server);
    redis_server_start_again(&own->server);
    PUMP_UNTIL(own->loop, own->ups == 2);
    ask(own, "EXISTS key");
    wait_for(own, 1);
    assert_string_equal(own->texts[0], "0");
}

static void test_cancelled_after_its_connection_was_lost(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    struct bus_request *request = ask(own, "ECHO 0");
    ask(own, "ECHO 1");
    turns(own, 20);
    bus_store_renew(own->store, "a test says so");
    bus_store_cancel(request);
    redis_server_resume(&own->server);
    wait_for(own, 1);
    assert_string_equal(own->texts[0], "1");
}

static void test_a_refusal_of_what_was_cancelled_is_not_told(void **state)
{
    struct stage *own = *state;
    ask(own, "RPUSH list x");
    wait_for(own, 1);
    redis_server_pause(&own->server);
    struct bus_request *request = ask(own, "GET list");
    turns(own, 20);
    bus_store_cancel(request);
    redis_server_resume(&own->server);
    ask(own, "ECHO 1");
    wait_for(own, 2);
    assert_int_equal(own->refusals, 0);
}

static void test_freed_with_requests_in_flight(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    ask_numbers(own, 0, 2000);
    turns(own, 20);
    bus_store_cancel(ask(own, "ECHO x"));
    bus_store_free(own->store);
    own->store = NULL;
    redis_server_resume(&own->server);
    assert_int_equal(loop_turn(own->loop, 1), OK);
    assert_int_equal(own->answers, 0);
}

/* --- Each allocation may fail --- */

static void ask_somehow(void *context)
{
    struct stage *own = context;
    unsigned expected = own->answers;
    const struct str args[] = {STR("key"), STR("1")};
    expected += bus_store_call(own->store, &script, 1, args, 2, on_answer, own) != NULL;
    expected += ask_for(own, "ECHO 2", on_answer) != NULL;
    PUMP_UNTIL(own->loop, own->answers == expected);
    assert_int_equal(bus_store_waiting(own->store), 0);
}

static void test_each_allocation_may_fail(void **state)
{
    struct stage *own = *state;
    failing_alloc_each(ask_somehow, own);
    assert_int_equal(own->refusals, 0);
}

static void open_somehow(void *context)
{
    struct stage *own = context;
    struct bus_store *store = bus_store_new(own->loop, &own->redis, &ops, own);
    bus_store_free(store);
    assert_int_equal(loop_turn(own->loop, 0), OK);
}

static void test_each_allocation_may_fail_at_birth(void **state)
{
    failing_alloc_each(open_somehow, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_come_in_the_order_of_asking),
        TEST(test_arguments_may_be_empty_or_binary),
        TEST(test_requests_wait_while_redis_is_away),
        TEST(test_what_was_on_its_way_is_repeated_in_order),
        TEST(test_a_renewed_connection_repeats),
        TEST(test_what_is_asked_when_up_comes_first),
        TEST(test_a_script_that_redis_does_not_know_is_sent_by_its_text),
        TEST(test_a_script_is_sent_by_its_hash_where_it_is_known),
        TEST(test_a_replica_is_left_until_it_is_a_primary),
        TEST(test_what_a_busy_redis_refuses_is_repeated_in_order),
        TEST(test_a_refusal_is_told_twice),
        TEST(test_missing_rights_are_a_refusal),
        TEST(test_cancelled_before_it_was_sent),
        TEST(test_cancelled_on_its_way),
        TEST(test_cancelled_before_its_connection_is_lost),
        TEST(test_cancelled_after_its_connection_was_lost),
        TEST(test_a_refusal_of_what_was_cancelled_is_not_told),
        TEST(test_freed_with_requests_in_flight),
        TEST(test_each_allocation_may_fail),
        TEST(test_each_allocation_may_fail_at_birth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

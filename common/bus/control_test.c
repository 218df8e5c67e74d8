#include "bus/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "bus/subscriber.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { BIG = 2 * 1024 * 1024 };

/* One gateway that listens, and hears what it sends. */
struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct loop *loop;
    struct bus_subscriber_options options;
    struct bus_subscriber *subscriber;
    struct bus_listener listener, other;
    unsigned messages, others, garbage, answers;
    enum bus_sent sent;
    char payload[64];
    size_t payload_len;
};

static struct stage stage;

static void nothing_of_channel(void *owner, struct bus_channel *channel)
{
    fail_msg("a room was told of: %p %p", owner, (void *)channel);
}

static void no_event(void *owner, struct bus_channel *channel, const struct bus_envelope *envelope)
{
    fail_msg("an event came: %p %p %p", owner, (void *)channel, (const void *)envelope);
}

static void nothing(void *owner)
{
    assert_non_null(owner);
}

static void on_lost(void *owner, const char *why)
{
    assert_non_null(owner); /* a Redis that was started again is empty */
    assert_non_null(why);
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    struct stage *own = owner;
    own->garbage++;
    assert_true(channel.len > 0);
    assert_int_not_equal(err, OK);
}

static void on_down(void *owner, enum err err, const char *why)
{
    assert_non_null(owner);
    assert_int_not_equal(err, OK);
    assert_non_null(why);
}

static void on_refused(void *owner, struct str why)
{
    fail_msg("%p refused: " STR_FMT, owner, STR_ARG(why));
}

static const struct bus_subscriber_ops ops = {
    .on_live = nothing_of_channel,
    .on_message = no_event,
    .on_gap = nothing_of_channel,
    .on_lost = on_lost,
    .on_passed = nothing,
    .on_garbage = on_garbage,
    .on_up = nothing,
    .on_down = on_down,
    .on_refused = on_refused,
};

static void on_message(void *owner, struct str payload)
{
    struct stage *own = owner;
    own->messages++;
    own->payload_len = payload.len;
    snprintf(own->payload, sizeof own->payload, STR_FMT, STR_ARG(payload));
}

static void on_other(void *owner, struct str payload)
{
    struct stage *own = owner;
    own->others++;
    assert_int_equal(payload.len, 0);
}

static void on_sent(void *context, const struct redisReply *reply)
{
    struct stage *own = context;
    own->answers++;
    own->sent = bus_control_sent(reply);
}

static int set_up(void **state)
{
    struct stage *own = *state = &stage;
    *own = (struct stage){0};
    redis_server_start(&own->server, NULL, false);
    own->redis = redis_peer_options(&own->server);
    own->options = (struct bus_subscriber_options){
        .keys = {STR("guesslyfe:"), 1}, .redis = &own->redis, .batch = 8, .gateway_id = "gateway"};
    own->loop = loop_new();
    assert_non_null(own->loop);
    own->subscriber = bus_subscriber_new(own->loop, &own->options, &ops, own);
    assert_non_null(own->subscriber);
    own->listener =
        (struct bus_listener){.event = STR("letter"), .on_message = on_message, .owner = own};
    own->other = (struct bus_listener){.event = STR("other"), .on_message = on_other, .owner = own};
    bus_subscriber_listen(own->subscriber, &own->listener);
    bus_subscriber_listen(own->subscriber, &own->other);
    PUMP_UNTIL(own->loop, bus_subscriber_ready(own->subscriber));
    return 0;
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    bus_subscriber_free(own->subscriber);
    loop_free(own->loop);
    redis_server_stop(&own->server);
    return 0;
}

static void send_pieces(struct stage *own, const char *channel, const struct str *pieces,
                        size_t count)
{
    assert_non_null(bus_control_send(bus_subscriber_store(own->subscriber), str_from(channel),
                                     STR("letter"), pieces, count, on_sent, own));
}

static void send_text(struct stage *own, const char *channel, const char *text)
{
    const struct str piece = str_from(text);
    send_pieces(own, channel, &piece, 1);
}

static void publish(struct stage *own, struct str message)
{
    const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:to:gateway"), message};
    assert_non_null(bus_store_ask(bus_subscriber_store(own->subscriber), args, 3, NULL, NULL));
}

static void test_a_message_to_us(void **state)
{
    struct stage *own = *state;
    const struct str pieces[] = {STR("one "), STR(""), STR("letter\nof lines")};
    send_pieces(own, "guesslyfe:to:gateway", pieces, ARRAY_LEN(pieces));
    PUMP_UNTIL(own->loop, own->messages == 1 && own->answers == 1);
    assert_string_equal(own->payload, "one letter\nof lines");
    assert_int_equal(own->sent, BUS_SENT);
}

static void test_a_message_to_all(void **state)
{
    struct stage *own = *state;
    send_text(own, "guesslyfe:control", "all");
    PUMP_UNTIL(own->loop, own->messages == 1);
    assert_string_equal(own->payload, "all");
}

static void test_nobody_is_known_at_once(void **state)
{
    struct stage *own = *state;
    send_text(own, "guesslyfe:to:nobody", "hello?");
    PUMP_UNTIL(own->loop, own->answers == 1);
    assert_int_equal(own->sent, BUS_SENT_TO_NOBODY);
    assert_int_equal(own->messages, 0);
}

static void test_each_event_has_its_listener(void **state)
{
    struct stage *own = *state;
    publish(own, STR("0 0 other -\n"));
    publish(own, STR("0 0 unknown -\nwhatever"));
    publish(own, STR("0 0 letter -\nlast"));
    PUMP_UNTIL(own->loop, own->messages == 1);
    assert_int_equal(own->others, 1);
    bus_subscriber_ignore(&own->other);
    publish(own, STR("0 0 other -\n"));
    publish(own, STR("0 0 letter -\nlast"));
    PUMP_UNTIL(own->loop, own->messages == 2);
    assert_int_equal(own->others, 1);
    assert_int_equal(own->garbage, 0);
}

static void test_a_probe_for_all_is_none(void **state)
{
    struct stage *own = *state;
    uint64_t before = bus_subscriber_passed(own->subscriber, 0).id;
    send_text(own, "guesslyfe:control", "first");
    const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:control"),
                               STR("0 0 probe -\n1 0 18446744073709551615 1")};
    assert_non_null(bus_store_ask(bus_subscriber_store(own->subscriber), args, 3, NULL, NULL));
    send_text(own, "guesslyfe:control", "second");
    PUMP_UNTIL(own->loop, own->messages == 2);
    assert_int_equal(bus_subscriber_passed(own->subscriber, 0).id, before);
}

static void on_looked(void *context, const struct redisReply *reply)
{
    struct stage *own = context;
    size_t at = 0;
    struct str channel = STR("");
    own->answers++;
    assert_true(bus_control_next_deaf(reply, &at, &channel));
    assert_true(str_eq(channel, STR("guesslyfe:to:nobody")));
    assert_false(bus_control_next_deaf(reply, &at, &channel));
}

static void test_who_listens(void **state)
{
    struct stage *own = *state;
    const struct str channels[] = {STR("guesslyfe:to:gateway"), STR("guesslyfe:to:nobody"),
                                   STR("guesslyfe:control")};
    assert_non_null(bus_control_look(bus_subscriber_store(own->subscriber), channels,
                                     ARRAY_LEN(channels), on_looked, own));
    PUMP_UNTIL(own->loop, own->answers == 1);
}

static void test_what_is_no_message(void **state)
{
    struct stage *own = *state;
    publish(own, STR("what is this"));
    publish(own, STR("0 0 letter - -\nwhat"));
    PUMP_UNTIL(own->loop, own->garbage == 2);
    assert_int_equal(own->messages, 0);
}

static void test_larger_than_any_event(void **state)
{
    static char text[BIG + 1];
    struct stage *own = *state;
    memset(text, 'x', BIG);
    send_text(own, "guesslyfe:to:gateway", text);
    PUMP_UNTIL(own->loop, own->messages == 1);
    assert_int_equal(own->payload_len, BIG);
}

static void test_a_lost_connection_leaves_it_unknown(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    send_text(own, "guesslyfe:to:gateway", "lost?");
    assert_int_equal(loop_turn(own->loop, 20), OK);
    assert_int_equal(loop_turn(own->loop, 20), OK);
    redis_server_kill(&own->server);
    PUMP_UNTIL(own->loop, own->answers == 1);
    assert_int_equal(own->sent, BUS_SENT_UNKNOWN);
    redis_server_start_again(&own->server);
    PUMP_UNTIL(own->loop, bus_subscriber_ready(own->subscriber));
    send_text(own, "guesslyfe:to:gateway", "again");
    PUMP_UNTIL(own->loop, own->messages == 1);
    assert_string_equal(own->payload, "again"); /* the first was not repeated */
}

static void test_an_end_in_between(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    send_text(own, "guesslyfe:to:gateway", "never answered");
    assert_int_equal(loop_turn(own->loop, 20), OK);
    bus_subscriber_free(own->subscriber);
    assert_int_equal(own->answers, 0);
    redis_server_resume(&own->server);
    own->subscriber = bus_subscriber_new(own->loop, &own->options, &ops, own);
    assert_non_null(own->subscriber);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_message_to_us),
        TEST(test_a_message_to_all),
        TEST(test_nobody_is_known_at_once),
        TEST(test_each_event_has_its_listener),
        TEST(test_a_probe_for_all_is_none),
        TEST(test_who_listens),
        TEST(test_what_is_no_message),
        TEST(test_larger_than_any_event),
        TEST(test_a_lost_connection_leaves_it_unknown),
        TEST(test_an_end_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

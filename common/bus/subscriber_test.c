#include "bus/subscriber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { ROOMS_MAX = 5000 };

/* The first id of a test's own: later than any that Redis gives. */
#define FIRST_ID 9000000000000001ULL

/* A subscriber, rooms for it, and another connection that publishes. */
struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct bus_subscriber *subscriber;
    struct redis_peer peer; /* its loop is everybody's */
    struct {
        struct bus_channel channel;
        char name[24];
    } rooms[ROOMS_MAX];
    struct bus_subscriber_options options;
    unsigned lives, messages, garbage, ups, downs, gaps, losts, refusals;
    bool gathers; /* messages came, and no rest after them */
    struct bus_channel *last;
    uint64_t last_id_during; /* channel->last_id while its message was with us */
    char payload[64];
    size_t payload_len;
    struct bus_channel *drop_on_message; /* dropped, and wanted again if `again` */
    bool again;
};

static struct stage stage;

static void on_live(void *owner, struct bus_channel *channel)
{
    struct stage *own = owner;
    assert_false(own->gathers);
    own->lives++;
    own->last = channel;
    assert_int_equal(channel->state, BUS_CHANNEL_LIVE);
}

static void on_message(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope)
{
    struct stage *own = owner;
    own->messages++;
    own->gathers = true;
    own->last = channel;
    own->last_id_during = channel->last_id;
    own->payload_len = envelope->payload.len;
    memcpy(own->payload, envelope->payload.ptr,
           envelope->payload.len < sizeof own->payload ? envelope->payload.len
                                                       : sizeof own->payload);
    if (own->drop_on_message) {
        bus_subscriber_drop(own->subscriber, own->drop_on_message);
        if (own->again) {
            assert_int_equal(bus_subscriber_want(own->subscriber, own->drop_on_message), OK);
        }
        own->drop_on_message = NULL;
    }
}

static void on_rest(void *owner)
{
    struct stage *own = owner;
    assert_true(own->gathers);
    own->gathers = false;
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    struct stage *own = owner;
    assert_true(channel.len > 0);
    assert_true(err != OK);
    assert_false(own->gathers);
    own->garbage++;
}

static void on_up(void *owner)
{
    struct stage *own = owner;
    own->ups++;
}

static void on_down(void *owner, enum err err, const char *why)
{
    struct stage *own = owner;
    assert_true(err != OK && strlen(why) > 0);
    assert_false(own->gathers);
    own->downs++;
}

static void on_gap(void *owner, struct bus_channel *channel)
{
    struct stage *own = owner;
    assert_false(own->gathers);
    own->gaps++;
    own->last = channel;
}

static void on_lost(void *owner, const char *why)
{
    struct stage *own = owner;
    assert_true(strlen(why) > 0);
    assert_false(own->gathers);
    own->losts++;
}

static void on_passed(void *owner)
{
    const struct stage *own = owner;
    assert_false(own->gathers);
}

static void on_refused(void *owner, struct str why)
{
    struct stage *own = owner;
    assert_true(why.len > 0);
    own->refusals++;
}

static const struct bus_subscriber_ops ops = {
    .on_live = on_live,
    .on_message = on_message,
    .on_rest = on_rest,
    .on_gap = on_gap,
    .on_lost = on_lost,
    .on_passed = on_passed,
    .on_garbage = on_garbage,
    .on_up = on_up,
    .on_down = on_down,
    .on_refused = on_refused,
};

static int set_up(void **state)
{
    *state = &stage;
    stage = (struct stage){0};
    redis_server_start(&stage.server, NULL, false);
    stage.redis = redis_peer_options(&stage.server);
    redis_peer_open(&stage.peer, &stage.redis);
    stage.options = (struct bus_subscriber_options){
        .keys = {STR("guesslyfe:"), 1},
        .redis = &stage.redis,
        .batch = 100,
        .gateway_id = "gateway",
        .history = {[ROOM_MARKET] = {100, 300}},
    };
    stage.subscriber = bus_subscriber_new(stage.peer.loop, &stage.options, &ops, &stage);
    assert_non_null(stage.subscriber);
    for (unsigned i = 0; i < ROOMS_MAX; i++) {
        int len = snprintf(stage.rooms[i].name, sizeof stage.rooms[i].name, "market:%u", i);
        bus_channel_init(&stage.rooms[i].channel, str_range(stage.rooms[i].name, (size_t)len));
    }
    PUMP_UNTIL(stage.peer.loop, stage.peer.ups == 1 && stage.ups == 1);
    return 0;
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    for (unsigned i = 0; i < ROOMS_MAX; i++) {
        bus_subscriber_drop(own->subscriber, &own->rooms[i].channel);
    }
    assert_int_equal(bus_subscriber_count(own->subscriber), 0);
    bus_subscriber_free(own->subscriber);
    redis_peer_close(&own->peer);
    redis_server_stop(&own->server);
    return 0;
}

static void want(struct stage *own, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        assert_int_equal(bus_subscriber_want(own->subscriber, &own->rooms[i].channel), OK);
    }
}

static void want_live(struct stage *own, unsigned from, unsigned to)
{
    unsigned before = own->lives;
    want(own, from, to);
    PUMP_UNTIL(own->peer.loop, own->lives == before + to - from);
}

/* The receivers that Redis counted. */
static unsigned publish(struct stage *own, unsigned room, const char *header, struct str payload)
{
    char channel[64], message[256];
    snprintf(channel, sizeof channel, "guesslyfe:{0}:room:market:%u", room);
    int len = snprintf(message, sizeof message, "%s\n", header);
    memcpy(message + len, payload.ptr, payload.len);
    struct str args[] = {STR("PUBLISH"), str_from(channel), {message, (size_t)len + payload.len}};
    assert_int_equal(redis_peer_send(&own->peer, args, 3), OK);
    PUMP_UNTIL(own->peer.loop, redis_link_pending(own->peer.link) == 0);
    return (unsigned)atoi(own->peer.reply);
}

/* Until Redis and the subscriber have exchanged everything that was said before. */
static void settle(struct stage *own)
{
    unsigned sentinel = ROOMS_MAX - 1;
    want(own, sentinel, ROOMS_MAX);
    PUMP_UNTIL(own->peer.loop, own->rooms[sentinel].channel.state == BUS_CHANNEL_LIVE);
    bus_subscriber_drop(own->subscriber, &own->rooms[sentinel].channel);
    own->last = NULL;
    while (publish(own, sentinel, "0 0 e market:4999", STR("x")) > 0) {
    }
}

static void test_live_then_messages(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 3);
    assert_int_equal(bus_subscriber_count(own->subscriber), 3);
    assert_int_equal(publish(own, 1, "9000000000000001 0 e market:1", STR("pay\0load")), 1);
    PUMP_UNTIL(own->peer.loop, own->messages == 1);
    assert_ptr_equal(own->last, &own->rooms[1].channel);
    assert_int_equal(own->payload_len, 8);
    assert_memory_equal(own->payload, "pay\0load", 8);
    assert_ptr_equal(bus_subscriber_find(own->subscriber, STR("market:2")), &own->rooms[2].channel);
    assert_null(bus_subscriber_find(own->subscriber, STR("market:3")));
}

static void test_last_id_follows_messages_with_an_id(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 1);
    publish(own, 0, "9000000000000001 0 e market:0", STR("x"));
    publish(own, 0, "0 0 e market:0", STR("x"));
    publish(own, 0, "9000000000000004 9000000000000001 e market:0", STR("x"));
    PUMP_UNTIL(own->peer.loop, own->messages == 3);
    assert_int_equal(own->last_id_during, FIRST_ID);
    assert_int_equal(own->rooms[0].channel.last_id, FIRST_ID + 3);
}

static void test_garbage_is_told_apart(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 1);
    publish(own, 0, "no header", STR(""));
    publish(own, 0, "0 0 e market:7", STR("another room's"));
    publish(own, 0, "0 0 e market:7,market:0", STR("ours too"));
    PUMP_UNTIL(own->peer.loop, own->messages == 1);
    assert_int_equal(own->garbage, 2);
}

/* All of them come with one read. */
static void test_messages_are_followed_by_a_rest(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 1);
    static const char *const messages[] = {"0 0 e market:0\nx", "no header", "0 0 e market:0\nx"};
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        struct str args[] = {STR("PUBLISH"), STR("guesslyfe:{0}:room:market:0"),
                             str_from(messages[i])};
        assert_int_equal(redis_peer_send(&own->peer, args, ARRAY_LEN(args)), OK);
    }
    PUMP_UNTIL(own->peer.loop, own->messages == 2);
    assert_int_equal(own->garbage, 1);
    assert_false(own->gathers);
}

static void test_dropped_rooms_are_unsubscribed(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 300);
    for (unsigned i = 0; i < 300; i++) {
        bus_subscriber_drop(own->subscriber, &own->rooms[i].channel);
        bus_subscriber_drop(own->subscriber, &own->rooms[i].channel);
        assert_int_equal(own->rooms[i].channel.state, BUS_CHANNEL_IDLE);
    }
    settle(own);
    assert_int_equal(publish(own, 0, "0 0 e market:0", STR("x")), 0);
    assert_int_equal(publish(own, 299, "0 0 e market:299", STR("x")), 0);
    assert_int_equal(own->messages, 0);
}

static void test_wanted_and_dropped_in_one_turn_asks_nothing(void **state)
{
    struct stage *own = *state;
    want(own, 0, 1);
    bus_subscriber_drop(own->subscriber, &own->rooms[0].channel);
    settle(own);
    assert_int_equal(publish(own, 0, "0 0 e market:0", STR("x")), 0);
    assert_int_equal(own->rooms[0].channel.state, BUS_CHANNEL_IDLE);
}

static void test_dropped_and_wanted_again_at_once(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 1);
    bus_subscriber_drop(own->subscriber, &own->rooms[0].channel);
    want_live(own, 0, 1);
    settle(own);
    assert_int_equal(publish(own, 0, "0 0 e market:0", STR("x")), 1);
    PUMP_UNTIL(own->peer.loop, own->messages == 1);
}

/* The first SUBSCRIBE's confirmation must not make the second wish live: an UNSUBSCRIBE lies
 * between. */
static void test_late_confirmation_is_not_the_new_one(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    want(own, 0, 1);
    PUMP_UNTIL(own->peer.loop, own->rooms[0].channel.state == BUS_CHANNEL_ASKED);
    bus_subscriber_drop(own->subscriber, &own->rooms[0].channel);
    want(own, 0, 1);
    PUMP_UNTIL(own->peer.loop, own->rooms[0].channel.state == BUS_CHANNEL_ASKED);
    redis_server_resume(&own->server);
    settle(own);
    assert_int_equal(own->lives, 2); /* room 0 once, the sentinel once */
    assert_int_equal(own->rooms[0].channel.state, BUS_CHANNEL_LIVE);
    assert_int_equal(publish(own, 0, "0 0 e market:0", STR("x")), 1);
}

static void test_drop_from_on_message(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 1);
    own->drop_on_message = &own->rooms[0].channel;
    publish(own, 0, "9000000000000001 0 e market:0", STR("x"));
    PUMP_UNTIL(own->peer.loop, own->messages == 1);
    assert_int_equal(own->rooms[0].channel.state, BUS_CHANNEL_IDLE);
    own->again = true;
    want_live(own, 0, 1);
    own->drop_on_message = &own->rooms[0].channel;
    publish(own, 0, "9000000000000002 0 e market:0", STR("x"));
    PUMP_UNTIL(own->peer.loop, own->lives == 3);
    assert_true(own->rooms[0].channel.last_id < FIRST_ID); /* a new one knows nothing of before */
}

static void test_many_rooms_survive_a_restart_of_redis(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 2000);
    redis_server_kill(&own->server);
    PUMP_UNTIL(own->peer.loop, own->downs >= 1 && own->peer.downs >= 1);
    assert_false(bus_subscriber_connected(own->subscriber));
    assert_int_not_equal(own->rooms[1].channel.state, BUS_CHANNEL_LIVE);
    bus_subscriber_drop(own->subscriber, &own->rooms[0].channel); /* while it is away */
    want(own, 2000, 2001);
    redis_server_start_again(&own->server);
    PUMP_UNTIL(own->peer.loop, own->lives == 4000 && own->peer.ups == 2);
    assert_int_equal(bus_subscriber_count(own->subscriber), 2000);
    assert_int_equal(publish(own, 0, "0 0 e market:0", STR("x")), 0);
    assert_int_equal(publish(own, 1, "0 0 e market:1", STR("x")), 1);
    assert_int_equal(publish(own, 2000, "0 0 e market:2000", STR("x")), 1);
    PUMP_UNTIL(own->peer.loop, own->messages == 2);
}

static unsigned asked(const struct stage *own, unsigned count)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++) {
        n += own->rooms[i].channel.state == BUS_CHANNEL_ASKED;
    }
    return n;
}

static void test_batches_are_paced_by_confirmations(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    want(own, 0, 2000);
    PUMP_UNTIL(own->peer.loop, asked(own, 2000) > 0);
    uint64_t until = clock_monotonic_ms() + 50;
    PUMP_UNTIL(own->peer.loop, clock_monotonic_ms() > until);
    assert_int_equal(asked(own, 2000), 400);
    redis_server_resume(&own->server);
    PUMP_UNTIL(own->peer.loop, own->lives == 2000);
}

static void test_messages_of_one_channel_stay_in_order(void **state)
{
    struct stage *own = *state;
    want_live(own, 0, 1);
    for (unsigned i = 1; i <= 1000; i++) {
        char message[64];
        int len = snprintf(message, sizeof message, "%llu %llu e market:0\nx", FIRST_ID + i - 1,
                           i > 1 ? FIRST_ID + i - 2 : 0);
        struct str args[] = {
            STR("PUBLISH"), STR("guesslyfe:{0}:room:market:0"), {message, (size_t)len}};
        assert_int_equal(redis_peer_send(&own->peer, args, 3), OK);
    }
    PUMP_UNTIL(own->peer.loop, own->messages == 1000);
    assert_int_equal(own->last_id_during, FIRST_ID + 998);
}

static void subscribe_somehow(void *context)
{
    struct stage *own = context;
    for (unsigned i = 0; i < 3; i++) {
        enum err err = bus_subscriber_want(own->subscriber, &own->rooms[i].channel);
        if (err) {
            assert_int_equal(err, ERR_NOMEM);
            assert_int_equal(own->rooms[i].channel.state, BUS_CHANNEL_IDLE);
            continue;
        }
        PUMP_UNTIL(own->peer.loop, own->rooms[i].channel.state == BUS_CHANNEL_LIVE);
    }
    for (unsigned i = 0; i < 3; i++) {
        bus_subscriber_drop(own->subscriber, &own->rooms[i].channel);
    }
}

static void test_each_allocation_may_fail(void **state)
{
    struct stage *own = *state;
    failing_alloc_each(subscribe_somehow, own);
    want_live(own, 0, 3);
    assert_int_equal(publish(own, 2, "0 0 e market:2", STR("x")), 1);
}

static void open_somehow(void *context)
{
    struct stage *own = context;
    bus_subscriber_free(bus_subscriber_new(own->peer.loop, &own->options, &ops, own));
    assert_int_equal(loop_turn(own->peer.loop, 0), OK);
}

static void test_each_allocation_may_fail_at_birth(void **state)
{
    failing_alloc_each(open_somehow, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_live_then_messages),
        TEST(test_last_id_follows_messages_with_an_id),
        TEST(test_garbage_is_told_apart),
        TEST(test_messages_are_followed_by_a_rest),
        TEST(test_dropped_rooms_are_unsubscribed),
        TEST(test_wanted_and_dropped_in_one_turn_asks_nothing),
        TEST(test_dropped_and_wanted_again_at_once),
        TEST(test_late_confirmation_is_not_the_new_one),
        TEST(test_drop_from_on_message),
        TEST(test_many_rooms_survive_a_restart_of_redis),
        TEST(test_batches_are_paced_by_confirmations),
        TEST(test_messages_of_one_channel_stay_in_order),
        TEST(test_each_allocation_may_fail),
        TEST(test_each_allocation_may_fail_at_birth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

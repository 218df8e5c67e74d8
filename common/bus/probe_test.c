#include "bus/subscriber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forwarder.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { INTERVAL_MS = 50 };

/* A subscriber, whose connections may lead to two different servers. */
struct stage {
    struct redis_server server, other;
    struct forwarder forwarder;
    struct redis_link_options redis;
    struct loop *loop;
    struct bus_subscriber_options options;
    struct bus_subscriber *subscriber;
    struct bus_channel channel;
    char room[8];
    unsigned ups, lives, messages, losts, refusals, garbage;
    char why[128]; /* of the last on_down */
    char refusal[128];
};

static struct stage stage;

static void on_live(void *owner, struct bus_channel *channel)
{
    struct stage *own = owner;
    own->lives++;
    assert_ptr_equal(channel, &own->channel);
}

static void on_message(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope)
{
    struct stage *own = owner;
    own->messages++;
    assert_ptr_equal(channel, &own->channel);
    assert_true(envelope->event.len > 0);
}

static void on_gap(void *owner, struct bus_channel *channel)
{
    (void)owner;
    (void)channel;
}

static void on_lost(void *owner, const char *why)
{
    struct stage *own = owner;
    own->losts++;
    assert_true(strlen(why) > 0);
}

static void on_passed(void *owner)
{
    assert_non_null(owner);
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    struct stage *own = owner;
    own->garbage++;
    assert_true(channel.len > 0 && err != OK);
}

static void on_up(void *owner)
{
    struct stage *own = owner;
    own->ups++;
}

static void on_down(void *owner, enum err err, const char *why)
{
    struct stage *own = owner;
    assert_int_not_equal(err, OK);
    snprintf(own->why, sizeof own->why, "%s", why);
}

static void on_refused(void *owner, struct str why)
{
    struct stage *own = owner;
    own->refusals++;
    snprintf(own->refusal, sizeof own->refusal, STR_FMT, STR_ARG(why));
}

static const struct bus_subscriber_ops ops = {
    .on_live = on_live,
    .on_message = on_message,
    .on_gap = on_gap,
    .on_lost = on_lost,
    .on_passed = on_passed,
    .on_garbage = on_garbage,
    .on_up = on_up,
    .on_down = on_down,
    .on_refused = on_refused,
};

static void open_subscriber(struct stage *own, uint64_t interval_ms, unsigned partitions)
{
    own->options = (struct bus_subscriber_options){
        .keys = {STR("guesslyfe:"), partitions},
        .redis = &own->redis,
        .batch = 100,
        .gateway_id = "gateway",
        .probe_interval_ms = interval_ms,
        .history = {[ROOM_MARKET] = {100, 300}},
    };
    own->loop = loop_new();
    assert_non_null(own->loop);
    own->subscriber = bus_subscriber_new(own->loop, &own->options, &ops, own);
    assert_non_null(own->subscriber);
    memcpy(own->room, "market:1", sizeof own->room);
    bus_channel_init(&own->channel, str_range(own->room, sizeof own->room));
}

static int open_stage(void **state, uint64_t interval_ms, unsigned partitions)
{
    *state = &stage;
    stage = (struct stage){0};
    redis_server_start(&stage.server, NULL, false);
    stage.redis = redis_peer_options(&stage.server);
    open_subscriber(&stage, interval_ms, partitions);
    return 0;
}

static int set_up(void **state)
{
    return open_stage(state, INTERVAL_MS, 1);
}

static int set_up_without_interval(void **state)
{
    return open_stage(state, 0, 1);
}

static int set_up_partitions(void **state)
{
    return open_stage(state, INTERVAL_MS, 8);
}

/* The connection that subscribes leads to a server of the past, the other to the one of today. */
static int set_up_astray(void **state)
{
    *state = &stage;
    stage = (struct stage){0};
    redis_server_start(&stage.server, NULL, false);
    redis_server_start(&stage.other, NULL, false);
    const uint16_t ports[] = {stage.other.port, stage.server.port};
    forwarder_start(&stage.forwarder, ports, ARRAY_LEN(ports));
    stage.redis = redis_peer_options(&stage.server);
    stage.redis.port = stage.forwarder.port;
    open_subscriber(&stage, INTERVAL_MS, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    bus_subscriber_drop(own->subscriber, &own->channel);
    bus_subscriber_free(own->subscriber);
    loop_free(own->loop);
    redis_server_stop(&own->server);
    if (own->forwarder.port) {
        forwarder_stop(&own->forwarder);
        redis_server_stop(&own->other);
    }
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

static void turns(struct stage *own, unsigned ms)
{
    uint64_t until = clock_monotonic_ms() + ms;
    PUMP_UNTIL(own->loop, clock_monotonic_ms() >= until);
}

static void become_ready(struct stage *own)
{
    PUMP_UNTIL(own->loop, bus_subscriber_ready(own->subscriber));
}

static const struct bus_subscriber_stats *stats(const struct stage *own)
{
    return bus_subscriber_stats(own->subscriber);
}

static void test_ready_is_who_hears_itself(void **state)
{
    struct stage *own = *state;
    assert_false(bus_subscriber_ready(own->subscriber));
    assert_int_equal(bus_subscriber_probe_age_ms(own->subscriber), UINT64_MAX);
    become_ready(own);
    assert_true(bus_subscriber_probe_age_ms(own->subscriber) < 10000);
    assert_int_equal(bus_subscriber_epoch(own->subscriber).len, 20);
}

static void test_without_an_interval_one_probe_is_enough(void **state)
{
    struct stage *own = *state;
    become_ready(own);
    turns(own, 3 * INTERVAL_MS);
    assert_true(bus_subscriber_ready(own->subscriber));
    assert_int_equal(stats(own)->probes, 1);
}

static void test_each_partition_is_probed(void **state)
{
    struct stage *own = *state;
    become_ready(own);
    for (unsigned i = 0; i < 8; i++) {
        PUMP_UNTIL(own->loop, bus_subscriber_passed(own->subscriber, i).time > 0);
        uint64_t before = bus_subscriber_passed(own->subscriber, i).time;
        PUMP_UNTIL(own->loop, bus_subscriber_passed(own->subscriber, i).time > before);
    }
    assert_int_equal(stats(own)->probes % 8, 0);
}

static void test_two_servers_are_noticed_and_left(void **state)
{
    struct stage *own = *state;
    PUMP_UNTIL(own->loop, stats(own)->probes_missed == 1);
    assert_false(bus_subscriber_ready(own->subscriber));
    PUMP_UNTIL(own->loop, stats(own)->downs == 1);
    assert_string_equal(own->why, "what is published does not come back");
    assert_int_equal(stats(own)->probes_missed, 2);
    become_ready(own);
    assert_int_equal(forwarder_accepted(&own->forwarder), 4); /* both are new */
}

static void test_rooms_follow_to_the_right_server(void **state)
{
    struct stage *own = *state;
    assert_int_equal(bus_subscriber_want(own->subscriber, &own->channel), OK);
    PUMP_UNTIL(own->loop, own->channel.state == BUS_CHANNEL_LIVE);
    become_ready(own);
    PUMP_UNTIL(own->loop, own->channel.state == BUS_CHANNEL_LIVE);
    const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:{0}:room:market:1"),
                               STR("0 0 event market:1\n{}")};
    assert_non_null(bus_store_ask(bus_subscriber_store(own->subscriber), args, 3, NULL, NULL));
    PUMP_UNTIL(own->loop, own->messages == 1);
}

static void test_refused_probes_keep_the_connections(void **state)
{
    struct stage *own = *state;
    become_ready(own);
    tell(own, "ACL SETUSER default -publish");
    PUMP_UNTIL(own->loop, own->refusals >= 5);
    assert_false(bus_subscriber_ready(own->subscriber));
    assert_true(strlen(own->refusal) > 0);
    assert_int_equal(stats(own)->downs, 0);
    tell(own, "ACL SETUSER default +publish");
    become_ready(own);
}

/* What catching up waits for can't come: it goes on with what it has. */
static void test_refused_probes_do_not_hold_messages_back(void **state)
{
    struct stage *own = *state;
    assert_int_equal(bus_subscriber_want(own->subscriber, &own->channel), OK);
    PUMP_UNTIL(own->loop, own->lives == 1);
    tell(own, "ACL SETUSER default -publish");
    tell(own, "CLIENT KILL TYPE pubsub");
    PUMP_UNTIL(own->loop, own->lives == 2);
}

static void test_silence_while_paused_is_no_silence(void **state)
{
    struct stage *own = *state;
    become_ready(own);
    bus_subscriber_pause(own->subscriber);
    turns(own, 6 * INTERVAL_MS);
    assert_int_equal(stats(own)->downs, 0);
    bus_subscriber_resume(own->subscriber);
    become_ready(own);
    assert_int_equal(stats(own)->downs, 0);
}

static void test_a_lost_connection_is_not_ready_until_a_probe_is_back(void **state)
{
    struct stage *own = *state;
    become_ready(own);
    redis_server_kill(&own->server);
    PUMP_UNTIL(own->loop, !bus_subscriber_ready(own->subscriber));
    redis_server_start_again(&own->server);
    PUMP_UNTIL(own->loop, bus_subscriber_connected(own->subscriber));
    assert_false(bus_subscriber_ready(own->subscriber));
    become_ready(own);
    assert_int_equal(own->losts, 1); /* it came back empty */
}

static void test_a_primary_that_becomes_a_replica_is_left(void **state)
{
    struct stage *own = *state;
    char answer[64];
    become_ready(own);
    redis_server_ask(&own->server, "REPLICAOF 127.0.0.1 1", answer, sizeof answer);
    PUMP_UNTIL(own->loop, stats(own)->downs > 0);
    assert_false(bus_subscriber_ready(own->subscriber));
    redis_server_ask(&own->server, "REPLICAOF NO ONE", answer, sizeof answer);
    become_ready(own);
}

static void tell_gateway(struct stage *own, struct str message)
{
    const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:to:gateway"), message};
    assert_non_null(bus_store_ask(bus_subscriber_store(own->subscriber), args, 3, NULL, NULL));
}

static void test_false_probes_do_no_harm(void **state)
{
    static const char *const payloads[] = {"", "0", "x 1", "0 x", "99 1", "0 18446744073709551616"};
    struct stage *own = *state;
    char message[64];
    become_ready(own);
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        snprintf(message, sizeof message, "5 0 probe -\n%s", payloads[i]);
        tell_gateway(own, str_from(message));
    }
    uint64_t before = bus_subscriber_passed(own->subscriber, 0).time;
    PUMP_UNTIL(own->loop, bus_subscriber_passed(own->subscriber, 0).time > before);
    assert_int_equal(own->garbage, 0);
    assert_true(bus_subscriber_ready(own->subscriber));
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ready_is_who_hears_itself, set_up),
        TEST(test_without_an_interval_one_probe_is_enough, set_up_without_interval),
        TEST(test_each_partition_is_probed, set_up_partitions),
        TEST(test_two_servers_are_noticed_and_left, set_up_astray),
        TEST(test_rooms_follow_to_the_right_server, set_up_astray),
        TEST(test_refused_probes_keep_the_connections, set_up),
        TEST(test_refused_probes_do_not_hold_messages_back, set_up_without_interval),
        TEST(test_silence_while_paused_is_no_silence, set_up),
        TEST(test_a_lost_connection_is_not_ready_until_a_probe_is_back, set_up),
        TEST(test_a_primary_that_becomes_a_replica_is_left, set_up),
        TEST(test_false_probes_do_no_harm, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

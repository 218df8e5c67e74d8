#include "bus/publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/envelope.h"
#include "failing_alloc.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { OUTCOMES_MAX = 2000 };

struct outcome {
    enum err err;
    struct bus_published published;
    char refusal[128];
};

struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct redis_peer peer; /* carries the publisher and the test's own commands */
    struct bus_publish_options options;
    struct bus_publisher *publisher;
    unsigned done;
    struct outcome outcomes[OUTCOMES_MAX];
};

static struct stage stage;

static int open_stage(void **state, const char *const *args)
{
    *state = &stage;
    stage = (struct stage){
        .options = {.keys = {STR("guesslyfe:"), 1},
                    .history = {{5, 300}, {5, 300}, {5, 86400}, {0, 1}},
                    .once_seconds = 100},
    };
    redis_server_start(&stage.server, args, false);
    stage.redis = redis_peer_options(&stage.server);
    redis_peer_open(&stage.peer, &stage.redis);
    stage.publisher = bus_publisher_new(stage.peer.link, &stage.options);
    assert_non_null(stage.publisher);
    PUMP_UNTIL(stage.peer.loop, stage.peer.ups == 1);
    return 0;
}

static int set_up(void **state)
{
    return open_stage(state, NULL);
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    bus_publisher_free(own->publisher);
    redis_peer_close(&own->peer);
    redis_server_stop(&own->server);
    return 0;
}

static struct room_name room(const char *text)
{
    struct room_name name = {.kind = ROOM_MARKET, .len = (unsigned char)strlen(text)};
    const char *const kinds[] = {"market:", "creator:", "user:", "global:"};
    for (unsigned kind = 0; kind < ROOM_KINDS; kind++) {
        if (strncmp(text, kinds[kind], strlen(kinds[kind])) == 0) {
            name.kind = kind;
        }
    }
    memcpy(name.text, text, name.len);
    return name;
}

static void on_done(void *context, enum err err, const struct bus_published *published,
                    struct str refusal)
{
    struct stage *own = context;
    struct outcome *outcome = &own->outcomes[own->done++];
    outcome->err = err;
    if (published) {
        outcome->published = *published;
    }
    snprintf(outcome->refusal, sizeof outcome->refusal, STR_FMT, STR_ARG(refusal));
}

static enum err send(struct stage *own, const char *first, const char *second, struct str payload,
                     const char *once)
{
    struct room_name rooms[2];
    rooms[0] = room(first);
    if (second) {
        rooms[1] = room(second);
    }
    const struct bus_event event = {
        .name = STR("market:trade"),
        .rooms = rooms,
        .room_count = second ? 2 : 1,
        .payload = payload,
        .once = str_from(once),
    };
    return bus_publish(own->publisher, &event, on_done, own);
}

/* Publishes and waits. */
static const struct outcome *publish(struct stage *own, const char *first, const char *second,
                                     const char *payload, const char *once)
{
    unsigned before = own->done;
    assert_int_equal(send(own, first, second, str_from(payload), once), OK);
    PUMP_UNTIL(own->peer.loop, own->done == before + 1);
    return &own->outcomes[before];
}

static uint64_t publish_id(struct stage *own, const char *first, const char *payload)
{
    const struct outcome *outcome = publish(own, first, NULL, payload, NULL);
    if (outcome->err) {
        fail_msg("%s: %s", err_name(outcome->err), outcome->refusal);
    }
    return outcome->published.id;
}

static const char *ask(struct stage *own, const char *command)
{
    redis_peer_ask(&own->peer, command);
    return own->peer.reply;
}

static void test_message_in_log_and_channel(void **state)
{
    struct stage *own = *state;
    struct redis_peer reader;
    redis_peer_open(&reader, &own->redis);
    PUMP_UNTIL(reader.loop, reader.ups == 1);
    assert_int_equal(redis_peer_tell(&reader, "SUBSCRIBE guesslyfe:{0}:room:user:x "
                                              "guesslyfe:{0}:room:market:1"),
                     OK);
    PUMP_UNTIL(reader.loop, reader.pushes == 2);
    const struct outcome *outcome = publish(own, "market:1", "user:x", "{}", NULL);
    assert_int_equal(outcome->err, OK);
    assert_int_equal(outcome->published.receivers, 2);
    assert_false(outcome->published.duplicate);
    int64_t age_ms = clock_wall_ms() - (int64_t)(outcome->published.id / 1000);
    assert_in_range(age_ms + 60000, 0, 120000); /* microseconds since 1970 */

    char expected[256];
    snprintf(expected, sizeof expected, "%llu 0 market:trade market:1,user:x\n{}",
             (unsigned long long)outcome->published.id);
    assert_string_equal(ask(own, "LINDEX guesslyfe:{0}:log:market:1 0"), expected);
    assert_string_equal(ask(own, "LINDEX guesslyfe:{0}:log:user:x 0"), expected);
    PUMP_UNTIL(reader.loop, reader.pushes == 4);
    assert_non_null(strstr(reader.push, expected));
    redis_peer_close(&reader);
}

static void test_chain_of_previous_ids(void **state)
{
    struct stage *own = *state;
    uint64_t a = publish_id(own, "market:1", "a");
    uint64_t b = publish_id(own, "market:2", "b");
    uint64_t c = publish_id(own, "market:1", "c");
    assert_true(a < b && b < c);
    char expected[256];
    snprintf(expected, sizeof expected, "%llu %llu market:trade market:1\nc", (unsigned long long)c,
             (unsigned long long)a);
    assert_string_equal(ask(own, "LINDEX guesslyfe:{0}:log:market:1 -1"), expected);
}

static void test_logs_are_cut_exactly_and_expire(void **state)
{
    struct stage *own = *state;
    uint64_t ids[12];
    for (unsigned i = 0; i < 12; i++) {
        ids[i] = publish_id(own, "market:1", "x");
        unsigned length = (unsigned)atoi(ask(own, "LLEN guesslyfe:{0}:log:market:1"));
        assert_int_equal(length, i < 5 ? i + 1 : 5);
    }
    char expected[256];
    snprintf(expected, sizeof expected, "%llu %llu ", (unsigned long long)ids[7],
             (unsigned long long)ids[6]);
    assert_non_null(strstr(ask(own, "LINDEX guesslyfe:{0}:log:market:1 0"), expected));
    assert_in_range(atoi(ask(own, "TTL guesslyfe:{0}:log:market:1")), 290, 300);
    publish_id(own, "user:x", "x");
    assert_in_range(atoi(ask(own, "TTL guesslyfe:{0}:log:user:x")), 86390, 86400);
}

static void test_a_length_of_zero_keeps_nothing_but_publishes(void **state)
{
    struct stage *own = *state;
    uint64_t a = publish_id(own, "global:all", "x");
    uint64_t b = publish_id(own, "global:all", "x");
    assert_true(0 < a && a < b);
    assert_string_equal(ask(own, "EXISTS guesslyfe:{0}:log:global:all"), "0");
}

static void test_ids_increase_when_the_clock_key_is_ahead(void **state)
{
    struct stage *own = *state;
    ask(own, "SET guesslyfe:{0}:clock 5000000000000000");
    assert_int_equal(publish_id(own, "market:1", "x"), 5000000000000001);
    assert_int_equal(publish_id(own, "market:1", "x"), 5000000000000002);
    ask(own, "SET guesslyfe:{0}:clock 9007199254740991");
    const struct outcome *outcome = publish(own, "market:1", NULL, "x", NULL);
    assert_int_equal(outcome->err, ERR_DENIED);
    assert_non_null(strstr(outcome->refusal, "clock"));
}

static void test_ids_strictly_increase_in_a_burst(void **state)
{
    struct stage *own = *state;
    for (unsigned i = 0; i < OUTCOMES_MAX; i++) {
        assert_int_equal(send(own, i % 2 ? "market:1" : "user:x", NULL, STR("x"), NULL), OK);
    }
    PUMP_UNTIL(own->peer.loop, own->done == OUTCOMES_MAX);
    uint64_t last = 0;
    for (unsigned i = 0; i < OUTCOMES_MAX; i++) {
        assert_int_equal(own->outcomes[i].err, OK);
        assert_true(own->outcomes[i].published.id > last);
        last = own->outcomes[i].published.id;
    }
}

static void test_idempotency(void **state)
{
    struct stage *own = *state;
    const struct outcome *first = publish(own, "market:1", NULL, "x", "key 1");
    own->options.once_seconds = 200;
    const struct outcome *again = publish(own, "market:1", NULL, "y", "key 1");
    const struct outcome *other = publish(own, "market:1", NULL, "z", "key 2");
    assert_int_equal(again->err, OK);
    assert_true(again->published.duplicate);
    assert_int_equal(again->published.receivers, 0);
    assert_int_equal(again->published.id, first->published.id);
    assert_false(first->published.duplicate);
    assert_false(other->published.duplicate);
    assert_true(other->published.id > first->published.id);
    assert_string_equal(ask(own, "LLEN guesslyfe:{0}:log:market:1"), "2");
    struct str ttl[] = {STR("TTL"), STR("guesslyfe:{0}:once:key 1")};
    assert_int_equal(redis_peer_send(&own->peer, ttl, 2), OK);
    PUMP_UNTIL(own->peer.loop, redis_link_pending(own->peer.link) == 0);
    assert_in_range(atoi(own->peer.reply), 190, 200); /* renewed */
}

static void keep_entry(void *context, enum err err, const struct redisReply *reply)
{
    struct bus_envelope *envelope = context;
    static char copy[64];
    assert_int_equal(err, OK);
    assert_in_range(reply->len, 1, sizeof copy);
    memcpy(copy, reply->str, reply->len);
    assert_int_equal(bus_envelope_parse((struct str){copy, reply->len}, envelope), OK);
}

static void test_payloads_are_any_bytes(void **state)
{
    struct stage *own = *state;
    struct str payload = STR("\0\n\r\xff $1\r\n%d");
    assert_int_equal(send(own, "market:1", NULL, payload, NULL), OK);
    struct str lindex[] = {STR("LINDEX"), STR("guesslyfe:{0}:log:market:1"), STR("0")};
    struct bus_envelope envelope = {0};
    assert_int_equal(redis_link_send(own->peer.link, lindex, 3, keep_entry, &envelope), OK);
    PUMP_UNTIL(own->peer.loop, redis_link_pending(own->peer.link) == 0);
    assert_int_equal(own->done, 1);
    assert_int_equal(envelope.id, own->outcomes[0].published.id);
    assert_true(str_eq(envelope.payload, payload));
}

static void test_forgotten_scripts_are_sent_again_in_order(void **state)
{
    struct stage *own = *state;
    publish_id(own, "market:1", "x");
    for (unsigned i = 0; i < 20; i++) {
        if (i % 5 == 2) {
            assert_int_equal(redis_peer_tell(&own->peer, "SCRIPT FLUSH"), OK);
        }
        assert_int_equal(send(own, "market:1", NULL, STR("x"), NULL), OK);
    }
    PUMP_UNTIL(own->peer.loop, own->done == 21);
    uint64_t last = 0;
    for (unsigned i = 0; i < 21; i++) {
        assert_int_equal(own->outcomes[i].err, OK);
        assert_true(own->outcomes[i].published.id > last);
        last = own->outcomes[i].published.id;
    }
}

static unsigned long long calls_of(struct stage *own, const char *command)
{
    char pattern[64], answer[16384];
    snprintf(pattern, sizeof pattern, "cmdstat_%s:calls=", command);
    redis_server_ask(&own->server, "INFO commandstats", answer, sizeof answer);
    const char *found = strstr(answer, pattern);
    return found ? strtoull(found + strlen(pattern), NULL, 10) : 0;
}

static void test_each_connection_gets_the_script_once(void **state)
{
    struct stage *own = *state;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(send(own, "market:1", NULL, STR("x"), NULL), OK);
    }
    PUMP_UNTIL(own->peer.loop, own->done == 10);
    assert_int_equal(calls_of(own, "eval"), 1);
    assert_int_equal(calls_of(own, "evalsha"), 9);
    redis_server_kill(&own->server);
    PUMP_UNTIL(own->peer.loop, own->peer.downs == 1);
    assert_int_equal(send(own, "market:1", NULL, STR("x"), NULL), ERR_CLOSED);
    redis_server_start_again(&own->server);
    PUMP_UNTIL(own->peer.loop, own->peer.ups == 2);
    publish_id(own, "market:1", "x");
    assert_int_equal(calls_of(own, "eval"), 1);
}

static void test_lost_connection_leaves_it_unknown(void **state)
{
    struct stage *own = *state;
    redis_server_pause(&own->server);
    assert_int_equal(send(own, "market:1", NULL, STR("x"), NULL), OK);
    redis_server_kill(&own->server);
    PUMP_UNTIL(own->peer.loop, own->done == 1);
    assert_int_equal(own->outcomes[0].err, ERR_CLOSED);
}

static void test_limits(void **state)
{
    struct stage *own = *state;
    struct str large = {calloc(1, BUS_PAYLOAD_MAX + 1), BUS_PAYLOAD_MAX + 1};
    assert_non_null(large.ptr);
    assert_int_equal(send(own, "market:1", NULL, large, NULL), ERR_LIMIT);
    large.len--;
    unsigned sent = 0;
    enum err err = OK;
    while (!(err = send(own, "market:1", NULL, large, NULL))) {
        sent++;
    }
    assert_int_equal(err, ERR_LIMIT);
    assert_in_range(sent, 30, 64);
    PUMP_UNTIL(own->peer.loop, own->done == sent);
    assert_int_equal(own->outcomes[sent - 1].err, OK);
    free((char *)large.ptr);
}

/* CRC-16 puts market:1 and user:x into different ones of 8 partitions; found by trying. */
static void test_rooms_of_several_partitions(void **state)
{
    struct stage *own = *state;
    own->options.keys.partitions = 8;
    unsigned first = bus_partition(&own->options.keys, STR("market:1"));
    unsigned second = bus_partition(&own->options.keys, STR("user:x"));
    assert_int_not_equal(first, second);
    char command[128];
    snprintf(command, sizeof command, "SET guesslyfe:{%u}:clock 6000000000000000", first);
    ask(own, command);
    const struct outcome *outcome = publish(own, "market:1", "user:x", "x", "key");
    assert_int_equal(outcome->err, OK);
    assert_int_equal(outcome->published.id, 6000000000000001); /* of the first room's partition */
    snprintf(command, sizeof command, "LINDEX guesslyfe:{%u}:log:user:x 0", second);
    assert_non_null(strstr(ask(own, command), " 0 market:trade market:1,user:x\nx"));

    /* A retry completes what only one partition has got. */
    snprintf(command, sizeof command, "DEL guesslyfe:{%u}:once:key guesslyfe:{%u}:log:user:x",
             second, second);
    ask(own, command);
    outcome = publish(own, "market:1", "user:x", "x", "key");
    assert_true(outcome->published.duplicate);
    assert_int_equal(outcome->published.id, 6000000000000001);
    snprintf(command, sizeof command, "LLEN guesslyfe:{%u}:log:user:x", second);
    assert_string_equal(ask(own, command), "1");
}

static void expect_refusal(struct stage *own, const char *text)
{
    const struct outcome *outcome = publish(own, "market:1", NULL, "x", NULL);
    assert_int_equal(outcome->err, ERR_DENIED);
    if (!strstr(outcome->refusal, text)) {
        fail_msg("\"%s\" instead of %s", outcome->refusal, text);
    }
}

static void test_refusals_of_redis(void **state)
{
    struct stage *own = *state;
    ask(own, "CONFIG SET min-replicas-to-write 1");
    expect_refusal(own, "NOREPLICAS");
    ask(own, "CONFIG SET min-replicas-to-write 0");
    ask(own, "CONFIG SET maxmemory 1");
    expect_refusal(own, "OOM");
    ask(own, "CONFIG SET maxmemory 0");
    ask(own, "REPLICAOF 127.0.0.1 1");
    expect_refusal(own, "READONLY");
    ask(own, "REPLICAOF NO ONE");
    ask(own, "SET guesslyfe:{0}:log:market:1 string");
    expect_refusal(own, "WRONGTYPE");
    ask(own, "DEL guesslyfe:{0}:log:market:1");
    publish_id(own, "market:1", "x");
}

static void test_freed_with_calls_in_flight(void **state)
{
    struct stage *own = *state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send(own, "market:1", NULL, STR("x"), NULL), OK);
    }
    bus_publisher_free(own->publisher);
    own->publisher = NULL;
    assert_int_equal(own->done, 3);
    assert_int_equal(own->outcomes[2].err, ERR_CLOSED);
    ask(own, "PING"); /* behind their answers */
    assert_int_equal(own->done, 3);
}

static void on_last_word(void *context, enum err err, const struct bus_published *published,
                         struct str refusal)
{
    if (err != ERR_AGAIN) {
        on_done(context, err, published, refusal);
    }
}

/* The rights that docs/protocol.md says are enough, in a Redis where nothing else is allowed. */
static void test_documented_rights_are_enough(void **state)
{
    struct stage *own = *state;
    ask(own, "ACL SETUSER pub on >p ~guesslyfe:* resetchannels &guesslyfe:* -@all +eval +evalsha "
             "+get");
    ask(own, "ACL SETUSER pub +set +time +lindex +rpush +ltrim +expire +publish +ping +select "
             "+client|setname +role +wait");
    ask(own, "ACL SETUSER gate on >g resetchannels &guesslyfe:* -@all +subscribe +unsubscribe "
             "+ping +select +role");
    struct redis_peer gate, pub;
    struct redis_link_options options = own->redis;
    options.user = "gate";
    options.password = "g";
    redis_peer_open(&gate, &options);
    PUMP_UNTIL(gate.loop, gate.ups == 1);
    assert_int_equal(redis_peer_tell(&gate, "SUBSCRIBE guesslyfe:{0}:room:market:1"), OK);
    PUMP_UNTIL(gate.loop, gate.pushes == 1);
    options.user = "pub";
    options.password = "p";
    redis_peer_open(&pub, &options);
    PUMP_UNTIL(pub.loop, pub.ups == 1);
    struct bus_publisher *publisher = bus_publisher_new(pub.link, &own->options);
    struct room_name rooms[] = {room("market:1")};
    const struct bus_event event = {STR("e"), rooms, 1, STR("x"), STR("key"), 0, 0};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bus_publish(publisher, &event, on_done, own), OK);
        PUMP_UNTIL(pub.loop, own->done == i + 1);
        assert_string_equal(own->outcomes[i].refusal, "");
        assert_int_equal(own->outcomes[i].err, OK);
    }
    assert_int_equal(own->outcomes[0].published.receivers, 1);
    PUMP_UNTIL(gate.loop, gate.pushes == 2);
    const struct bus_event replicated = {STR("e"), rooms, 1, STR("x"), STR(""), 1, 0};
    assert_int_equal(bus_publish(publisher, &replicated, on_last_word, own), OK);
    PUMP_UNTIL(pub.loop, own->done == 3);
    assert_int_equal(own->outcomes[2].err, ERR_TIMEOUT); /* there is none, but it may ask */
    bus_publisher_free(publisher);
    redis_peer_close(&pub);
    redis_peer_close(&gate);
}

/* The usual slip in an ACL: the keys are granted, the channels forgotten. */
static void test_a_refusal_leaves_nothing_behind(void **state)
{
    struct stage *own = *state;
    ask(own, "ACL SETUSER mute on >p ~guesslyfe:* resetchannels +@all");
    struct redis_peer mute;
    struct redis_link_options options = own->redis;
    options.user = "mute";
    options.password = "p";
    redis_peer_open(&mute, &options);
    PUMP_UNTIL(mute.loop, mute.ups == 1);
    struct bus_publisher *publisher = bus_publisher_new(mute.link, &own->options);
    struct room_name rooms[] = {room("market:1"), room("user:x")};
    const struct bus_event event = {STR("e"), rooms, 2, STR("x"), STR("key"), 0, 0};
    assert_int_equal(bus_publish(publisher, &event, on_done, own), OK);
    PUMP_UNTIL(mute.loop, own->done == 1);
    assert_int_equal(own->outcomes[0].err, ERR_DENIED);
    ask(own, "EXISTS guesslyfe:{0}:log:market:1 guesslyfe:{0}:log:user:x guesslyfe:{0}:once:key");
    assert_string_equal(own->peer.reply, "0");
    bus_publisher_free(publisher);
    redis_peer_close(&mute);
}

/* Told to the caller, or by the callback where it hit the answer. */
static void publish_or_nothing(void *context)
{
    struct stage *own = context;
    PUMP_UNTIL(own->peer.loop, redis_link_state(own->peer.link) == REDIS_LINK_UP);
    own->done = 0;
    enum err err = send(own, "market:1", "user:x", STR("x"), NULL);
    if (err) {
        assert_int_equal(err, ERR_NOMEM);
        assert_int_equal(own->done, 0);
        return;
    }
    PUMP_UNTIL(own->peer.loop, own->done == 1);
    assert_true(own->outcomes[0].err == OK || own->outcomes[0].err == ERR_CLOSED);
}

static void test_each_allocation_may_fail(void **state)
{
    struct stage *own = *state;
    failing_alloc_each(publish_or_nothing, own);
    own->options.keys.partitions = 8; /* two calls */
    failing_alloc_each(publish_or_nothing, own);
    assert_true(publish_id(own, "market:1", "x") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_message_in_log_and_channel),
        TEST(test_chain_of_previous_ids),
        TEST(test_logs_are_cut_exactly_and_expire),
        TEST(test_a_length_of_zero_keeps_nothing_but_publishes),
        TEST(test_ids_increase_when_the_clock_key_is_ahead),
        TEST(test_ids_strictly_increase_in_a_burst),
        TEST(test_idempotency),
        TEST(test_payloads_are_any_bytes),
        TEST(test_forgotten_scripts_are_sent_again_in_order),
        TEST(test_each_connection_gets_the_script_once),
        TEST(test_lost_connection_leaves_it_unknown),
        TEST(test_limits),
        TEST(test_rooms_of_several_partitions),
        TEST(test_refusals_of_redis),
        TEST(test_freed_with_calls_in_flight),
        TEST(test_documented_rights_are_enough),
        TEST(test_a_refusal_leaves_nothing_behind),
        TEST(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "bus/subscriber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/script.h"
#include "failing_alloc.h"
#include "redis_peer.h"
#include "util/clock.h"

enum {
    ROOMS = 2000,
    IDS_MAX = 512, /* events of one room in one test */
    PARTITIONS_MAX = 3,
    PLAYED = 10, /* rooms in which anything happens; those up to KEPT stay wanted */
    KEPT = 5,
};

/* A room, and what was published in it against what came. */
struct room {
    struct bus_channel channel;
    char name[24], topic[64], log[64], clock[64];
    unsigned partition;
    uint64_t sent[IDS_MAX];
    unsigned sent_count, got, lives, gaps;
    uint64_t place; /* the last event that came, or where the room was entered */
    bool anew;      /* the next that is heard of the room tells its place: nothing else is known */
};

/*
 * A subscriber, and a blocking connection beside it: what is published there happens while the
 * subscriber stands still.
 */
struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct loop *loop;
    redisContext *direct;
    struct bus_subscriber_options options;
    struct bus_subscriber *subscriber;
    struct room rooms[ROOMS];
    uint64_t newest[PARTITIONS_MAX]; /* that was handed on */
    bool disorder;                   /* a break is repaired late */
    unsigned messages, ups, losts, garbage, refusals, plain;
    uint64_t plain_after; /* id of the event that came before the last message without an id */
    struct room *drop_on_gap;
    unsigned pause_at; /* when so many messages have come; 0: never */
    bool unheard;      /* some events do not come on their channels */
    bool restless;     /* rooms come and go from inside callbacks */
};

static struct stage stage;

/* --- What the subscriber tells, judged at once --- */

static uint64_t next_sent(const struct room *room, uint64_t after)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = room->sent_count; i > 0 && room->sent[i - 1] > after; i--) {
        next = room->sent[i - 1];
    }
    return next;
}

static void want(struct stage *own, struct room *room)
{
    room->anew = true;
    assert_int_equal(bus_subscriber_want(own->subscriber, &room->channel), OK);
}

static void come_or_go(struct stage *own, struct room *room)
{
    if (room->channel.state == BUS_CHANNEL_IDLE) {
        want(own, room);
    } else {
        bus_subscriber_drop(own->subscriber, &room->channel);
    }
}

/* Some room, be it that of the callback. */
static void be_restless(struct stage *own, uint64_t number)
{
    if (own->restless && number % 7 == 0) {
        come_or_go(own, &own->rooms[KEPT + number / 7 % (PLAYED - KEPT)]);
    }
}

static void take_place(struct room *room)
{
    if (room->anew) {
        room->place = room->channel.last_id;
        room->anew = false;
    }
}

static void on_live(void *owner, struct bus_channel *channel)
{
    struct stage *own = owner;
    struct room *room = container_of(channel, struct room, channel);
    take_place(room);
    room->lives++;
    assert_int_equal(channel->state, BUS_CHANNEL_LIVE);
    assert_true(next_sent(room, room->place) > channel->last_id); /* nothing was skipped */
    be_restless(own, room->lives);
}

static void take_event(struct stage *own, struct room *room, uint64_t id)
{
    uint64_t *newest = &own->newest[room->partition];
    if (!room->anew) {
        assert_int_equal(id, next_sent(room, room->place));
    }
    assert_true(own->disorder || id >= *newest);
    *newest = id > *newest ? id : *newest;
    room->place = id;
    room->anew = false;
    room->got++;
}

static void on_message(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope)
{
    struct stage *own = owner;
    struct room *room = container_of(channel, struct room, channel);
    own->messages++;
    if (envelope->id > 0) {
        take_event(own, room, envelope->id);
    } else {
        own->plain++;
        own->plain_after = room->place;
    }
    if (own->messages == own->pause_at) {
        bus_subscriber_pause(own->subscriber);
    }
    be_restless(own, own->messages);
}

static void on_gap(void *owner, struct bus_channel *channel)
{
    struct stage *own = owner;
    struct room *room = container_of(channel, struct room, channel);
    room->gaps++;
    room->anew = true;
    if (own->drop_on_gap) {
        bus_subscriber_drop(own->subscriber, &own->drop_on_gap->channel);
    }
    be_restless(own, own->messages + room->gaps);
}

static void on_lost(void *owner, const char *why)
{
    struct stage *own = owner;
    assert_true(strlen(why) > 0);
    own->losts++;
    for (unsigned i = 0; i < ROOMS; i++) {
        own->rooms[i].anew = true;
    }
}

static void on_passed(void *owner)
{
    assert_non_null(owner);
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    struct stage *own = owner;
    assert_true(channel.len > 0 && err != OK);
    own->garbage++;
}

static void on_up(void *owner)
{
    struct stage *own = owner;
    own->ups++;
}

static void on_down(void *owner, enum err err, const char *why)
{
    (void)owner;
    assert_true(err != OK && strlen(why) > 0);
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
    .on_gap = on_gap,
    .on_lost = on_lost,
    .on_passed = on_passed,
    .on_garbage = on_garbage,
    .on_up = on_up,
    .on_down = on_down,
    .on_refused = on_refused,
};

/* --- The stage --- */

static void connect_directly(struct stage *own)
{
    if (own->direct) {
        redisFree(own->direct);
    }
    own->direct = redisConnect("127.0.0.1", own->server.port);
    assert_true(own->direct && !own->direct->err);
    for (bool loading = true; loading;) { /* what it has kept */
        redisReply *reply = redisCommand(own->direct, "PING");
        assert_non_null(reply);
        loading = reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
    }
}

static void copy_name(char *out, size_t cap, enum err err, struct buf *name)
{
    assert_int_equal(err, OK);
    snprintf(out, cap, STR_FMT, STR_ARG(buf_str(name)));
    buf_clear(name);
}

/* Made once, so that publishing takes no memory that could fail. */
static void name_room(struct room *room, unsigned i, const struct bus_keys *keys)
{
    struct buf name = {0};
    int len = snprintf(room->name, sizeof room->name, "market:%u", i);
    struct str text = {room->name, (size_t)len};
    room->partition = bus_partition(keys, text);
    copy_name(room->topic, sizeof room->topic, bus_channel_name(keys, text, &name), &name);
    copy_name(room->log, sizeof room->log, bus_log_key(keys, text, &name), &name);
    copy_name(room->clock, sizeof room->clock, bus_clock_key(keys, room->partition, &name), &name);
    buf_fini(&name);
    bus_channel_init(&room->channel, text);
}

struct setting {
    unsigned partitions, length, age_seconds;
    uint64_t probe_interval_ms;
    const char *const *redis;
};

static int open_stage(void **state, struct setting setting)
{
    *state = &stage;
    stage = (struct stage){
        .options = {.keys = {STR("guesslyfe:"), setting.partitions},
                    .batch = 100,
                    .gateway_id = "gateway",
                    .probe_interval_ms = setting.probe_interval_ms,
                    .history = {[ROOM_MARKET] = {setting.length, setting.age_seconds}}},
    };
    redis_server_start(&stage.server, setting.redis, false);
    stage.redis = redis_peer_options(&stage.server);
    stage.options.redis = &stage.redis;
    connect_directly(&stage);
    for (unsigned i = 0; i < ROOMS; i++) {
        name_room(&stage.rooms[i], i, &stage.options.keys);
    }
    stage.loop = loop_new();
    assert_non_null(stage.loop);
    stage.subscriber = bus_subscriber_new(stage.loop, &stage.options, &ops, &stage);
    assert_non_null(stage.subscriber);
    PUMP_UNTIL(stage.loop, stage.ups == 1 && bus_subscriber_epoch(stage.subscriber).len > 0);
    return 0;
}

static int set_up(void **state)
{
    return open_stage(state, (struct setting){1, 100, 300, 0, NULL});
}

static int set_up_short(void **state)
{
    return open_stage(state, (struct setting){1, 3, 1, 0, NULL});
}

static int set_up_without_history(void **state)
{
    return open_stage(state, (struct setting){1, 0, 300, 0, NULL});
}

static int set_up_probing(void **state)
{
    return open_stage(state, (struct setting){1, 100, 300, 50, NULL});
}

static int set_up_partitions(void **state)
{
    return open_stage(state, (struct setting){PARTITIONS_MAX, 500, 300, 0, NULL});
}

static int set_up_long(void **state)
{
    return open_stage(state, (struct setting){1, 500, 300, 0, NULL});
}

static int set_up_long_probing(void **state)
{
    return open_stage(state, (struct setting){1, 500, 300, 50, NULL});
}

static int set_up_lasting(void **state)
{
    static const char *const redis[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    return open_stage(state, (struct setting){1, 100, 300, 50, redis});
}

static void drop_all(struct stage *own)
{
    for (unsigned i = 0; i < ROOMS; i++) {
        bus_subscriber_drop(own->subscriber, &own->rooms[i].channel);
    }
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    assert_int_equal(own->garbage, 0);
    drop_all(own);
    bus_subscriber_free(own->subscriber);
    loop_free(own->loop);
    redisFree(own->direct);
    redis_server_stop(&own->server);
    return 0;
}

/* --- What tests do --- */

static bool all_live(const struct stage *own)
{
    for (unsigned i = 0; i < ROOMS; i++) {
        enum bus_channel_state state = own->rooms[i].channel.state;
        if (state != BUS_CHANNEL_IDLE && state != BUS_CHANNEL_LIVE) {
            return false;
        }
    }
    return true;
}

static void want_live(struct stage *own, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        want(own, &own->rooms[i]);
    }
    PUMP_UNTIL(own->loop, all_live(own));
}

/* Whether all that was published has come. */
static bool caught_up(struct stage *own)
{
    const struct bus_subscriber_stats *stats = bus_subscriber_stats(own->subscriber);
    if (!all_live(own) || stats->behind > 0 || stats->held_bytes > 0) {
        return false;
    }
    for (unsigned i = 0; i < ROOMS; i++) {
        struct room *room = &own->rooms[i];
        if (room->channel.state == BUS_CHANNEL_LIVE &&
            next_sent(room, room->anew ? room->channel.last_id : room->place) != UINT64_MAX) {
            return false;
        }
    }
    return true;
}

static unsigned gaps(const struct stage *own)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < ROOMS; i++) {
        sum += own->rooms[i].gaps;
    }
    return sum;
}

static void catch_up(struct stage *own)
{
    PUMP_UNTIL(own->loop, caught_up(own));
}

/* Everything came, and nobody was told of anything missing. */
static void catch_up_whole(struct stage *own)
{
    catch_up(own);
    assert_int_equal(gaps(own), 0);
    assert_int_equal(own->losts, 0);
}

static void tell(struct stage *own, const char *command)
{
    redisReply *reply = redisCommand(own->direct, command);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_msg("%s: %s", command, reply->str);
    }
    freeReplyObject(reply);
}

static void cut(struct stage *own)
{
    tell(own, "CLIENT KILL TYPE pubsub");
}

static void note_sent(struct room *room, uint64_t id)
{
    assert_true(room->sent_count < IDS_MAX);
    room->sent[room->sent_count++] = id;
}

struct words {
    const char *at[24];
    size_t len[24];
    int count;
};

static void add(struct words *words, const char *word)
{
    words->at[words->count] = word;
    words->len[words->count++] = strlen(word);
}

/* The script that every publisher uses. Its receivers. */
static unsigned run_publish(struct stage *own, struct room *const *rooms, unsigned count,
                            const char *topic, const char *payload)
{
    char header[64] = "", keys[4], length[12], age[12];
    struct words words = {
        {"EVAL", bus_publish_script.text.ptr}, {4, bus_publish_script.text.len}, 2};
    unsigned kept = own->options.history[ROOM_MARKET].length;
    snprintf(keys, sizeof keys, "%u", count + 1);
    snprintf(length, sizeof length, "%u", kept);
    snprintf(age, sizeof age, "%u", own->options.history[ROOM_MARKET].age_seconds);
    add(&words, keys);
    add(&words, rooms[0]->clock);
    for (unsigned i = 0; i < count; i++) {
        add(&words, rooms[i]->log);
        snprintf(header + strlen(header), sizeof header - strlen(header), "%s%s", i ? "," : "",
                 rooms[i]->name);
    }
    add(&words, "event");
    add(&words, header);
    add(&words, payload);
    add(&words, "0");
    for (unsigned i = 0; i < count; i++) {
        add(&words, topic ? topic : rooms[i]->topic);
        add(&words, length);
        add(&words, age);
    }
    redisReply *reply = redisCommandArgv(own->direct, words.count, words.at, words.len);
    if (!reply || reply->type != REDIS_REPLY_ARRAY) {
        fail_msg("not published: %s", reply ? reply->str : own->direct->errstr);
    }
    for (unsigned i = 0; i < count; i++) {
        note_sent(rooms[i], strtoull(reply->element[0]->str, NULL, 10));
    }
    unsigned receivers = (unsigned)reply->element[2]->integer;
    freeReplyObject(reply);
    return receivers;
}

static unsigned publish(struct stage *own, unsigned room)
{
    struct room *const rooms[] = {&own->rooms[room]};
    return run_publish(own, rooms, 1, NULL, "{}");
}

static void publish_in_two(struct stage *own, unsigned a, unsigned b)
{
    struct room *const rooms[] = {&own->rooms[a], &own->rooms[b]};
    assert_int_equal(rooms[0]->partition, rooms[1]->partition); /* else it is two scripts */
    run_publish(own, rooms, 2, NULL, "{}");
}

/* It is in the log, but never comes on the channel. */
static void publish_unheard(struct stage *own, unsigned room)
{
    struct room *const rooms[] = {&own->rooms[room]};
    run_publish(own, rooms, 1, "nobody listens here", "{}");
}

static void publish_plain(struct stage *own, unsigned room)
{
    char command[128];
    snprintf(command, sizeof command, "PUBLISH %s %%b", own->rooms[room].topic);
    char message[64];
    int len = snprintf(message, sizeof message, "0 0 event %s\n{}", own->rooms[room].name);
    redisReply *reply = redisCommand(own->direct, command, message, (size_t)len);
    assert_true(reply && reply->integer == 1);
    freeReplyObject(reply);
}

static void publish_around(struct stage *own, unsigned rooms, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        publish(own, i % rooms);
    }
}

static void turn(struct stage *own, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(loop_turn(own->loop, 1), OK);
    }
}

static void nap(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000 * 1000L}, NULL);
}

/* --- A lost connection --- */

static void test_what_was_missed_comes_once_and_in_order(void **state)
{
    struct stage *own = *state;
    want_live(own, 10);
    publish_around(own, 10, 30);
    catch_up(own);
    cut(own);
    publish_around(own, 10, 30);
    publish_in_two(own, 3, 7);
    publish_around(own, 10, 10);
    catch_up_whole(own);
    assert_int_equal(own->messages, 72);
    assert_int_equal(bus_subscriber_stats(own->subscriber)->caught_up, 10);
    assert_int_equal(bus_subscriber_stats(own->subscriber)->recovered, 42);
    assert_int_equal(own->rooms[0].lives, 2);
}

static void test_what_comes_live_waits_for_what_was_missed(void **state)
{
    struct stage *own = *state;
    want_live(own, 10);
    for (unsigned round = 0; round < 5; round++) {
        cut(own);
        for (unsigned i = 0; i < 60; i++) {
            publish(own, (i * 7) % 10);
            if (i % 3 == 0) {
                turn(own, 1);
            }
        }
        catch_up_whole(own);
    }
    assert_int_equal(own->messages, 300);
}

static void test_a_second_loss_at_any_moment(void **state)
{
    struct stage *own = *state;
    want_live(own, 10);
    for (unsigned later = 0; later < 12; later++) {
        uint64_t ups = bus_subscriber_stats(own->subscriber)->ups;
        cut(own);
        publish_around(own, 10, 13);
        PUMP_UNTIL(own->loop, bus_subscriber_stats(own->subscriber)->ups > ups);
        turn(own, later);
        publish_around(own, 10, 3);
        cut(own);
        publish_around(own, 10, 11);
        catch_up_whole(own);
    }
    assert_int_equal(own->messages, 12 * 27);
}

static void publish_large(struct stage *own, unsigned count, size_t size)
{
    char *payload = calloc(1, size + 1);
    assert_non_null(payload);
    memset(payload, ' ', size);
    for (unsigned i = 0; i < count; i++) {
        struct room *const rooms[] = {&own->rooms[i % 10]};
        run_publish(own, rooms, 1, NULL, payload);
    }
    free(payload);
}

static void test_a_second_loss_while_the_held_are_handed_on(void **state)
{
    struct stage *own = *state;
    want_live(own, 10);
    cut(own);
    publish_large(own, 200, 20000);
    PUMP_UNTIL(own->loop, own->messages > 0);
    assert_true(own->messages < 200);
    cut(own);
    publish_around(own, 10, 10);
    catch_up_whole(own);
    assert_int_equal(own->messages, 210);
}

static void test_pause_while_the_held_are_handed_on(void **state)
{
    struct stage *own = *state;
    want_live(own, 10);
    cut(own);
    publish_large(own, 200, 20000);
    own->pause_at = 5;
    PUMP_UNTIL(own->loop, own->messages >= 5);
    turn(own, 20);
    unsigned before = own->messages;
    assert_true(before < 30);
    publish_around(own, 10, 10);
    turn(own, 20);
    assert_int_equal(own->messages, before);
    bus_subscriber_resume(own->subscriber);
    catch_up_whole(own);
    assert_int_equal(own->messages, 210);
}

static void test_a_restart_that_keeps_everything(void **state)
{
    struct stage *own = *state;
    want_live(own, 5);
    publish_around(own, 5, 10);
    catch_up(own);
    redis_server_kill(&own->server);
    turn(own, 20);
    redis_server_start_again(&own->server);
    connect_directly(own);
    publish_around(own, 5, 10);
    catch_up_whole(own);
    assert_int_equal(own->messages, 20);
}

static void test_a_restart_that_keeps_nothing(void **state)
{
    struct stage *own = *state;
    want_live(own, 5);
    publish_around(own, 5, 10);
    catch_up(own);
    redis_server_kill(&own->server);
    redis_server_start_again(&own->server);
    connect_directly(own);
    PUMP_UNTIL(own->loop, own->losts > 0 && all_live(own));
    publish_around(own, 5, 10);
    catch_up(own);
    assert_int_equal(own->losts, 1);
    assert_int_equal(own->messages, 20);
}

static void test_redis_stands_still_for_a_while(void **state)
{
    struct stage *own = *state;
    want_live(own, 5);
    publish_around(own, 5, 5);
    redis_server_pause(&own->server);
    uint64_t until = clock_monotonic_ms() + 300; /* probes are missed meanwhile */
    PUMP_UNTIL(own->loop, clock_monotonic_ms() > until);
    redis_server_resume(&own->server);
    publish_around(own, 5, 5);
    catch_up_whole(own);
}

static void test_many_rooms_with_a_few_missed_events_each(void **state)
{
    struct stage *own = *state;
    want_live(own, ROOMS);
    cut(own);
    publish_around(own, ROOMS, 3 * ROOMS);
    catch_up_whole(own);
    assert_int_equal(own->messages, 3 * ROOMS);
}

static void test_each_partition_is_in_order(void **state)
{
    struct stage *own = *state;
    want_live(own, 30);
    for (unsigned round = 0; round < 3; round++) {
        cut(own);
        publish_around(own, 30, 90);
        turn(own, 5 * round);
        publish_around(own, 30, 30);
        catch_up_whole(own);
    }
    assert_int_equal(own->messages, 360);
    for (unsigned i = 0; i < PARTITIONS_MAX; i++) {
        assert_true(own->newest[i] > 0);
        assert_true(bus_subscriber_passed(own->subscriber, i).id >= own->newest[i]);
    }
}

/* --- Rooms that come and go meanwhile --- */

static void test_a_room_dropped_while_behind(void **state)
{
    struct stage *own = *state;
    for (unsigned later = 0; later < 12; later++) {
        want_live(own, 3);
        uint64_t downs = bus_subscriber_stats(own->subscriber)->downs;
        cut(own);
        publish_around(own, 3, 9);
        PUMP_UNTIL(own->loop, bus_subscriber_stats(own->subscriber)->downs > downs);
        turn(own, 2 * later);
        bus_subscriber_drop(own->subscriber, &own->rooms[1].channel);
        catch_up_whole(own);
        drop_all(own);
    }
}

static void test_the_last_room_behind_is_dropped(void **state)
{
    struct stage *own = *state;
    want_live(own, 1);
    cut(own);
    publish(own, 0);
    PUMP_UNTIL(own->loop, bus_subscriber_stats(own->subscriber)->behind == 1);
    bus_subscriber_drop(own->subscriber, &own->rooms[0].channel);
    assert_int_equal(bus_subscriber_stats(own->subscriber)->behind, 0);
    want(own, &own->rooms[1]);
    PUMP_UNTIL(own->loop, all_live(own));
    publish(own, 1);
    catch_up_whole(own);
    assert_int_equal(own->messages, 1);
}

static void test_a_room_wanted_while_others_are_behind(void **state)
{
    struct stage *own = *state;
    for (unsigned later = 0; later < 12; later++) {
        want_live(own, 3);
        uint64_t ups = bus_subscriber_stats(own->subscriber)->ups;
        cut(own);
        publish_around(own, 4, 8);
        PUMP_UNTIL(own->loop, bus_subscriber_stats(own->subscriber)->ups > ups);
        turn(own, later);
        want(own, &own->rooms[3]);
        publish_around(own, 4, 8);
        turn(own, 1);
        publish_around(own, 4, 8);
        catch_up_whole(own);
        drop_all(own);
    }
}

static void test_a_room_dropped_and_wanted_again_while_behind(void **state)
{
    struct stage *own = *state;
    want_live(own, 3);
    for (unsigned later = 0; later < 12; later++) {
        uint64_t downs = bus_subscriber_stats(own->subscriber)->downs;
        cut(own);
        publish_around(own, 3, 9);
        PUMP_UNTIL(own->loop, bus_subscriber_stats(own->subscriber)->downs > downs);
        turn(own, 2 * later);
        bus_subscriber_drop(own->subscriber, &own->rooms[1].channel);
        want(own, &own->rooms[1]);
        publish_around(own, 3, 9);
        catch_up_whole(own);
    }
}

/* --- Logs that do not reach back --- */

static void test_an_overflow_is_told_of_its_room_only(void **state)
{
    struct stage *own = *state;
    want_live(own, 2);
    publish_around(own, 2, 4);
    catch_up(own);
    cut(own);
    publish_around(own, 2, 6);
    publish_around(own, 1, 2);
    catch_up(own);
    assert_int_equal(own->rooms[0].gaps, 1);
    assert_int_equal(own->rooms[0].got, 2 + 3);
    assert_int_equal(own->rooms[1].gaps, 0);
    assert_int_equal(own->rooms[1].got, 2 + 3);
    assert_int_equal(own->losts, 0);
}

static void test_an_expired_log_is_told(void **state)
{
    struct stage *own = *state;
    want_live(own, 1);
    publish(own, 0);
    catch_up(own);
    cut(own);
    publish(own, 0);
    nap(1200);
    catch_up(own);
    assert_int_equal(own->rooms[0].gaps, 1);
    publish(own, 0);
    catch_up(own);
    assert_int_equal(own->rooms[0].got, 2);
    assert_int_equal(own->rooms[0].gaps, 1);
}

static void test_a_log_that_expired_and_began_again_is_told(void **state)
{
    struct stage *own = *state;
    want_live(own, 1);
    publish(own, 0);
    catch_up(own);
    cut(own);
    publish(own, 0);
    nap(1200);
    publish(own, 0);
    catch_up(own);
    assert_int_equal(own->rooms[0].gaps, 1);
    assert_int_equal(own->rooms[0].got, 2);
}

static void test_a_room_dropped_because_of_its_gap(void **state)
{
    struct stage *own = *state;
    want_live(own, 2);
    cut(own);
    publish_around(own, 1, 5);
    publish(own, 1);
    own->drop_on_gap = &own->rooms[0];
    catch_up(own);
    assert_int_equal(own->rooms[0].gaps, 1);
    assert_int_equal(own->rooms[0].got, 0);
    assert_int_equal(own->rooms[1].got, 1);
}

static void test_without_history_nothing_is_promised(void **state)
{
    struct stage *own = *state;
    want_live(own, 2);
    cut(own);
    publish_around(own, 2, 4);
    own->rooms[0].anew = own->rooms[1].anew = true;
    own->rooms[0].sent_count = own->rooms[1].sent_count = 0;
    PUMP_UNTIL(own->loop, own->rooms[0].lives == 2);
    publish_around(own, 2, 4);
    catch_up_whole(own);
    assert_int_equal(own->messages, 4);
}

static void test_flushall_is_told_and_everything_begins_anew(void **state)
{
    struct stage *own = *state;
    want_live(own, 3);
    publish_around(own, 3, 6);
    catch_up(own);
    tell(own, "FLUSHALL");
    PUMP_UNTIL(own->loop, own->losts == 1 && all_live(own));
    publish_around(own, 3, 6);
    catch_up(own);
    assert_int_equal(own->messages, 12);
    assert_int_equal(own->losts, 1);
    assert_int_equal(gaps(own), 0);
}

static void test_too_much_to_hold_is_told(void **state)
{
    struct stage *own = *state;
    want_live(own, 10);
    cut(own);
    publish_large(own, 150, 500 * 1000);
    catch_up(own);
    assert_int_equal(own->losts, 1);
    assert_int_equal(own->messages, 0);
    publish_around(own, 10, 20);
    catch_up(own);
    assert_int_equal(own->messages, 20);
    assert_int_equal(own->losts, 1);
}

/* Its place in the order is not known: nothing old comes, and that something may miss is told. */
static void test_a_room_whose_place_redis_does_not_tell(void **state)
{
    struct stage *own = *state;
    publish_around(own, 1, 3);
    tell(own, "ACL SETUSER default -evalsha");
    want_live(own, 1);
    tell(own, "ACL SETUSER default +evalsha");
    own->rooms[0].anew = true;
    publish_around(own, 1, 3);
    catch_up(own);
    assert_int_equal(own->rooms[0].got, 3);
    assert_int_equal(own->rooms[0].gaps, 1);
}

/* --- Breaks on a connection that stands --- */

static void test_a_break_is_repaired(void **state)
{
    struct stage *own = *state;
    want_live(own, 2);
    publish_around(own, 2, 4);
    publish_unheard(own, 0);
    publish_unheard(own, 0);
    publish(own, 0);
    publish(own, 1);
    catch_up_whole(own);
    assert_int_equal(own->rooms[0].got, 5);
    assert_int_equal(own->rooms[1].got, 3);
    assert_int_equal(bus_subscriber_stats(own->subscriber)->breaks, 1);
    assert_int_equal(bus_subscriber_stats(own->subscriber)->recovered, 3);
}

static void test_breaks_of_many_rooms(void **state)
{
    struct stage *own = *state;
    own->disorder = true;
    want_live(own, 10);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 10; i++) {
            publish_unheard(own, i);
        }
        publish_around(own, 10, 10);
        turn(own, round % 4);
    }
    catch_up_whole(own);
    assert_int_equal(own->messages, 400);
}

static void test_a_break_that_the_log_cannot_repair_is_told(void **state)
{
    struct stage *own = *state;
    want_live(own, 2);
    publish(own, 0);
    for (unsigned i = 0; i < 4; i++) {
        publish_unheard(own, 0);
    }
    publish(own, 0);
    publish(own, 0);
    catch_up(own);
    assert_true(own->rooms[0].gaps >= 1);
    assert_int_equal(own->rooms[1].gaps, 0);
}

/* --- Messages without an id --- */

static void test_messages_without_id_keep_their_place(void **state)
{
    struct stage *own = *state;
    want_live(own, 2);
    for (unsigned round = 0; round < 5; round++) {
        unsigned plain = own->plain;
        cut(own);
        publish_around(own, 2, 6);
        while (publish(own, 0) == 0 || publish(own, 1) == 0) {
            turn(own, 1);
        }
        publish(own, 0);
        uint64_t before = own->rooms[0].sent[own->rooms[0].sent_count - 1];
        publish_plain(own, 0);
        publish_around(own, 2, 6);
        catch_up_whole(own);
        assert_int_equal(own->plain, plain + 1);
        assert_int_equal(own->plain_after, before);
    }
}

/* --- Each allocation may fail --- */

static void lose_and_catch_up(void *context)
{
    struct stage *own = context;
    for (unsigned i = 0; i < 4; i++) {
        own->rooms[i].sent_count = 0;
    }
    cut(own);
    publish_around(own, 4, 8);
    catch_up(own);
}

static void test_each_allocation_may_fail(void **state)
{
    struct stage *own = *state;
    want_live(own, 4);
    failing_alloc_each(lose_and_catch_up, own);
    unsigned lost = own->losts;
    publish_around(own, 4, 8);
    catch_up(own);
    assert_int_equal(own->losts, lost);
}

static void break_and_repair(void *context)
{
    struct stage *own = context;
    for (unsigned i = 0; i < 2; i++) {
        own->rooms[i].sent_count = 0;
    }
    publish_unheard(own, 0);
    publish_around(own, 2, 4);
    catch_up(own);
}

static void test_each_allocation_may_fail_after_a_break(void **state)
{
    struct stage *own = *state;
    own->disorder = true;
    want_live(own, 2);
    failing_alloc_each(break_and_repair, own);
    publish_around(own, 2, 8);
    catch_up(own);
}

/* --- Anything at any time --- */

static unsigned below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*seed >> 33) % limit;
}

static void act(struct stage *own, uint64_t *seed)
{
    unsigned kind = below(seed, 100), room = below(seed, PLAYED);
    if (kind < 2) {
        cut(own);
    } else if (kind < 3) {
        tell(own, "CLIENT KILL TYPE normal SKIPME yes");
    } else if (kind < 8) {
        come_or_go(own, &own->rooms[KEPT + room % (PLAYED - KEPT)]);
    } else if (kind < 10) {
        bus_subscriber_pause(own->subscriber);
    } else if (kind < 20) {
        bus_subscriber_resume(own->subscriber);
    } else if (kind < 50) {
        turn(own, 1 + below(seed, 3));
    } else if (kind < 53 && own->unheard) {
        publish_unheard(own, room);
    } else if (kind < 60 && room != 0 && own->rooms[0].partition == own->rooms[room].partition) {
        publish_in_two(own, 0, room);
    } else {
        publish(own, room);
    }
}

/* What the subscriber says has been handed on has been. */
static void assert_passed(const struct stage *own)
{
    for (unsigned i = 0; i < PLAYED && !own->unheard; i++) {
        const struct room *room = &own->rooms[i];
        bool known = room->channel.state != BUS_CHANNEL_IDLE && !room->anew;
        uint64_t passed = bus_subscriber_passed(own->subscriber, room->partition).id;
        assert_true(!known || next_sent(room, room->place) > passed);
    }
}

static void play(struct stage *own, uint64_t seed)
{
    for (unsigned i = 0; i < PLAYED; i++) {
        own->rooms[i].sent_count = own->rooms[i].got = 0;
    }
    for (unsigned i = 0; i < 400; i++) {
        act(own, &seed);
        assert_passed(own);
    }
    bus_subscriber_resume(own->subscriber);
    publish_around(own, PLAYED, PLAYED); /* shows the last break */
    catch_up(own);
}

static void assert_kept_are_whole(const struct stage *own)
{
    for (unsigned i = 0; i < KEPT; i++) {
        assert_int_equal(own->rooms[i].got, own->rooms[i].sent_count);
    }
    assert_int_equal(gaps(own), 0);
    assert_int_equal(own->losts, 0);
}

/* For longer: CATCH_UP_SEEDS=1000 in the environment; CATCH_UP_FIRST_SEED to begin elsewhere. */
static unsigned number_from(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void play_seeds(struct stage *own, bool whole)
{
    unsigned first = number_from("CATCH_UP_FIRST_SEED", 1);
    unsigned seeds = number_from("CATCH_UP_SEEDS", 5);
    want_live(own, KEPT);
    for (unsigned i = 0; i < seeds; i++) {
        play(own, first + i);
        if (whole) {
            assert_kept_are_whole(own);
        }
    }
}

static void test_anything_at_any_time(void **state)
{
    play_seeds(*state, true);
}

static void test_anything_with_restless_rooms(void **state)
{
    struct stage *own = *state;
    own->restless = true;
    play_seeds(own, true);
}

static void test_anything_with_breaks(void **state)
{
    struct stage *own = *state;
    own->disorder = own->unheard = true;
    play_seeds(own, true);
}

/* Then something may be missing, but not without a word. */
static void test_anything_with_short_logs(void **state)
{
    struct stage *own = *state;
    own->disorder = own->unheard = own->restless = true;
    play_seeds(own, false);
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_missed_comes_once_and_in_order, set_up),
        TEST(test_what_comes_live_waits_for_what_was_missed, set_up),
        TEST(test_a_second_loss_at_any_moment, set_up),
        TEST(test_a_second_loss_while_the_held_are_handed_on, set_up),
        TEST(test_pause_while_the_held_are_handed_on, set_up),
        TEST(test_a_restart_that_keeps_everything, set_up_lasting),
        TEST(test_a_restart_that_keeps_nothing, set_up),
        TEST(test_redis_stands_still_for_a_while, set_up_probing),
        TEST(test_many_rooms_with_a_few_missed_events_each, set_up),
        TEST(test_each_partition_is_in_order, set_up_partitions),
        TEST(test_a_room_dropped_while_behind, set_up),
        TEST(test_the_last_room_behind_is_dropped, set_up),
        TEST(test_a_room_wanted_while_others_are_behind, set_up),
        TEST(test_a_room_dropped_and_wanted_again_while_behind, set_up),
        TEST(test_an_overflow_is_told_of_its_room_only, set_up_short),
        TEST(test_an_expired_log_is_told, set_up_short),
        TEST(test_a_log_that_expired_and_began_again_is_told, set_up_short),
        TEST(test_a_room_dropped_because_of_its_gap, set_up_short),
        TEST(test_without_history_nothing_is_promised, set_up_without_history),
        TEST(test_flushall_is_told_and_everything_begins_anew, set_up_probing),
        TEST(test_too_much_to_hold_is_told, set_up),
        TEST(test_a_room_whose_place_redis_does_not_tell, set_up),
        TEST(test_a_break_is_repaired, set_up),
        TEST(test_breaks_of_many_rooms, set_up),
        TEST(test_a_break_that_the_log_cannot_repair_is_told, set_up_short),
        TEST(test_messages_without_id_keep_their_place, set_up),
        TEST(test_each_allocation_may_fail, set_up),
        TEST(test_each_allocation_may_fail_after_a_break, set_up),
        TEST(test_anything_at_any_time, set_up_long),
        TEST(test_anything_at_any_time, set_up_long_probing),
        TEST(test_anything_at_any_time, set_up_partitions),
        TEST(test_anything_with_restless_rooms, set_up_long),
        TEST(test_anything_with_breaks, set_up_long),
        TEST(test_anything_with_short_logs, set_up_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

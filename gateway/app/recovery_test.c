/* Clients that come back: as who they were, with what they missed, or as new ones. */
#include "app/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_world.h"
#include "failing_alloc.h"
#include "util/clock.h"

#define OWN      "[\"user:alice\",\"global:all\"]"
#define ROOMS    "[\"user:alice\",\"global:all\",\"market:1\",\"market:2\"]"
#define TRADE(n) "42[\"market:trade\",{\"n\":" n "}"

static struct app_world world;
static struct eio_session alice;
static struct person_past past;

static void subscribe(struct eio_session *person, const char *market)
{
    char text[96];
    snprintf(text, sizeof text, "20[\"subscribe\",{\"room\":\"market\",\"id\":\"%s\"}]", market);
    person_says(person, text);
    person_hears_begin(person, "430[{\"success\":true");
}

static int open_world(uint64_t linger_ms)
{
    app_world_init(&world);
    world.options.linger_ms = linger_ms;
    world.options.bus.history[ROOM_MARKET] = (struct bus_history){5, 300};
    app_world_open(&world);
    past = (struct person_past){0};
    person_arrives(&world, &alice, "alice", &past);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return open_world(100);
}

static int set_up_without_linger(void **state)
{
    (void)state;
    return open_world(0);
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    assert_int_equal(world.app->stats.members, 0);
    app_world_close(&world);
    return 0;
}

static uint64_t trade(const char *market, int n)
{
    char room[32], payload[32];
    snprintf(room, sizeof room, "market:%s", market);
    snprintf(payload, sizeof payload, "{\"n\":%d}", n);
    return app_world_emit(&world, "market:trade", room, payload);
}

static void in_two_markets(void)
{
    subscribe(&alice, "1");
    subscribe(&alice, "2");
}

/* Rooms linger: what stays is in the session in Redis, and nowhere else. */
static void all_rooms_go(void)
{
    PUMP_UNTIL(world.peer.loop, bus_subscriber_count(world.app->subscriber) == 0);
}

static void what_was_missed_comes_once_and_in_order(void **state)
{
    (void)state;
    struct person_past before = past;
    in_two_markets();
    trade("1", 1);
    person_hears_event(&alice, &past, TRADE("1"));
    person_leaves(&alice);
    trade("2", 2);
    app_world_emit(&world, "market:resolved", "market:1,global:all", "{}");
    trade("1", 3);
    person_comes(&world, &alice, "alice", &past);
    assert_true(past.recovered);
    assert_string_equal(past.sid, before.sid);
    person_hears_event(&alice, &past, TRADE("2"));
    person_hears_event(&alice, &past, "42[\"market:resolved\",{}");
    person_hears_event(&alice, &past, TRADE("3"));
    person_is_greeted(&alice, &past, ROOMS);
    trade("2", 4);
    person_hears_event(&alice, &past, TRADE("4"));
    person_hears_nothing(&alice);
}

static void nothing_of_the_rooms_needs_to_be_here_any_more(void **state)
{
    (void)state;
    in_two_markets();
    person_leaves(&alice);
    all_rooms_go();
    trade("1", 1);
    trade("2", 2);
    person_comes(&world, &alice, "alice", &past);
    person_hears_event(&alice, &past, TRADE("1"));
    person_hears_event(&alice, &past, TRADE("2"));
    person_is_greeted(&alice, &past, ROOMS);
}

/* Of the rooms the first are live here, with their past, and the others are not. */
static void all_rooms_are_waited_for(void **state)
{
    (void)state;
    struct eio_session elsewhere;
    in_two_markets();
    person_leaves(&alice);
    all_rooms_go();
    person_joins(&world, &elsewhere, "alice", NULL);
    trade("1", 1);
    person_comes(&world, &alice, "alice", &past);
    person_hears_event(&alice, &past, TRADE("1"));
    person_is_greeted(&alice, &past, ROOMS);
    person_leaves(&elsewhere);
}

static void again_and_again_without_a_word_between(void **state)
{
    (void)state;
    subscribe(&alice, "1");
    person_leaves(&alice);
    trade("1", 1);
    person_comes(&world, &alice, "alice", &past);
    person_hears_event(&alice, &past, TRADE("1"));
    person_leaves(&alice); /* before `connected` */
    for (int i = 0; i < 3; i++) {
        person_comes(&world, &alice, "alice", &past);
        assert_true(past.recovered);
        person_hears_event(&alice, &past, "42[\"connected\"");
        person_leaves(&alice);
    }
    trade("1", 2);
    person_comes(&world, &alice, "alice", &past);
    person_hears_event(&alice, &past, TRADE("2"));
    person_hears_event(&alice, &past, "42[\"connected\"");
    person_hears_nothing(&alice);
}

static void leaving_a_room_is_kept_too(void **state)
{
    (void)state;
    subscribe(&alice, "1");
    person_says(&alice, "21[\"unsubscribe\",{\"room\":\"market\",\"id\":\"1\"}]");
    person_hears_begin(&alice, "431[{\"success\":true");
    person_leaves(&alice);
    trade("1", 1);
    person_comes(&world, &alice, "alice", &past);
    assert_true(past.recovered);
    person_is_greeted(&alice, &past, OWN);
    person_hears_nothing(&alice);
}

static void is_new(const char *sub, struct person_past *person_past, const char *rooms)
{
    struct eio_session person;
    struct person_past before = *person_past;
    person_comes(&world, &person, sub, person_past);
    assert_false(person_past->recovered);
    assert_string_not_equal(person_past->sid, before.sid);
    person_is_greeted(&person, person_past, rooms);
    person_hears_nothing(&person);
    person_leaves(&person);
}

static void somebody_elses_pid_gives_nothing_and_takes_nothing(void **state)
{
    (void)state;
    struct person_past stolen;
    subscribe(&alice, "1");
    stolen = past;
    is_new("eve", &stolen, "[\"user:eve\",\"global:all\"]");
    assert_false(alice.closed);
    person_leaves(&alice);
    trade("1", 1);
    stolen = past;
    is_new("eve", &stolen, "[\"user:eve\",\"global:all\"]");
    person_comes(&world, &alice, "alice", &past);
    assert_true(past.recovered);
    person_hears_event(&alice, &past, TRADE("1"));
}

static void who_knows_too_little_is_new(void **state)
{
    (void)state;
    struct person_past unknown = past, no_offset = past;
    memset(unknown.pid, 'x', BUS_PID_LEN);
    no_offset.offset[0] = '\0';
    subscribe(&alice, "1");
    person_leaves(&alice);
    is_new("alice", &unknown, OWN);
    is_new("alice", &no_offset, OWN);
    strcpy(unknown.offset, "-1");
    is_new("alice", &unknown, OWN);
    assert_int_equal(world.app->recovery.unknown, 1);
}

static void a_client_is_counted_once(void **state)
{
    (void)state;
    uint64_t before = world.app->stats.connected;
    struct person_past unknown = past;
    memset(unknown.pid, 'x', BUS_PID_LEN);
    person_leaves(&alice);
    person_arrives(&world, &alice, "alice", &unknown);
    assert_int_equal(world.app->stats.connected, before + 1);
    assert_int_equal(world.app->stats.members, 1);
}

/* No client that asks to recover ends with a token that is not good any more. */
static void the_token_is_checked_again(void **state)
{
    (void)state;
    char text[256];
    person_leaves(&alice);
    assert_true(person_open(&world, &alice));
    snprintf(text, sizeof text,
             "0{\"recovery\":true,\"pid\":\"%s\",\"offset\":\"%s\",\"token\":\"a.b.c\"}", past.pid,
             past.offset);
    person_says(&alice, text);
    person_hears_begin(&alice, "40{\"sid\"");
    person_hears_begin(&alice, "42[\"error\",");
    person_hears(&alice, "41");
    person_leaves(&alice);
    person_arrives(&world, &alice, "alice", &past);
    assert_true(past.recovered);
}

static void goodbye_is_for_good(void **state)
{
    (void)state;
    subscribe(&alice, "1");
    person_says(&alice, "1");
    person_leaves(&alice);
    is_new("alice", &past, OWN);
}

static void more_was_missed_than_the_log_holds(void **state)
{
    (void)state;
    subscribe(&alice, "1");
    person_leaves(&alice);
    all_rooms_go();
    for (int i = 0; i < 6; i++) {
        trade("1", i);
    }
    is_new("alice", &past, OWN);
    assert_int_equal(world.app->recovery.gone, 1);
}

static void more_was_missed_than_a_client_may_be_owed(void **state)
{
    (void)state;
    world.options.recovery_bytes = 100;
    subscribe(&alice, "1");
    person_leaves(&alice);
    for (int i = 0; i < 5; i++) {
        trade("1", i);
    }
    is_new("alice", &past, OWN);
}

/* Closing takes its time, and meanwhile the gateway is told how far all has been handed on. */
static void who_was_cut_off_is_not_complete_by_time(void **state)
{
    (void)state;
    uint64_t last;
    subscribe(&alice, "1");
    struct app_room *room = app_rooms_find(&world.app->rooms, STR("market:1"));
    room->channel.last_id = UINT64_MAX; /* the next do not come, and the log forgets the first */
    for (int i = 0; i < 6; i++) {
        last = trade("1", i);
    }
    app_delivery_cut_off(room);
    assert_true(alice.closed);
    PUMP_UNTIL(world.peer.loop, bus_subscriber_passed(world.app->subscriber, 0).id >= last);
    person_leaves(&alice);
    all_rooms_go();
    is_new("alice", &past, OWN);
}

/* Between the messages of two rooms that one event is in. */
static void connected_does_not_count_what_is_still_to_come(void **state)
{
    (void)state;
    struct eio_session bob;
    struct person_past bobs = {0};
    char header[96], packet[96];
    unsigned long long id = clock_wall_ms() * 1000 + 1000000000;
    snprintf(header, sizeof header, "%llu 0 market:resolved market:1,global:all", id);
    snprintf(packet, sizeof packet, "42[\"market:resolved\",{},\"%llu\"]", id);
    subscribe(&alice, "1");
    assert_int_equal(app_world_publish(&world, "market:1", header, STR("{}")), 1);
    person_hears(&alice, packet);
    person_arrives(&world, &bob, "bob", &bobs);
    assert_int_equal(app_world_publish(&world, "global:all", header, STR("{}")), 1);
    person_hears(&bob, packet);
    person_hears_nothing(&alice);
    person_leaves(&bob);
}

static void a_connection_of_before_is_closed(void **state)
{
    (void)state;
    struct eio_session back;
    subscribe(&alice, "1");
    person_comes(&world, &back, "alice", &past);
    assert_true(past.recovered);
    assert_true(alice.closed);
    person_is_greeted(&back, &past, "[\"user:alice\",\"global:all\",\"market:1\"]");
    person_leaves(&alice); /* and does not take the session along */
    trade("1", 1);
    person_hears_event(&back, &past, TRADE("1"));
    person_leaves(&back);
    person_arrives(&world, &alice, "alice", &past);
    assert_true(past.recovered);
}

static void any_gateway_takes_a_client_over(void **state)
{
    (void)state;
    static struct app_world other;
    struct eio_session back;
    app_world_open_beside(&other, &world);
    subscribe(&alice, "1");
    person_comes(&other, &back, "alice", &past);
    assert_true(past.recovered);
    person_is_greeted(&back, &past, "[\"user:alice\",\"global:all\",\"market:1\"]");
    PUMP_UNTIL(world.peer.loop, alice.closed);
    assert_int_equal(world.app->sessions.taken_over, 1);
    person_leaves(&alice);
    trade("1", 1);
    person_hears_event(&back, &past, TRADE("1"));
    person_leaves(&back);
    trade("1", 2);
    person_comes(&world, &alice, "alice", &past);
    assert_true(past.recovered);
    person_hears_event(&alice, &past, TRADE("2"));
    app_world_close_beside(&other);
}

static bool has(const struct eio_session *person, const char *text)
{
    return person->sent.len > 0 && memmem(person->sent.data, person->sent.len, text, strlen(text));
}

static void events_meanwhile_wait_with_what_was_missed(void **state)
{
    (void)state;
    subscribe(&alice, "1");
    person_leaves(&alice);
    all_rooms_go();
    assert_true(person_open(&world, &alice));
    person_asks_to_recover(&alice, "alice", NULL, &past);
    for (int i = 1; i <= 3; i++) {
        trade("1", i);
    }
    PUMP_UNTIL(world.peer.loop, has(&alice, "connected") && has(&alice, TRADE("3")));
    person_is_accepted(&alice, &past);
    const char *text = buf_cstr(&alice.sent);
    assert_true(strstr(text, TRADE("1")) < strstr(text, TRADE("2")));
    assert_true(strstr(text, TRADE("2")) < strstr(text, TRADE("3")));
}

static void who_goes_before_the_end_may_come_again(void **state)
{
    (void)state;
    subscribe(&alice, "1");
    for (int i = 0; i < 8; i++) {
        person_leaves(&alice);
        assert_true(person_open(&world, &alice));
        person_asks_to_recover(&alice, "alice", NULL, &past);
        for (int turns = 0; turns < i; turns++) {
            assert_int_equal(loop_turn(world.peer.loop, 5), OK);
        }
    }
    person_leaves(&alice);
    trade("1", 1);
    person_comes(&world, &alice, "alice", &past);
    assert_true(past.recovered);
    person_hears_event(&alice, &past, TRADE("1"));
}

static void events_outside_the_logs_have_no_id(void **state)
{
    (void)state;
    app_world_publish(&world, "global:all", "0 0 market:created global:all", STR("{}"));
    person_hears(&alice, "42[\"market:created\",{}]");
}

static void only_those_who_can_recover_get_ids(void **state)
{
    (void)state;
    struct eio_session bob;
    person_joins(&world, &bob, "bob", NULL);
    app_world_emit(&world, "market:created", "global:all", "{}");
    person_hears(&bob, "42[\"market:created\",{}]");
    person_hears_event(&alice, &past, "42[\"market:created\",{}");
    person_leaves(&bob);
}

static void nobody_recovers(void)
{
    struct eio_session bob;
    assert_true(person_open(&world, &bob));
    person_asks_to_recover(&bob, "bob", NULL, &past);
    person_hears_begin(&bob, "40{\"sid\":");
    assert_null(strstr(buf_cstr(&bob.line), "pid"));
    person_hears_begin(&bob, "42[\"connected\"");
    assert_non_null(strstr(buf_cstr(&bob.line), "]}]")); /* and no id */
    person_leaves(&bob);
    app_world_close(&world);
}

static void without_a_window_nobody_recovers(void **state)
{
    (void)state;
    past = (struct person_past){0};
    app_world_init(&world);
    world.options.recovery_window_ms = 0;
    app_world_open(&world);
    nobody_recovers();
}

static void with_several_partitions_nobody_recovers(void **state)
{
    (void)state;
    past = (struct person_past){0};
    app_world_init(&world);
    world.options.bus.keys.partitions = 4;
    app_world_open(&world);
    nobody_recovers();
}

/* --- Without memory --- */

/* Recovered with all that was missed, new with nothing of it, or disconnected. */
static void is_whole(struct eio_session *person, const char *pid)
{
    bool recovered = has(person, pid);
    assert_int_equal(has(person, TRADE("1")), recovered);
    assert_int_equal(has(person, TRADE("2")), recovered);
}

static bool has_ended(struct eio_session *person)
{
    return person->closed || has(person, "42[\"connected\"") || has(person, "\n41\n");
}

/* `context`: whether the rooms and their events have to be had from Redis each time. */
static void come_back_without_memory(void *context)
{
    if (person_open(&world, &alice)) {
        person_asks_to_recover(&alice, "alice", NULL, &past);
        PUMP_UNTIL(world.peer.loop, has_ended(&alice));
        if (!alice.closed) {
            is_whole(&alice, past.pid);
        }
    }
    alice.closed = true;
    alice.reason = EIO_CLOSE_TRANSPORT;
    person_leaves(&alice);
    assert_int_equal(world.app->stats.members, 0);
    if (*(const bool *)context) {
        all_rooms_go();
    }
}

static void each_allocation_may_fail(void **state)
{
    bool from_redis = *state; /* the test's initial state, or NULL */
    in_two_markets();
    person_leaves(&alice);
    trade("1", 1);
    trade("2", 2);
    failing_alloc_each(come_back_without_memory, &from_redis);
    person_comes(&world, &alice, "alice", &past);
    assert_true(past.recovered);
    person_hears_event(&alice, &past, TRADE("1"));
    person_hears_event(&alice, &past, TRADE("2"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    bool from_redis = true;
    const struct CMUnitTest tests[] = {
        TEST(what_was_missed_comes_once_and_in_order),
        TEST(nothing_of_the_rooms_needs_to_be_here_any_more),
        TEST(all_rooms_are_waited_for),
        TEST(again_and_again_without_a_word_between),
        TEST(leaving_a_room_is_kept_too),
        TEST(somebody_elses_pid_gives_nothing_and_takes_nothing),
        TEST(who_knows_too_little_is_new),
        TEST(a_client_is_counted_once),
        TEST(the_token_is_checked_again),
        TEST(goodbye_is_for_good),
        TEST(more_was_missed_than_the_log_holds),
        TEST(more_was_missed_than_a_client_may_be_owed),
        TEST(who_was_cut_off_is_not_complete_by_time),
        TEST(connected_does_not_count_what_is_still_to_come),
        TEST(a_connection_of_before_is_closed),
        TEST(any_gateway_takes_a_client_over),
        TEST(events_meanwhile_wait_with_what_was_missed),
        TEST(who_goes_before_the_end_may_come_again),
        TEST(events_outside_the_logs_have_no_id),
        TEST(only_those_who_can_recover_get_ids),
        cmocka_unit_test(without_a_window_nobody_recovers),
        cmocka_unit_test(with_several_partitions_nobody_recovers),
        TEST(each_allocation_may_fail),
        {"each_allocation_may_fail_from_redis", each_allocation_may_fail, set_up_without_linger,
         tear_down, &from_redis},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

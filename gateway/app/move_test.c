/* Members whose sessions move from one gateway to another, and what reaches them on the way. */
#include "app/move.h"

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

#define ADDRESS  "0x00000000000000000000000000000000000000aa"
#define TRADE(n) "42[\"market:trade\",{\"n\":" n "}"

static struct app_world there, here;
/* The client's session with one gateway, and with the other. */
static struct eio_session leaving, arriving;
static struct person_past past;
static int emitted; /* trades */

static void open_worlds(void)
{
    app_world_open(&there);
    app_world_open_beside(&here, &there);
    leaving = arriving = (struct eio_session){0};
    past = (struct person_past){0};
    emitted = 0;
}

static int set_up(void **state)
{
    (void)state;
    app_world_init(&there);
    open_worlds();
    person_arrives(&there, &leaving, "alice", &past);
    return 0;
}

static int set_up_two_partitions(void **state)
{
    (void)state;
    app_world_init(&there);
    there.options.bus.keys.partitions = 2;
    open_worlds();
    person_joins(&there, &leaving, "alice", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&leaving);
    person_leaves(&arriving);
    assert_int_equal(there.app->stats.members, 0);
    assert_int_equal(here.app->stats.members, 0);
    app_world_close_beside(&here);
    app_world_close(&there);
    return 0;
}

static void subscribe(const char *market)
{
    char text[96];
    snprintf(text, sizeof text, "20[\"subscribe\",{\"room\":\"market\",\"id\":\"%s\"}]", market);
    person_says(&leaving, text);
    person_hears_begin(&leaving, "430[{\"success\":true");
}

/* The next trade, with its number, in these rooms. */
static void trade(const char *rooms)
{
    char payload[32];
    snprintf(payload, sizeof payload, "{\"n\":%d}", ++emitted);
    app_world_emit(&there, "market:trade", rooms, payload);
}

/* --- The steps --- */

static const struct eio_session_ops *ops(void)
{
    return sio_server_session_ops();
}

static struct str handed(const struct eio_session *session)
{
    return str_range(session->handed, session->handed_len);
}

static void leave(void)
{
    ops()->on_move(&leaving);
}

static bool has_left(void)
{
    return leaving.hands == 1;
}

static void arrive(void)
{
    assert_int_equal(person_arrives_with(&here, &arriving, handed(&leaving)), OK);
}

static bool has_place(void)
{
    return arriving.hands == 1;
}

static void ask(void)
{
    ops()->on_ask(&leaving, handed(&arriving));
}

static bool has_rest(void)
{
    return leaving.hands == 2;
}

/* The session is gone there; what it had queued comes first here. */
static void hand_over(void)
{
    struct eio_session left = leaving;
    assert_int_equal(arriving.sent.len, 0); /* nothing may be sent before */
    assert_int_equal(buf_append(&arriving.sent, buf_str(&leaving.sent)), OK);
    assert_int_equal(leaving.reason, EIO_CLOSE_MOVED);
    person_leaves(&leaving);
    ops()->on_arrived(&arriving, handed(&left));
}

static void move_to_the_place(void)
{
    PUMP_UNTIL(there.peer.loop, has_left());
    arrive();
    PUMP_UNTIL(there.peer.loop, has_place());
}

static void finish_move(void)
{
    move_to_the_place();
    ask();
    PUMP_UNTIL(there.peer.loop, has_rest());
    hand_over();
    assert_false(arriving.closed);
}

static void move(void)
{
    leave();
    finish_move();
}

/* The next trades, each once, by both sessions' output. */
static void hears_trades(int from, int to)
{
    char packet[64];
    for (int n = from; n <= to; n++) {
        snprintf(packet, sizeof packet, "42[\"market:trade\",{\"n\":%d}", n);
        person_hears_begin(&arriving, packet);
    }
}

/* --- What comes along --- */

static void rooms_come_along(void **state)
{
    (void)state;
    subscribe("1");
    subscribe("2");
    move();
    assert_int_equal(app_world_members(&there, "market:1"), 0);
    assert_int_equal(app_world_members(&there, "user:alice"), 0);
    assert_int_equal(app_world_members(&here, "market:1"), 1);
    assert_int_equal(app_world_members(&here, "market:2"), 1);
    assert_int_equal(app_world_members(&here, "user:alice"), 1);
    person_says(&arriving, "21[\"getRooms\"]");
    person_hears_begin(&arriving, "431[");
    assert_non_null(strstr(buf_cstr(&arriving.line), "\"user:alice\""));
    assert_non_null(strstr(buf_cstr(&arriving.line), "\"global:all\""));
    assert_non_null(strstr(buf_cstr(&arriving.line), "\"market:1\""));
    assert_non_null(strstr(buf_cstr(&arriving.line), "\"market:2\""));
    assert_int_equal(there.app->stats.connected + here.app->stats.connected, 1);
    person_says(&arriving, "22[\"unsubscribe\",{\"room\":\"market\",\"id\":\"2\"}]");
    person_hears_begin(&arriving, "432[{\"success\":true");
    assert_int_equal(app_world_members(&here, "market:2"), 0);
}

/* The room of the `sub` beside an address. */
static void what_it_does_not_see_it_does_not_see_here(void **state)
{
    (void)state;
    person_leaves(&leaving);
    person_joins(&there, &leaving, "bob", ADDRESS);
    move();
    assert_int_equal(app_world_members(&here, "user:bob"), 1);
    assert_int_equal(app_world_members(&here, "user:" ADDRESS), 1);
    person_says(&arriving, "21[\"getRooms\"]");
    person_hears_begin(&arriving, "431[");
    assert_null(strstr(buf_cstr(&arriving.line), "user:bob"));
    app_world_emit(&there, "notification", "user:bob,user:" ADDRESS, "{}");
    person_hears_begin(&arriving, "42[\"notification\",{}");
    person_hears_nothing(&arriving);
}

/* Of the rooms here some are live, with members, and others are not. */
static void rooms_that_are_here_are_entered_as_they_are(void **state)
{
    struct eio_session other;
    (void)state;
    subscribe("1");
    person_joins(&here, &other, "other", NULL);
    person_says(&other, "20[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]");
    person_hears_begin(&other, "430[");
    trade("market:1");
    move();
    trade("market:1");
    hears_trades(1, 2);
    person_hears(&other, TRADE("1") "]");
    person_hears(&other, TRADE("2") "]");
    person_leaves(&other);
}

static void ids_go_on(void **state)
{
    (void)state;
    subscribe("1");
    trade("market:1");
    person_hears_event(&leaving, &past, TRADE("1"));
    move();
    trade("market:1");
    person_hears_event(&arriving, &past, TRADE("2"));
    person_hears_nothing(&arriving);
}

static void one_that_can_not_recover_moves_too(void **state)
{
    (void)state;
    person_leaves(&leaving);
    person_joins(&there, &leaving, "bob", NULL);
    subscribe("1");
    trade("market:1");
    move();
    trade("market:1");
    person_hears(&arriving, TRADE("1") "]");
    person_hears(&arriving, TRADE("2") "]");
}

/* --- Events at every step --- */

static void events_before_and_between_come_once(void **state)
{
    (void)state;
    subscribe("1");
    trade("market:1");
    leave();
    trade("global:all");
    PUMP_UNTIL(there.peer.loop, has_left());
    trade("market:1");
    arrive();
    trade("market:1,global:all");
    PUMP_UNTIL(there.peer.loop, has_place());
    trade("market:1");
    app_world_settle(&there);
    app_world_settle(&here);
    trade("user:alice");
    ask();
    trade("market:1,user:alice,global:all");
    PUMP_UNTIL(there.peer.loop, has_rest());
    trade("market:1");
    app_world_settle(&here);
    trade("global:all");
    hand_over();
    trade("market:1");
    hears_trades(1, emitted);
    person_hears_nothing(&arriving);
}

static void turns(unsigned count)
{
    for (; count > 0; count--) {
        assert_int_equal(loop_turn(there.peer.loop, 0), OK);
    }
}

static unsigned dice; /* the same numbers in every run */

static unsigned roll(unsigned sides)
{
    dice = dice * 1103515245u + 12345u;
    return (dice >> 16) % sides;
}

/* One gateway or the other, or none, does not read for a while. */
static void hold_back(void)
{
    struct bus_subscriber *const both[] = {there.app->subscriber, here.app->subscriber};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (roll(4) == 0) {
            bus_subscriber_pause(both[i]);
        } else {
            bus_subscriber_resume(both[i]);
        }
    }
}

static void do_something(const char *const *rooms, unsigned room_count)
{
    switch (roll(4)) {
    case 0:
        trade(rooms[roll(room_count)]);
        break;
    case 1:
        hold_back();
        break;
    default:
        turns(roll(6));
    }
}

/* The next step of the move, where it can be taken; true at the end. */
static bool step(unsigned *at)
{
    switch (*at) {
    case 0:
        leave();
        break;
    case 1:
        if (!has_left()) {
            return false;
        }
        arrive();
        break;
    case 2:
        if (!has_place()) {
            return false;
        }
        ask();
        break;
    default:
        if (!has_rest()) {
            return false;
        }
        hand_over();
        return true;
    }
    ++*at;
    return false;
}

static void move_at_random(const char *const *rooms, unsigned room_count)
{
    unsigned at = 0;
    for (unsigned i = 0; i < 2000; i++) {
        do_something(rooms, room_count);
        if (roll(3) == 0 && step(&at)) {
            return;
        }
        if (i > 100) { /* let it come to an end */
            bus_subscriber_resume(there.app->subscriber);
            bus_subscriber_resume(here.app->subscriber);
            assert_int_equal(loop_turn(there.peer.loop, 5), OK);
        }
    }
    fail_msg("it has not moved; step %u", at);
}

static void check_random_moves(const char *const *rooms, unsigned room_count)
{
    for (unsigned seed = 1; seed <= 40; seed++) {
        int before = emitted + 1;
        dice = seed;
        move_at_random(rooms, room_count);
        bus_subscriber_resume(there.app->subscriber);
        bus_subscriber_resume(here.app->subscriber);
        trade(rooms[0]);
        hears_trades(before, emitted);
        person_hears_nothing(&arriving);
        person_leaves(&arriving);
        person_joins(&there, &leaving, "alice", NULL);
        subscribe("1");
        subscribe("2");
    }
}

static void events_at_any_time_come_once_and_in_order(void **state)
{
    static const char *const rooms[] = {"market:1",          "market:2",
                                        "global:all",        "market:1,global:all",
                                        "market:2,market:1", "user:alice,market:2"};
    (void)state;
    subscribe("1");
    subscribe("2");
    check_random_moves(rooms, ARRAY_LEN(rooms));
}

/* Of one partition: between two there is no order. */
static void events_of_two_partitions_come_once(void **state)
{
    static const char *const rooms[] = {"market:1"};
    (void)state;
    assert_int_not_equal(bus_partition(&there.options.bus.keys, STR("market:1")),
                         bus_partition(&there.options.bus.keys, STR("market:2")));
    subscribe("1");
    subscribe("2");
    check_random_moves(rooms, ARRAY_LEN(rooms));
}

static void both_partitions_have_a_place(void **state)
{
    (void)state;
    subscribe("1");
    subscribe("2");
    trade("market:1");
    trade("market:2");
    leave();
    move_to_the_place();
    assert_non_null(strstr(arriving.handed, "\n0 "));
    assert_non_null(strstr(arriving.handed, "\n1 "));
    trade("market:1");
    trade("market:2");
    app_world_settle(&there);
    ask();
    PUMP_UNTIL(there.peer.loop, has_rest());
    hand_over();
    hears_trades(1, 4);
    person_hears_nothing(&arriving);
}

/* They go to those who are there, as they always did. */
static void messages_without_an_id_come_by_the_gateway_that_has_the_session(void **state)
{
    (void)state;
    subscribe("1");
    leave();
    move_to_the_place();
    assert_int_equal(
        app_world_publish(&there, "market:1", "0 0 market:trade market:1", STR("{\"n\":1}")), 2);
    app_world_settle(&there);
    ask();
    PUMP_UNTIL(there.peer.loop, has_rest());
    hand_over();
    person_hears(&arriving, TRADE("1") "]");
    app_world_publish(&there, "market:1", "0 0 market:trade market:1", STR("{\"n\":2}"));
    person_hears(&arriving, TRADE("2") "]");
    person_hears_nothing(&arriving);
}

/* --- What is under way --- */

static void a_subscribe_under_way_is_waited_for(void **state)
{
    (void)state;
    person_says(&leaving, "20[\"subscribe\",{\"room\":\"market\",\"id\":\"new\"}]");
    leave();
    assert_false(has_left());
    PUMP_UNTIL(there.peer.loop, has_left());
    arrive();
    PUMP_UNTIL(there.peer.loop, has_place());
    trade("market:new");
    ask();
    PUMP_UNTIL(there.peer.loop, has_rest());
    hand_over();
    person_hears_begin(&arriving, "430[{\"success\":true");
    hears_trades(1, 1);
    assert_int_equal(app_world_members(&here, "market:new"), 1);
}

static void a_client_that_is_not_greeted_yet_is_waited_for(void **state)
{
    (void)state;
    person_leaves(&leaving);
    assert_true(person_open(&there, &leaving));
    person_connects(&leaving, "bob", NULL);
    leave();
    assert_false(has_left());
    finish_move();
    person_hears_begin(&arriving, "40{");
    person_hears_begin(&arriving, "42[\"connected\"");
    person_hears_nothing(&arriving);
}

static void a_client_that_recovers_is_waited_for(void **state)
{
    (void)state;
    subscribe("1");
    person_leaves(&leaving);
    trade("market:1");
    assert_true(person_open(&there, &leaving));
    person_asks_to_recover(&leaving, "alice", NULL, &past);
    leave();
    assert_false(has_left());
    finish_move();
    person_is_accepted(&arriving, &past);
    assert_true(past.recovered);
    person_hears_event(&arriving, &past, TRADE("1"));
    person_hears_event(&arriving, &past, "42[\"connected\"");
    person_hears_nothing(&arriving);
}

/* --- Recovery --- */

static const char *stored(void)
{
    static char answer[1024];
    char text[128];
    snprintf(text, sizeof text, "GET guesslyfe:session:%s", past.pid);
    redis_server_ask(&there.redis, text, answer, sizeof answer);
    return answer;
}

static void its_session_in_redis_is_this_gateways(void **state)
{
    (void)state;
    subscribe("1");
    assert_non_null(strstr(stored(), "gateway "));
    move();
    PUMP_UNTIL(there.peer.loop, strstr(stored(), "another ") != NULL);
    assert_non_null(strstr(stored(), " v market:1\n"));
    assert_non_null(strstr(stored(), past.sid));
    assert_null(app_sessions_find(&there.app->sessions, str_from(past.pid)));
    assert_non_null(app_sessions_find(&here.app->sessions, str_from(past.pid)));
}

static void it_recovers_after_the_move(void **state)
{
    (void)state;
    subscribe("1");
    move();
    trade("market:1");
    person_hears_event(&arriving, &past, TRADE("1"));
    person_leaves(&arriving);
    trade("market:1");
    person_comes(&there, &leaving, "alice", &past);
    assert_true(past.recovered);
    person_hears_event(&leaving, &past, TRADE("2"));
    person_hears_event(&leaving, &past, "42[\"connected\"");
    trade("market:1");
    person_hears_event(&leaving, &past, TRADE("3"));
    person_hears_nothing(&leaving);
}

/* The client has nothing of what was on its way, and gets it again. */
static void it_recovers_from_half_a_move(void **state)
{
    (void)state;
    subscribe("1");
    leave();
    move_to_the_place();
    trade("market:1");
    ask();
    PUMP_UNTIL(there.peer.loop, has_rest());
    assert_int_equal(leaving.reason, EIO_CLOSE_MOVED);
    person_leaves(&leaving);
    person_leaves(&arriving);
    trade("market:1");
    person_comes(&here, &arriving, "alice", &past);
    assert_true(past.recovered);
    person_hears_event(&arriving, &past, TRADE("1"));
    person_hears_event(&arriving, &past, TRADE("2"));
    person_hears_event(&arriving, &past, "42[\"connected\"");
    person_hears_nothing(&arriving);
}

static void one_that_comes_back_meanwhile_is_another(void **state)
{
    struct eio_session again;
    (void)state;
    subscribe("1");
    leave();
    move_to_the_place();
    person_comes(&there, &again, "alice", &past);
    assert_true(past.recovered);
    assert_true(leaving.closed); /* its other connection is half dead */
    person_leaves(&again);
}

/* --- Bounds --- */

static void what_is_held_is_bounded(void **state)
{
    (void)state;
    here.options.recovery_bytes = 200;
    subscribe("1");
    leave();
    move_to_the_place();
    for (int i = 0; i < 20; i++) {
        trade("market:1");
    }
    app_world_settle(&here);
    assert_true(arriving.closed);
    assert_false(leaving.closed);
}

static void a_gap_ends_who_arrives_and_who_leaves(void **state)
{
    (void)state;
    subscribe("1");
    leave();
    move_to_the_place();
    redis_peer_ask(&there.peer, "FLUSHALL");
    redis_server_kill(&there.redis);
    PUMP_UNTIL(there.peer.loop, !bus_subscriber_connected(here.app->subscriber));
    redis_server_start_again(&there.redis);
    PUMP_UNTIL(there.peer.loop, leaving.closed && arriving.closed);
}

/* --- Texts that are none --- */

/* `from` in the state becomes `to`. */
static void check_state_is_refused(const char *from, const char *to)
{
    struct buf text = {0};
    const char *state = leaving.handed;
    const char *at = strstr(state, from);
    assert_non_null(at);
    assert_int_equal(buf_append(&text, str_range(state, (size_t)(at - state))), OK);
    assert_int_equal(buf_append(&text, str_from(to)), OK);
    assert_int_equal(buf_append(&text, str_from(at + strlen(from))), OK);
    assert_int_equal(person_arrives_with(&here, &arriving, buf_str(&text)), OK);
    assert_true(arriving.closed);
    assert_int_equal(arriving.hands, 0);
    person_leaves(&arriving);
    assert_int_equal(here.app->stats.members, 0);
    buf_fini(&text);
}

/* Of the same length, or the text would end elsewhere. */
static void a_state_that_is_none_is_refused(void **state)
{
    char pid[64], short_pid[64], epoch[BUS_EPOCH_LEN + 1];
    (void)state;
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    snprintf(pid, sizeof pid, "%s 0 ", past.pid);
    snprintf(short_pid, sizeof short_pid, "%.23s 00 ", past.pid);
    check_state_is_refused(pid, short_pid);
    snprintf(short_pid, sizeof short_pid, "%s x ", past.pid);
    check_state_is_refused(pid, short_pid);
    check_state_is_refused("user:alice", "user:carol"); /* not a room of its own */
    check_state_is_refused("global:all", "global-all");
    struct str present = bus_subscriber_epoch(there.app->subscriber);
    snprintf(epoch, sizeof epoch, STR_FMT, STR_ARG(present));
    check_state_is_refused(epoch, "aaaaaaaaaaaaaaaaaaaa"); /* its ids mean nothing here */
    arrive();
    PUMP_UNTIL(there.peer.loop, has_place());
}

static void check_place_is_refused(const char *place)
{
    char text[256];
    snprintf(text, sizeof text, "/ %s 1 %zu\n%s", past.sid, strlen(place), place);
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    ops()->on_ask(&leaving, str_from(text));
    assert_true(leaving.closed);
    assert_int_equal(leaving.hands, 1);
    person_leaves(&leaving);
    past = (struct person_past){0};
    person_arrives(&there, &leaving, "alice", &past);
}

static void a_place_that_is_none_is_refused(void **state)
{
    (void)state;
    check_place_is_refused("x 1\n");
    check_place_is_refused("0\n");
    check_place_is_refused("0 x\n");
    check_place_is_refused("0 -1\n");
    check_place_is_refused("1 5\n"); /* there is one partition */
    check_place_is_refused("\n");
}

static void a_rest_that_is_none_is_refused(void **state)
{
    static const char *const rests[] = {"", "5", "x\n", "5\n1 7\n", "5\n0\n", "5\nx 1\n"};
    (void)state;
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
        char text[256];
        arrive();
        PUMP_UNTIL(there.peer.loop, has_place());
        snprintf(text, sizeof text, "/ %s 1 %zu\n%s", past.sid, strlen(rests[i]), rests[i]);
        ops()->on_arrived(&arriving, str_from(text));
        assert_true(arriving.closed);
        person_leaves(&arriving);
    }
}

static void nobody_is_asked_who_does_not_leave(void **state)
{
    char text[64];
    (void)state;
    snprintf(text, sizeof text, "/ %s 1 0\n", past.sid);
    ops()->on_ask(&leaving, str_from(text));
    assert_true(leaving.closed);
}

static void a_rest_has_to_wait_for_what_has_not_come(void **state)
{
    char text[128], place[64];
    (void)state;
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    snprintf(place, sizeof place, "0 9000000000000000000\n");
    snprintf(text, sizeof text, "/ %s 1 %zu\n%s", past.sid, strlen(place), place);
    ops()->on_ask(&leaving, str_from(text));
    app_world_settle(&there);
    app_world_settle(&there);
    assert_false(has_rest());
    assert_false(leaving.closed);
}

/* --- Tokens, and places of a user --- */

#define REVOKED "42[\"error\",{\"message\":\"Token revoked\"}]"

/* Here it is known already. */
static void one_that_was_revoked_does_not_arrive(void **state)
{
    (void)state;
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    assert_int_equal(app_revocations_note(&here.app->revocations, STR("alice"), 100), OK);
    arrive();
    PUMP_UNTIL(there.peer.loop, arriving.closed);
    assert_int_equal(arriving.hands, 0);
    person_hears(&arriving, REVOKED);
    assert_int_equal(here.app->stats.revoked, 1);
}

static const char *told(const char *gateway)
{
    char command[96];
    snprintf(command, sizeof command, "HGET guesslyfe:connections:alice %s", gateway);
    redis_peer_ask(&there.peer, command);
    return there.peer.reply;
}

/* One connection a user. */
static int set_up_one_each(void **state)
{
    (void)state;
    app_world_init(&there);
    there.options.max_connections_per_user = 1;
    open_worlds();
    PUMP_UNTIL(there.peer.loop, here.app->revocations.known && there.app->revocations.known);
    redis_peer_ask(&there.peer, "SET guesslyfe:gateway:gateway {} PX 1000000"); /* they live */
    redis_peer_ask(&there.peer, "SET guesslyfe:gateway:another {} PX 1000000");
    return 0;
}

static void its_place_comes_along(void **state)
{
    struct eio_session second;
    (void)state;
    person_arrives(&there, &leaving, "alice", &past);
    move();
    PUMP_UNTIL(there.peer.loop, strcmp(told("another"), "1") == 0);
    PUMP_UNTIL(there.peer.loop, strcmp(told("gateway"), "1") != 0);
    assert_true(person_open(&there, &second));
    person_connects(&second, "alice", NULL);
    person_hears_begin(&second, "40{");
    person_hears(&second, "42[\"error\",{\"message\":\"Too many connections\"}]");
    person_leaves(&second);
    person_leaves(&arriving);
    PUMP_UNTIL(there.peer.loop, strcmp(told("another"), "1") != 0);
    person_arrives(&there, &leaving, "alice", &past);
}

/* Its place is asked for: only who has been let in moves. */
static void one_that_is_not_let_in_yet_is_waited_for(void **state)
{
    (void)state;
    assert_true(person_open(&there, &leaving));
    person_connects(&leaving, "alice", NULL);
    leave();
    assert_false(has_left());
    finish_move();
    person_hears_begin(&arriving, "40{");
    person_hears_begin(&arriving, "42[\"connected\"");
    person_hears_nothing(&arriving);
}

static void joins_with_token(int64_t expires_s)
{
    char claims[64], text[512];
    snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"exp\":%lld}", (long long)expires_s);
    char *token = app_world_token(claims);
    snprintf(text, sizeof text, "0{\"token\":\"%s\"}", token);
    free(token);
    person_leaves(&leaving);
    assert_true(person_open(&there, &leaving));
    person_says(&leaving, text);
    person_hears_begin(&leaving, "40{");
    person_hears_begin(&leaving, "42[\"connected\"");
}

static void it_is_told_once_that_its_token_ends(void **state)
{
    (void)state;
    joins_with_token(clock_wall_ms() / 1000 + 30); /* within a minute */
    move();
    person_hears_begin(&arriving, "42[\"token:expiring\"");
    person_hears_nothing(&arriving);
}

static void its_token_ends_here(void **state)
{
    (void)state;
    joins_with_token(clock_wall_ms() / 1000 + 2);
    person_hears_begin(&leaving, "42[\"token:expiring\"");
    move();
    person_hears(&arriving, "42[\"error\",{\"message\":\"Token expired\"}]");
    person_hears(&arriving, "41");
}

/* --- Without memory --- */

/* Whoever arrives is there then, or its session ends. */
static void an_arrival_without_memory_ends_at_most(void **state)
{
    bool failed = true;
    (void)state;
    subscribe("1");
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    for (long n = 0; failed; n++) {
        failing_alloc_at(n);
        enum err err = person_arrives_with(&here, &arriving, handed(&leaving));
        failed = failing_alloc_hit();
        assert_true(!err || (failed && err == ERR_NOMEM));
        if (arriving.open && !arriving.closed) {
            PUMP_UNTIL(there.peer.loop, has_place() || arriving.closed);
        }
        assert_true(failed || !arriving.closed);
        person_leaves(&arriving);
        assert_int_equal(here.app->stats.members, 0);
        assert_in_range(n, 0, 200);
    }
}

static void a_rest_without_memory_ends_at_most(void **state)
{
    bool failed = true;
    (void)state;
    subscribe("1");
    leave();
    PUMP_UNTIL(there.peer.loop, has_left());
    for (long n = 0; failed; n++) {
        char text[128];
        snprintf(text, sizeof text, "/ %s 1 6\n1\n0 1\n", past.sid);
        arrive();
        PUMP_UNTIL(there.peer.loop, has_place());
        trade("market:1");
        app_world_settle(&here);
        failing_alloc_at(n);
        ops()->on_arrived(&arriving, str_from(text));
        failed = failing_alloc_hit();
        assert_true(failed || !arriving.closed);
        if (!arriving.closed) {
            person_hears_begin(&arriving, "42[\"market:trade\"");
        }
        person_leaves(&arriving);
        PUMP_UNTIL(there.peer.loop,
                   bus_store_waiting(bus_subscriber_store(here.app->subscriber)) == 0);
        assert_in_range(n, 0, 200);
    }
}

static void leaving_without_memory_ends_at_most(void **state)
{
    bool failed = true;
    (void)state;
    for (long n = 0; failed; n++) {
        failing_alloc_at(n);
        leave();
        failed = failing_alloc_hit();
        if (!leaving.closed) {
            PUMP_UNTIL(there.peer.loop, has_left());
            arrive();
            PUMP_UNTIL(there.peer.loop, has_place());
            failing_alloc_at(failed ? -1 : n);
            ask();
            failing_alloc_at(-1);
            person_leaves(&arriving);
        }
        person_leaves(&leaving);
        past = (struct person_past){0};
        person_arrives(&there, &leaving, "alice", &past);
        assert_in_range(n, 0, 200);
    }
}

int main(void)
{
#define TEST(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TWO(name)      cmocka_unit_test_setup_teardown(name, set_up_two_partitions, tear_down)
#define ONE_EACH(name) cmocka_unit_test_setup_teardown(name, set_up_one_each, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rooms_come_along),
        TEST(what_it_does_not_see_it_does_not_see_here),
        TEST(rooms_that_are_here_are_entered_as_they_are),
        TEST(ids_go_on),
        TEST(one_that_can_not_recover_moves_too),
        TEST(events_before_and_between_come_once),
        TEST(events_at_any_time_come_once_and_in_order),
        TWO(events_of_two_partitions_come_once),
        TWO(both_partitions_have_a_place),
        TEST(messages_without_an_id_come_by_the_gateway_that_has_the_session),
        TEST(a_subscribe_under_way_is_waited_for),
        TEST(a_client_that_is_not_greeted_yet_is_waited_for),
        TEST(a_client_that_recovers_is_waited_for),
        TEST(its_session_in_redis_is_this_gateways),
        TEST(it_recovers_after_the_move),
        TEST(it_recovers_from_half_a_move),
        TEST(one_that_comes_back_meanwhile_is_another),
        TEST(what_is_held_is_bounded),
        TEST(a_gap_ends_who_arrives_and_who_leaves),
        TEST(a_state_that_is_none_is_refused),
        TEST(a_place_that_is_none_is_refused),
        TEST(a_rest_that_is_none_is_refused),
        TEST(nobody_is_asked_who_does_not_leave),
        TEST(a_rest_has_to_wait_for_what_has_not_come),
        TEST(one_that_was_revoked_does_not_arrive),
        ONE_EACH(its_place_comes_along),
        ONE_EACH(one_that_is_not_let_in_yet_is_waited_for),
        TEST(it_is_told_once_that_its_token_ends),
        TEST(its_token_ends_here),
        TEST(an_arrival_without_memory_ends_at_most),
        TEST(a_rest_without_memory_ends_at_most),
        TEST(leaving_without_memory_ends_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

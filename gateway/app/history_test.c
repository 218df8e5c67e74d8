/* What was in a room before: from memory, from its log, and when neither reaches back so far. */
#include "app/history.h"

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

static struct app_world world;
static struct eio_session alice;

static int set_up(void **state)
{
    (void)state;
    app_world_init(&world);
    world.options.bus.history[ROOM_MARKET] = (struct bus_history){5, 300};
    world.options.bus.history[ROOM_CREATOR] = (struct bus_history){5, 1};
    world.options.max_history = 4;
    app_world_open(&world);
    person_joins(&world, &alice, "alice", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    app_world_close(&world);
    return 0;
}

static uint64_t trade(int n)
{
    char payload[32];
    snprintf(payload, sizeof payload, "{\"n\":%d}", n);
    return app_world_emit(&world, "market:trade", "market:1", payload);
}

/* `more`: what stands in {room, id} beside these. */
static void ask_for(struct eio_session *person, const char *room, const char *more)
{
    char text[256];
    snprintf(text, sizeof text, "20[\"subscribe\",{\"room\":\"%s\",\"id\":\"1\"%s}]", room, more);
    person_says(person, text);
}

static void ask_since(struct eio_session *person, const char *room, uint64_t id)
{
    char more[64];
    snprintf(more, sizeof more, ",\"since\":\"%llu\"", (unsigned long long)id);
    ask_for(person, room, more);
}

/* The numbers that the events of the answer have: "1,2,3". */
static void is_told(struct eio_session *person, const char *numbers, bool complete)
{
    char told[256] = "";
    person_hears_begin(person, "430[{\"success\":true,");
    const char *text = buf_cstr(&person->line);
    for (const char *at = text; (at = strstr(at, "\"payload\":{\"n\":")); at++) {
        size_t len = strlen(told);
        snprintf(told + len, sizeof told - len, "%s%d", len > 0 ? "," : "", atoi(at + 15));
    }
    assert_string_equal(told, numbers);
    assert_non_null(strstr(text, complete ? "],\"complete\":true}]" : "],\"complete\":false}]"));
}

static void an_event_is_told_as_it_was(void **state)
{
    (void)state;
    char expected[256];
    uint64_t id = trade(1);
    ask_since(&alice, "market", id - 1);
    snprintf(expected, sizeof expected,
             "430[{\"success\":true,\"room\":\"market:1\",\"message\":\"Subscribed to market:1\","
             "\"events\":[{\"id\":\"%llu\",\"event\":\"market:trade\",\"payload\":{\"n\":1}}],"
             "\"complete\":true}]",
             (unsigned long long)id);
    person_hears(&alice, expected);
}

static void what_came_since_is_told_in_order(void **state)
{
    (void)state;
    uint64_t first = trade(1);
    for (int n = 2; n <= 4; n++) {
        trade(n);
    }
    ask_since(&alice, "market", first);
    is_told(&alice, "2,3,4", true);
    trade(5);
    person_hears(&alice, "42[\"market:trade\",{\"n\":5}]");
    ask_since(&alice, "market", first);
    is_told(&alice, "2,3,4,5", true);
    assert_int_equal(world.app->history.reads, 1);
    assert_int_equal(world.app->history.from_memory, 1);
}

static void nothing_came_since(void **state)
{
    (void)state;
    uint64_t last = trade(1);
    ask_since(&alice, "market", last);
    is_told(&alice, "", true);
    ask_since(&alice, "market", UINT64_MAX);
    is_told(&alice, "", true);
}

static void the_last_ones_are_told(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n++) {
        trade(n);
    }
    ask_for(&alice, "market", ",\"last\":2");
    is_told(&alice, "7,8", true);
    ask_for(&alice, "market", ",\"last\":3");
    is_told(&alice, "6,7,8", true);
    ask_for(&alice, "market", ",\"last\":100"); /* four are the most */
    is_told(&alice, "5,6,7,8", true);
}

static void too_long_ago_is_not_complete(void **state)
{
    (void)state;
    struct eio_session bob;
    uint64_t first = trade(1);
    for (int n = 2; n <= 8; n++) {
        trade(n);
    }
    person_joins(&world, &bob, "bob", NULL);
    world.options.max_history = 10;
    ask_since(&alice, "market", first);
    is_told(&alice, "4,5,6,7,8", false);
    ask_since(&bob, "market", first); /* nor for whoever asks next */
    is_told(&bob, "4,5,6,7,8", false);
    ask_since(&bob, "market", first - 10);
    is_told(&bob, "4,5,6,7,8", false);
    person_leaves(&bob);
}

/* Creators' rooms forget within a second here. */
static void forgotten_by_age_is_not_complete(void **state)
{
    (void)state;
    uint64_t id = app_world_emit(&world, "market:trade", "creator:1", "{\"n\":1}");
    do {
        redis_peer_ask(&world.peer, "EXISTS guesslyfe:{0}:log:creator:1");
    } while (strcmp(world.peer.reply, "0") != 0);
    for (int i = 0; i < 2; i++) { /* the second could have it from memory */
        ask_since(&alice, "creator", id - 1);
        is_told(&alice, "", false);
    }
    app_world_emit(&world, "market:trade", "creator:1", "{\"n\":2}");
    person_hears_begin(&alice, "42[\"market:trade\"");
    ask_since(&alice, "creator", id - 1);
    is_told(&alice, "2", false);
}

static void more_than_an_answer_may_hold_is_not_complete(void **state)
{
    (void)state;
    uint64_t first = trade(1);
    for (int n = 2; n <= 5; n++) {
        trade(n);
    }
    ask_since(&alice, "market", first - 1);
    is_told(&alice, "2,3,4,5", false);
}

static void an_answer_has_a_mebibyte_at_most(void **state)
{
    (void)state;
    static char payload[400001];
    uint64_t first = 0;
    for (int n = 1; n <= 3; n++) {
        int head = snprintf(payload, sizeof payload, "{\"n\":%d,\"x\":\"", n);
        memset(payload + head, 'x', sizeof payload - 1 - (size_t)head);
        memcpy(payload + sizeof payload - 3, "\"}", 2);
        uint64_t id = app_world_emit(&world, "market:trade", "market:1", payload);
        first = first ? first : id;
    }
    ask_since(&alice, "market", first - 1);
    is_told(&alice, "2,3", false);
}

static void a_room_of_which_nothing_is_kept_promises_nothing(void **state)
{
    (void)state;
    world.options.bus.history[ROOM_MARKET].length = 0;
    uint64_t id = trade(1);
    ask_since(&alice, "market", id - 1);
    is_told(&alice, "", true);
}

static void what_is_no_wish_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        ",\"since\":\"\"",
        ",\"since\":\"x\"",
        ",\"since\":5",
        ",\"since\":null",
        ",\"since\":\"-1\"",
        ",\"since\":{}",
        ",\"last\":0",
        ",\"last\":-1",
        ",\"last\":\"5\"",
        ",\"last\":1.5",
        ",\"last\":null",
        ",\"last\":[]",
        ",\"since\":\"1 \"",
        ",\"last\":1e2",
        ",\"last\":99999999999999999999",
        ",\"since\":\"99999999999999999999\"",
        ",\"since\":\"1\",\"last\":1",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        ask_for(&alice, "market", wrong[i]);
        person_hears_begin(&alice, "430[{\"success\":false,\"room\":\"market:1\",\"message\":\"");
    }
    assert_int_equal(app_world_members(&world, "market:1"), 0);
    assert_int_equal(world.app->stats.refused, ARRAY_LEN(wrong));
}

static void who_asks_at_the_same_time_shares_a_read(void **state)
{
    (void)state;
    struct eio_session bob;
    uint64_t first = trade(1);
    trade(2);
    person_joins(&world, &bob, "bob", NULL);
    ask_since(&alice, "market", first - 1);
    ask_since(&bob, "market", first);
    is_told(&alice, "1,2", true);
    is_told(&bob, "2", true);
    assert_int_equal(world.app->history.reads, 1);
    person_leaves(&bob);
}

/* For more than the read that is under way. */
static void who_wants_more_meanwhile_is_asked_for_after(void **state)
{
    (void)state;
    struct eio_session bob;
    uint64_t first = trade(1);
    trade(2);
    person_joins(&world, &bob, "bob", NULL);
    ask_for(&alice, "market", "");
    person_hears_begin(&alice, "430[{\"success\":true,");
    ask_since(&alice, "market", first);
    ask_since(&bob, "market", first - 1);
    is_told(&alice, "2", true);
    is_told(&bob, "1,2", true);
    assert_int_equal(world.app->history.reads, 2);
    person_leaves(&bob);
}

static void who_leaves_meanwhile_is_not_waited_for(void **state)
{
    (void)state;
    uint64_t first = trade(1);
    ask_for(&alice, "market", "");
    person_hears_begin(&alice, "430[{\"success\":true,");
    ask_since(&alice, "market", first - 1);
    person_says(&alice, "21[\"unsubscribe\",{\"room\":\"market\",\"id\":\"1\"}]");
    person_hears(&alice, "430[{\"success\":false,\"room\":\"market:1\","
                         "\"message\":\"Unsubscribed meanwhile\"}]");
    person_hears_begin(&alice, "431[{\"success\":true,");
    PUMP_UNTIL(world.peer.loop, !app_rooms_find(&world.app->rooms, STR("market:1")));
}

static void redis_that_does_not_answer_is_not_waited_for(void **state)
{
    (void)state;
    uint64_t first = trade(1);
    ask_for(&alice, "market", "");
    person_hears_begin(&alice, "430[{\"success\":true,");
    redis_server_pause(&world.redis);
    ask_since(&alice, "market", first - 1);
    person_hears_begin(&alice, "430[{\"success\":false,");
    redis_server_resume(&world.redis);
    ask_since(&alice, "market", first - 1);
    is_told(&alice, "1", true);
}

/* The answer to `subscribe` is true from the moment it is sent. */
static void a_room_that_is_not_live_any_more_is_waited_for(void **state)
{
    (void)state;
    uint64_t first = trade(1);
    ask_for(&alice, "market", "");
    person_hears_begin(&alice, "430[{\"success\":true,");
    struct app_room *room = app_rooms_find(&world.app->rooms, STR("market:1"));
    world.app->joins.timeout_ms = 20000;
    ask_since(&alice, "market", first - 1);
    room->channel.state = BUS_CHANNEL_BEHIND;
    PUMP_UNTIL(world.peer.loop, world.app->history.reading.count == 0);
    assert_int_equal(alice.sent.len, 0);
    room->channel.state = BUS_CHANNEL_LIVE;
    app_joins_room_live(&world.app->joins, room);
    is_told(&alice, "1", true);
}

/* Written by somebody else: no client may get it, and nobody misses it. */
static void what_is_no_event_is_not_told(void **state)
{
    (void)state;
    uint64_t first = app_world_emit(&world, "market:nonsense", "market:1", "{}");
    trade(2);
    app_world_emit(&world, "market:trade", "market:1", "{");
    trade(4);
    ask_since(&alice, "market", first - 1);
    is_told(&alice, "2,4", true);
}

static bool has(const struct eio_session *person, const char *text)
{
    return person->sent.len > 0 && memmem(person->sent.data, person->sent.len, text, strlen(text));
}

/* All of it, or said to be less, or refused, or disconnected. */
static bool ask_without_memory(long allocation, uint64_t since)
{
    failing_alloc_at(allocation);
    ask_since(&alice, "market", since);
    PUMP_UNTIL(world.peer.loop, alice.closed || has(&alice, "430[{\"success\""));
    bool hit = failing_alloc_hit();
    assert_true(!has(&alice, "\"complete\":true") ||
                (has(&alice, "{\"n\":1}") && has(&alice, "{\"n\":2}")));
    return hit;
}

/* Nothing of the room is in memory any more. */
static void forget_the_room(void)
{
    person_leaves(&alice);
    PUMP_UNTIL(world.peer.loop, !app_rooms_find(&world.app->rooms, STR("market:1")));
    person_joins(&world, &alice, "alice", NULL);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t since = trade(1) - 1;
    trade(2);
    world.app->rooms.linger_ms = 1;
    for (long n = 0; ask_without_memory(n, since); n++) {
        forget_the_room();
    }
    is_told(&alice, "1,2", true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_told_as_it_was),
        TEST(what_came_since_is_told_in_order),
        TEST(nothing_came_since),
        TEST(the_last_ones_are_told),
        TEST(too_long_ago_is_not_complete),
        TEST(forgotten_by_age_is_not_complete),
        TEST(more_than_an_answer_may_hold_is_not_complete),
        TEST(an_answer_has_a_mebibyte_at_most),
        TEST(a_room_of_which_nothing_is_kept_promises_nothing),
        TEST(what_is_no_wish_is_refused),
        TEST(who_asks_at_the_same_time_shares_a_read),
        TEST(who_wants_more_meanwhile_is_asked_for_after),
        TEST(who_leaves_meanwhile_is_not_waited_for),
        TEST(redis_that_does_not_answer_is_not_waited_for),
        TEST(a_room_that_is_not_live_any_more_is_waited_for),
        TEST(what_is_no_event_is_not_told),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

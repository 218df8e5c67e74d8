/* Waiting for Redis: what is confirmed at once, later, never, or to nobody any more. */
#include "app/join.h"

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

#define ADDRESS              "0x00000000000000000000000000000000000000aa"
#define ASK(room, id, ack)   "2" ack "[\"subscribe\",{\"room\":\"" room "\",\"id\":\"" id "\"}]"
#define LEAVE(room, id, ack) "2" ack "[\"unsubscribe\",{\"room\":\"" room "\",\"id\":\"" id "\"}]"
#define YES(room, ack)                                                                             \
    "43" ack "[{\"success\":true,\"room\":\"" room "\",\"message\":\"Subscribed to " room "\"}]"
#define NO(room, ack, why)                                                                         \
    "43" ack "[{\"success\":false,\"room\":\"" room "\",\"message\":\"" why "\"}]"
#define LATER     "Temporarily unavailable; try again later"
#define MEANWHILE "Unsubscribed meanwhile"

static struct app_world world;
static struct eio_session alice;

static int set_up(void **state)
{
    (void)state;
    app_world_init(&world);
    app_world_open(&world);
    person_joins(&world, &alice, "alice", ADDRESS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    assert_int_equal(world.app->stats.members, 0);
    assert_true(list_empty(&world.app->joins.by_time));
    app_world_close(&world);
    return 0;
}

static void turns_for(unsigned ms)
{
    uint64_t until = clock_monotonic_ms() + ms;
    PUMP_UNTIL(world.peer.loop, clock_monotonic_ms() > until);
}

static void a_live_room_is_entered_at_once(void **state)
{
    (void)state;
    person_says(&alice, ASK("market", "1", "1"));
    assert_int_equal(alice.sent.len, 0); /* not before Redis said so */
    person_hears(&alice, YES("market:1", "1"));
    person_says(&alice, ASK("market", "1", "2"));
    assert_int_not_equal(alice.sent.len, 0);
    person_hears(&alice, YES("market:1", "2"));
}

static void several_wait_for_one_room(void **state)
{
    (void)state;
    struct eio_session bob;
    person_joins(&world, &bob, "bob", NULL);
    person_says(&alice, ASK("market", "1", "1"));
    person_says(&bob, ASK("market", "1", "2"));
    person_says(&alice, ASK("market", "1", "3"));
    person_hears(&alice, YES("market:1", "1"));
    person_hears(&alice, YES("market:1", "3"));
    person_hears(&bob, YES("market:1", "2"));
    assert_int_equal(app_world_members(&world, "market:1"), 2);
    person_leaves(&bob);
}

static void redis_that_does_not_answer_is_not_waited_for(void **state)
{
    (void)state;
    redis_server_pause(&world.redis);
    person_says(&alice, ASK("market", "1", "1"));
    person_says(&alice, ASK("user", ADDRESS, "2"));
    person_hears(&alice, YES("user:" ADDRESS, "2")); /* live already */
    person_hears(&alice, NO("market:1", "1", LATER));
    assert_int_equal(app_world_members(&world, "market:1"), 0);
    redis_server_resume(&world.redis);
    person_says(&alice, ASK("market", "1", "3"));
    person_hears(&alice, YES("market:1", "3"));
}

static void redis_that_comes_back_in_time_is_enough(void **state)
{
    (void)state;
    redis_server_kill(&world.redis);
    PUMP_UNTIL(world.peer.loop, !bus_subscriber_connected(world.app->subscriber));
    person_says(&alice, ASK("market", "1", "1"));
    person_hears(&alice, NO("market:1", "1", LATER));
    world.options.subscribe_timeout_ms = world.app->joins.timeout_ms = 20000;
    person_says(&alice, ASK("market", "1", "2"));
    person_says(&alice, ASK("global", "all", "3")); /* is in it, but nothing would come */
    redis_server_start_again(&world.redis);
    person_hears_begin(&alice, "43");
    person_hears_begin(&alice, "43");
    assert_true(app_room_is_live(app_rooms_find(&world.app->rooms, STR("market:1"))));
    PUMP_UNTIL(world.peer.loop, world.peer.ups == 2);
    app_world_settle(&world);
    assert_int_equal(app_world_publish(&world, "market:1", "0 0 market:trade market:1", STR("{}")),
                     1);
    person_hears(&alice, "42[\"market:trade\",{}]");
    /* and what it was in before is live again, once */
    app_world_publish(&world, "user:alice", "0 0 notification user:alice", STR("{}"));
    person_hears(&alice, "42[\"notification\",{}]");
    person_hears_nothing(&alice);
}

static void connecting_waits_however_long(void **state)
{
    (void)state;
    struct eio_session bob, eve;
    redis_server_pause(&world.redis);
    assert_true(person_open(&world, &bob));
    person_connects(&bob, "bob", NULL);
    person_hears_begin(&bob, "40{");
    assert_true(person_open(&world, &eve));
    person_connects(&eve, "eve", NULL);
    person_leaves(&eve); /* while it waits */
    turns_for(250);
    assert_int_equal(bob.sent.len, 0);
    redis_server_resume(&world.redis);
    person_hears_begin(&bob, "42[\"connected\"");
    person_leaves(&bob);
}

static void leaving_ends_the_wait(void **state)
{
    (void)state;
    redis_server_pause(&world.redis);
    person_says(&alice, ASK("market", "1", "1"));
    person_says(&alice, ASK("market", "1", "2"));
    person_says(&alice, LEAVE("market", "1", "3"));
    person_hears(&alice, NO("market:1", "1", MEANWHILE));
    person_hears(&alice, NO("market:1", "2", MEANWHILE));
    person_hears_begin(&alice, "433[{\"success\":true");
    redis_server_resume(&world.redis);
    person_hears_nothing(&alice);
    assert_int_equal(app_world_members(&world, "market:1"), 0);
}

/* The room of the sub is waited for first, without being seen. */
static void the_pair_of_user_rooms_waits_as_one(void **state)
{
    (void)state;
    person_says(&alice, LEAVE("user", ADDRESS, "1"));
    person_hears_begin(&alice, "431[{\"success\":true");
    PUMP_UNTIL(world.peer.loop, !app_rooms_find(&world.app->rooms, STR("user:" ADDRESS)) &&
                                    !app_rooms_find(&world.app->rooms, STR("user:alice")));
    redis_server_pause(&world.redis);
    person_says(&alice, ASK("user", ADDRESS, "2"));
    person_hears(&alice, NO("user:" ADDRESS, "2", LATER));
    person_says(&alice, ASK("user", ADDRESS, "3"));
    person_says(&alice, LEAVE("user", ADDRESS, "4"));
    person_hears(&alice, NO("user:" ADDRESS, "3", MEANWHILE));
    person_hears_begin(&alice, "434[{\"success\":true");
    person_says(&alice, ASK("user", ADDRESS, "5"));
    redis_server_resume(&world.redis);
    person_hears(&alice, YES("user:" ADDRESS, "5"));
    assert_int_equal(app_world_members(&world, "user:alice"), 1);
}

/* Clients subscribe twice after a reconnect: that is not twice the rooms. Five in this world. */
static void waiting_counts_rooms_and_is_limited(void **state)
{
    (void)state;
    redis_server_pause(&world.redis);
    world.app->joins.timeout_ms = 20000;
    for (unsigned i = 0; i < 2; i++) {
        person_says(&alice, ASK("market", "1", "1"));
        person_says(&alice, ASK("market", "2", "1"));
        person_says(&alice, ASK("market", "3", "1"));
    }
    person_says(&alice, ASK("market", "4", "2"));
    person_hears(&alice, NO("market:4", "2", "Too many rooms; unsubscribe from one first"));
    for (unsigned i = 0; i < 4; i++) {
        person_says(&alice, ASK("market", "1", "1"));
    }
    assert_int_equal(alice.sent.len, 0);
    person_says(&alice, ASK("market", "1", "3"));
    person_hears(&alice, NO("market:1", "3", "Too many rooms; unsubscribe from one first"));
    redis_server_resume(&world.redis);
    for (unsigned i = 0; i < 10; i++) {
        person_hears_begin(&alice, "431[{\"success\":true");
    }
}

static void a_member_that_goes_takes_its_joins_along(void **state)
{
    (void)state;
    struct eio_session bob;
    person_joins(&world, &bob, "bob", NULL);
    redis_server_pause(&world.redis);
    person_says(&bob, ASK("market", "1", "1"));
    person_says(&alice, ASK("market", "1", "2"));
    person_says(&bob, ASK("market", "2", "3"));
    person_leaves(&bob);
    redis_server_resume(&world.redis);
    person_hears(&alice, YES("market:1", "2"));
    assert_int_equal(app_world_members(&world, "market:1"), 1);
    PUMP_UNTIL(world.peer.loop, !app_rooms_find(&world.app->rooms, STR("market:2")));
}

static void rooms_linger(void **state)
{
    (void)state;
    person_says(&alice, ASK("market", "1", "1"));
    person_hears(&alice, YES("market:1", "1"));
    person_says(&alice, LEAVE("market", "1", "2"));
    person_hears_begin(&alice, "432[{\"success\":true");
    assert_int_equal(world.app->rooms.visible, 2);
    assert_int_equal(app_world_publish(&world, "market:1", "0 0 market:trade market:1", STR("{}")),
                     1); /* to nobody here */
    person_says(&alice, ASK("market", "1", "3"));
    person_hears(&alice, YES("market:1", "3"));
    person_says(&alice, LEAVE("market", "1", "4"));
    person_hears_begin(&alice, "434[{\"success\":true");
    PUMP_UNTIL(world.peer.loop, !app_rooms_find(&world.app->rooms, STR("market:1")));
    person_hears_nothing(&alice);
}

/* Each step of waiting and ending. The answer or the session may be lost, never the order. */
static void wait_without_memory(void *context)
{
    struct eio_session bob;
    (void)context;
    if (person_open(&world, &bob)) {
        char text[1024];
        snprintf(text, sizeof text, "0{\"token\":\"%s\"}", (const char *)context);
        person_says(&bob, text);
        person_says(&bob, ASK("market", "7", "1"));
        person_says(&bob, ASK("market", "7", "2"));
        person_says(&bob, ASK("market", "8", "3"));
        person_says(&bob, LEAVE("market", "8", "4"));
        struct app_room *room = app_rooms_find(&world.app->rooms, STR("market:7"));
        if (room) { /* as when Redis has confirmed it; nothing comes from there meanwhile */
            room->channel.state = BUS_CHANNEL_LIVE;
            app_joins_room_live(&world.app->joins, room);
            room->channel.state = BUS_CHANNEL_QUEUED;
        }
    }
    person_leaves(&bob);
    assert_int_equal(world.app->stats.members, 1);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    char *token = app_world_token("{\"sub\":\"bob\"}");
    failing_alloc_each(wait_without_memory, token);
    free(token);
    person_says(&alice, ASK("market", "7", "1"));
    person_hears(&alice, YES("market:7", "1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_live_room_is_entered_at_once),
        TEST(several_wait_for_one_room),
        TEST(redis_that_does_not_answer_is_not_waited_for),
        TEST(redis_that_comes_back_in_time_is_enough),
        TEST(connecting_waits_however_long),
        TEST(leaving_ends_the_wait),
        TEST(the_pair_of_user_rooms_waits_as_one),
        TEST(waiting_counts_rooms_and_is_limited),
        TEST(a_member_that_goes_takes_its_joins_along),
        TEST(rooms_linger),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

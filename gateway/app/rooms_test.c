/* Rooms and their places, over a bus that only remembers who is wanted. */
#include "app/rooms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "util/clock.h"

enum { LINGER_MS = 1000, MANY = 100, MAX_IDLE = 3 };

/* --- In place of bus/subscriber.c --- */

struct bus_subscriber {
    struct bus_channel *wanted[MANY];
    size_t count;
    unsigned wants, drops;
    enum err refuse;
};

void bus_channel_init(struct bus_channel *channel, struct str room)
{
    *channel = (struct bus_channel){.room_at = (unsigned char)(room.ptr - (const char *)channel),
                                    .room_len = (unsigned char)room.len};
}

enum err bus_subscriber_want(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    if (subscriber->refuse) {
        return subscriber->refuse;
    }
    subscriber->wanted[subscriber->count++] = channel;
    subscriber->wants++;
    channel->state = BUS_CHANNEL_QUEUED;
    return OK;
}

void bus_subscriber_drop(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    for (size_t i = 0; i < subscriber->count; i++) {
        if (subscriber->wanted[i] == channel) {
            subscriber->wanted[i] = subscriber->wanted[--subscriber->count];
            subscriber->drops++;
        }
    }
}

struct bus_channel *bus_subscriber_find(struct bus_subscriber *subscriber, struct str room)
{
    for (size_t i = 0; i < subscriber->count; i++) {
        if (str_eq(bus_channel_room_name(subscriber->wanted[i]), room)) {
            return subscriber->wanted[i];
        }
    }
    return NULL;
}

/* --- The tests --- */

struct stage {
    struct clock_fake clock;
    struct loop *loop;
    struct bus_subscriber bus;
    struct app_rooms rooms;
    uint32_t places[MANY]; /* of the members, which are numbers here: member n is at places[n] */
};

static struct stage stage;

static struct app_member *member(unsigned n)
{
    return (struct app_member *)&stage.places[n];
}

static unsigned number(const struct app_member *who)
{
    return (unsigned)((const uint32_t *)who - stage.places);
}

static int set_up(void **state)
{
    (void)state;
    stage = (struct stage){.clock = {.monotonic_ms = 1000000}};
    clock_set_fake(&stage.clock);
    stage.loop = loop_new();
    assert_non_null(stage.loop);
    app_rooms_init(&stage.rooms, stage.loop, &stage.bus, LINGER_MS, MAX_IDLE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    app_rooms_fini(&stage.rooms);
    assert_int_equal(stage.bus.count, 0);
    loop_free(stage.loop);
    clock_set_fake(NULL);
    return 0;
}

static void advance(unsigned ms)
{
    for (unsigned gone = 0; gone < ms; gone += 10) {
        stage.clock.monotonic_ms += 10;
        clock_set_fake(&stage.clock);
        assert_int_equal(loop_turn(stage.loop, 0), OK);
    }
}

static struct app_room *get(const char *name)
{
    struct room_name canonical;
    struct app_room *room = NULL;
    assert_int_equal(room_name_parse(str_from(name), &canonical), OK);
    assert_int_equal(app_rooms_get(&stage.rooms, &canonical, &room), OK);
    return room;
}

static void add(struct app_room *room, unsigned n)
{
    assert_int_equal(app_room_add(room, member(n), &stage.places[n]), OK);
}

static void take_out(struct app_room *room, unsigned n)
{
    struct app_member *moved = app_room_remove(room, stage.places[n]);
    if (moved) {
        stage.places[number(moved)] = stage.places[n];
    }
}

static void check(const struct app_room *room, const unsigned *who, uint32_t count)
{
    assert_int_equal(room->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(app_room_members(room)[stage.places[who[i]]], member(who[i]));
    }
}

static void members_from_one_to_many_and_back(void **state)
{
    (void)state;
    struct app_room *room = get("market:1");
    add(room, 0);
    check(room, (unsigned[]){0}, 1);
    assert_false(room->is_many);
    for (unsigned n = 1; n < MANY; n++) {
        add(room, n);
    }
    take_out(room, MANY - 1); /* the last: nobody moves */
    take_out(room, 0);        /* the last moves there */
    assert_int_equal(stage.places[MANY - 2], 0);
    for (unsigned n = 1; n < MANY - 5; n++) {
        take_out(room, n);
    }
    check(room, (unsigned[]){95, 96, 97, 98}, 4);
    for (unsigned n = 95; n < 99; n++) {
        take_out(room, n);
    }
    assert_int_equal(room->count, 0);
    app_rooms_settle(&stage.rooms, room);
    assert_true(room->is_idle);
    room = get("market:1"); /* once more from the beginning */
    add(room, 3);
    assert_false(room->is_many);
    check(room, (unsigned[]){3}, 1);
    take_out(room, 3);
    app_rooms_settle(&stage.rooms, room);
}

static void rooms_linger_in_the_order_of_leaving(void **state)
{
    (void)state;
    struct app_room *first = get("market:1"), *second = get("market:2");
    app_rooms_settle(&stage.rooms, first);
    app_rooms_settle(&stage.rooms, first);
    advance(500);
    app_rooms_settle(&stage.rooms, second);
    assert_ptr_equal(app_rooms_find(&stage.rooms, STR("market:1")), first);
    advance(530);
    assert_null(app_rooms_find(&stage.rooms, STR("market:1")));
    assert_ptr_equal(app_rooms_find(&stage.rooms, STR("market:2")), second);
    assert_ptr_equal(get("market:2"), second); /* awake again: stays */
    advance(2000);
    assert_ptr_equal(app_rooms_find(&stage.rooms, STR("market:2")), second);
    assert_int_equal(stage.bus.wants, 2);
    assert_int_equal(stage.bus.drops, 1);
    app_rooms_settle(&stage.rooms, second);
    advance(1030);
    assert_int_equal(stage.bus.drops, 2);
}

static void of_too_many_idle_rooms_the_oldest_goes(void **state)
{
    (void)state;
    const char *names[] = {"market:1", "market:2", "market:3", "market:4"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        app_rooms_settle(&stage.rooms, get(names[i]));
    }
    assert_int_equal(stage.bus.drops, 1);
    assert_null(app_rooms_find(&stage.rooms, STR("market:1")));
    struct app_room *awake = get("market:2"); /* no longer one of them */
    app_rooms_settle(&stage.rooms, get("market:1"));
    assert_int_equal(stage.bus.drops, 1);
    app_rooms_settle(&stage.rooms, awake);
    assert_int_equal(stage.bus.drops, 2);
    assert_null(app_rooms_find(&stage.rooms, STR("market:3")));
}

static void a_room_that_somebody_waits_for_is_not_idle(void **state)
{
    (void)state;
    struct app_room *room = get("market:1");
    struct list join;
    list_init(&join);
    app_room_wait(room, &join);
    app_rooms_settle(&stage.rooms, room);
    assert_false(room->is_idle);
    app_room_wait_no_more(room, &join);
    app_rooms_settle(&stage.rooms, room);
    assert_true(room->is_idle);
}

static void rooms_that_are_seen_are_counted_once(void **state)
{
    (void)state;
    struct app_room *one = get("market:1"), *two = get("market:2");
    app_room_show(&stage.rooms, one);
    app_room_show(&stage.rooms, one);
    app_room_show(&stage.rooms, two);
    assert_int_equal(stage.rooms.visible, 2);
    app_room_hide(&stage.rooms, one);
    assert_int_equal(stage.rooms.visible, 2);
    app_room_hide(&stage.rooms, one);
    app_room_hide(&stage.rooms, two);
    assert_int_equal(stage.rooms.visible, 0);
    app_rooms_settle(&stage.rooms, one);
    app_rooms_settle(&stage.rooms, two);
}

static void a_bus_without_memory_leaves_no_room(void **state)
{
    (void)state;
    struct room_name name;
    struct app_room *room = NULL;
    assert_int_equal(room_name_parse(STR("market:1"), &name), OK);
    stage.bus.refuse = ERR_NOMEM;
    assert_int_equal(app_rooms_get(&stage.rooms, &name, &room), ERR_NOMEM);
    assert_null(room);
}

static void live_without_memory(void *context)
{
    (void)context;
    struct room_name name;
    struct app_room *room;
    assert_int_equal(room_name_parse(STR("market:1"), &name), OK);
    if (app_rooms_get(&stage.rooms, &name, &room)) {
        return;
    }
    uint32_t in = 0;
    for (unsigned n = 0; n < 9; n++) {
        enum err err = app_room_add(room, member(n), &stage.places[n]);
        assert_true(!err || err == ERR_NOMEM);
        assert_int_equal(room->count, in += !err);
    }
    while (room->count > 0) {
        app_room_remove(room, 0);
    }
    app_rooms_settle(&stage.rooms, room);
    app_rooms_fini(&stage.rooms);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    failing_alloc_each(live_without_memory, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_from_one_to_many_and_back),
        TEST(rooms_linger_in_the_order_of_leaving),
        TEST(of_too_many_idle_rooms_the_oldest_goes),
        TEST(a_room_that_somebody_waits_for_is_not_idle),
        TEST(rooms_that_are_seen_are_counted_once),
        TEST(a_bus_without_memory_leaves_no_room),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

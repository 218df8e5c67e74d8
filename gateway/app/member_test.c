/* A member and its memberships, in real rooms on a bus that only remembers who is wanted. */
#include "app/member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "failing_alloc.h"

#define ADDRESS "0x00000000000000000000000000000000000000aa"

enum { ROOMS = 40, MEMBERS = 5 };

/* --- In place of bus/subscriber.c --- */

struct bus_subscriber {
    struct bus_channel *wanted[ROOMS];
    size_t count;
};

void bus_channel_init(struct bus_channel *channel, struct str room)
{
    *channel = (struct bus_channel){.room_at = (unsigned char)(room.ptr - (const char *)channel),
                                    .room_len = (unsigned char)room.len};
}

enum err bus_subscriber_want(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    subscriber->wanted[subscriber->count++] = channel;
    return OK;
}

void bus_subscriber_drop(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    (void)channel;
    subscriber->count--;
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
    struct app app; /* its rooms alone are used */
    struct bus_subscriber bus;
    struct app_room *rooms[ROOMS];
    struct app_identity identity;
};

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    stage->app.loop = loop_new();
    assert_non_null(stage->app.loop);
    app_rooms_init(&stage->app.rooms, stage->app.loop, &stage->bus, 1000, 100);
    for (unsigned i = 0; i < ROOMS; i++) {
        char id[8];
        struct room_name name;
        snprintf(id, sizeof id, "%u", i);
        assert_int_equal(room_name_make(ROOM_MARKET, str_from(id), &name), OK);
        assert_int_equal(app_rooms_get(&stage->app.rooms, &name, &stage->rooms[i]), OK);
    }
    assert_int_equal(room_name_make(ROOM_USER, STR("alice"), &stage->identity.sub_room), OK);
    assert_int_equal(room_name_make(ROOM_USER, STR(ADDRESS), &stage->identity.address_room), OK);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    for (unsigned i = 0; i < ROOMS; i++) {
        assert_int_equal(stage->rooms[i]->count, 0);
        app_rooms_settle(&stage->app.rooms, stage->rooms[i]);
    }
    assert_int_equal(stage->app.rooms.visible, 0);
    app_rooms_fini(&stage->app.rooms);
    loop_free(stage->app.loop);
    free(stage);
    return 0;
}

/* In place of app/auth.c. */
struct str app_identity_sub(const struct app_identity *identity)
{
    return room_name_id(&identity->sub_room);
}

static struct app_member *make(struct stage *stage)
{
    struct app_member *member = app_member_new(&stage->app, NULL, &stage->identity, false);
    assert_non_null(member);
    return member;
}

/* Every membership is where its room says that the member is. */
static void check(const struct app_member *member)
{
    unsigned visible = 0;
    for (unsigned i = 0; i < member->count; i++) {
        const struct app_membership *in = &app_member_memberships(member)[i];
        assert_ptr_equal(app_room_members(in->room)[in->index], member);
        visible += in->visible;
    }
    assert_int_equal(member->visible, visible);
}

static void a_member_knows_what_is_its_own(void **state)
{
    struct app_member *member = make(*state);
    struct room_name name;
    assert_true(str_eq(app_member_sub(member), STR("alice")));
    assert_true(str_eq(app_member_address(member), STR(ADDRESS)));
    assert_int_equal(room_name_make(ROOM_USER, STR("alice"), &name), OK);
    assert_true(app_member_owns(member, &name) && app_member_is_sub(member, &name));
    assert_int_equal(room_name_make(ROOM_USER, STR(ADDRESS), &name), OK);
    assert_true(app_member_owns(member, &name) && app_member_is_address(member, &name));
    assert_int_equal(room_name_make(ROOM_USER, STR("alic"), &name), OK);
    assert_false(app_member_owns(member, &name));
    assert_int_equal(room_name_make(ROOM_MARKET, STR("alice"), &name), OK);
    assert_false(app_member_owns(member, &name));
    app_member_free(member);
}

static void entering_and_seeing_are_told_apart(void **state)
{
    struct stage *stage = *state;
    struct app_member *member = make(stage);
    struct app_room *room = stage->rooms[0];
    assert_int_equal(app_member_enter(member, room, false, 0), OK);
    assert_false(app_member_sees(member, room));
    assert_int_equal(app_member_enter(member, room, true, 0), OK);
    assert_int_equal(app_member_enter(member, room, true, 0), OK);
    assert_int_equal(app_member_enter(member, room, false, 0), OK); /* stays to be seen */
    assert_true(app_member_sees(member, room));
    assert_int_equal(room->count, 1);
    assert_int_equal(stage->app.rooms.visible, 1);
    app_member_hide(member, room);
    app_member_hide(member, room);
    app_member_hide(member, stage->rooms[1]);
    assert_int_equal(stage->app.rooms.visible, 0);
    assert_non_null(app_member_in(member, room));
    app_member_leave(member, room);
    app_member_leave(member, room);
    assert_null(app_member_in(member, room));
    assert_true(room->is_idle);
    app_member_free(member);
}

static void many_members_of_many_rooms_keep_their_places(void **state)
{
    struct stage *stage = *state;
    struct app_member *members[MEMBERS];
    for (unsigned m = 0; m < MEMBERS; m++) {
        members[m] = make(stage);
        for (unsigned r = 0; r < ROOMS; r++) {
            assert_int_equal(app_member_enter(members[m], stage->rooms[r], (r + m) % 2, 0), OK);
        }
    }
    for (unsigned r = 0; r < ROOMS; r++) { /* another one leaves each room */
        app_member_leave(members[r % MEMBERS], stage->rooms[r]);
        assert_int_equal(stage->rooms[r]->count, MEMBERS - 1);
    }
    for (unsigned m = 0; m < MEMBERS; m++) {
        check(members[m]);
        for (unsigned i = 1; i < members[m]->count; i++) { /* still in the order of entering */
            const struct app_membership *in = app_member_memberships(members[m]);
            assert_true(strtoul(in[i - 1].room->name + 7, NULL, 10) <
                        strtoul(in[i].room->name + 7, NULL, 10));
        }
    }
    app_member_free(members[2]);
    check(members[0]);
    check(members[4]);
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (m != 2) {
            app_member_free(members[m]);
        }
    }
}

static void live_without_memory(void *context)
{
    struct stage *stage = context;
    struct app_member *member = app_member_new(&stage->app, NULL, &stage->identity, false);
    if (!member) {
        return;
    }
    struct app_member *other = NULL;
    for (unsigned r = 0; r < 8; r++) {
        enum err err = app_member_enter(member, stage->rooms[r], true, 0);
        assert_true(!err || err == ERR_NOMEM);
        assert_int_equal(app_member_sees(member, stage->rooms[r]), !err);
        check(member);
    }
    other = app_member_new(&stage->app, NULL, &stage->identity, false);
    if (other) { /* from one member to many */
        enum err err = app_member_enter(other, stage->rooms[0], false, 0);
        assert_int_equal(app_member_in(other, stage->rooms[0]) != NULL, !err);
        check(other);
        app_member_free(other);
    }
    app_member_free(member);
    for (unsigned r = 0; r < 8; r++) { /* awake for the next round */
        struct room_name name;
        assert_int_equal(room_name_parse(app_room_name(stage->rooms[r]), &name), OK);
        assert_int_equal(app_rooms_get(&stage->app.rooms, &name, &stage->rooms[r]), OK);
    }
}

static void each_allocation_may_fail(void **state)
{
    failing_alloc_each(live_without_memory, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_knows_what_is_its_own),
        TEST(entering_and_seeing_are_told_apart),
        TEST(many_members_of_many_rooms_keep_their_places),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

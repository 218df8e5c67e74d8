/* What clients may ask, and the answers as they rely on them. */
#include "app/handlers.h"

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

#define ADDRESS "0x00000000000000000000000000000000000000aa"
#define UPPER   "0X00000000000000000000000000000000000000AA"

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
    app_world_close(&world);
    return 0;
}

static void ask(const char *event, const char *answer)
{
    char text[1024];
    snprintf(text, sizeof text, "27%s", event);
    person_says(&alice, text);
    snprintf(text, sizeof text, "437[%s]", answer);
    person_hears(&alice, text);
}

#define GOOD(room, what)                                                                           \
    "{\"success\":true,\"room\":\"" room "\",\"message\":\"" what " " room "\"}"
#define SUBSCRIBED(room)   GOOD(room, "Subscribed to")
#define UNSUBSCRIBED(room) GOOD(room, "Unsubscribed from")
#define REFUSED(room, why) "{\"success\":false,\"room\":\"" room "\",\"message\":\"" why "\"}"
#define SHAPE              "{\"success\":false,\"message\":\"Expected {room, id} with two strings\"}"

static void connecting_tells_who_and_where(void **state)
{
    (void)state;
    struct eio_session bob;
    assert_true(person_open(&world, &bob));
    person_connects(&bob, "bob", UPPER);
    person_hears_begin(&bob, "40{\"sid\":");
    person_hears(&bob, "42[\"connected\",{\"message\":\"Connected to GuessLyfe real-time updates\","
                       "\"userId\":\"bob\",\"rooms\":[\"user:" ADDRESS "\",\"global:all\"]}]");
    person_leaves(&bob);
    assert_true(person_open(&world, &bob));
    person_connects(&bob, "bob", NULL);
    person_hears_begin(&bob, "40{\"sid\":");
    person_hears(&bob, "42[\"connected\",{\"message\":\"Connected to GuessLyfe real-time updates\","
                       "\"userId\":\"bob\",\"rooms\":[\"user:bob\",\"global:all\"]}]");
    person_leaves(&bob);
}

static void turned_away(const char *connect, const char *message)
{
    struct eio_session stranger;
    char text[128];
    assert_true(person_open(&world, &stranger));
    person_says(&stranger, connect);
    person_hears_begin(&stranger, "40{\"sid\":");
    snprintf(text, sizeof text, "42[\"error\",{\"message\":\"%s\"}]", message);
    person_hears(&stranger, text);
    person_hears(&stranger, "41");
    person_leaves(&stranger);
}

static void strangers_are_turned_away(void **state)
{
    (void)state;
    turned_away("0", "Authentication required");
    turned_away("0{}", "Authentication required");
    turned_away("0{\"token\":null}", "Authentication required");
    turned_away("0{\"token\":\"\"}", "Authentication required");
    turned_away("0{\"token\":1}", "Authentication failed");
    turned_away("0{\"token\":\"\\ud800\"}", "Authentication failed");
    turned_away("0{\"token\":\"a.b.c\"}", "Authentication failed");
    assert_int_equal(world.app->stats.auth_missing, 4);
    assert_int_equal(world.app->stats.auth_failed, 3);
}

static void rooms_are_entered_and_left(void **state)
{
    (void)state;
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]", SUBSCRIBED("market:1"));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]", SUBSCRIBED("market:1"));
    ask("[\"getRooms\"]", "[\"user:" ADDRESS "\",\"global:all\",\"market:1\"]");
    assert_int_equal(app_world_members(&world, "market:1"), 1);
    ask("[\"unsubscribe\",{\"room\":\"market\",\"id\":\"1\"}]", UNSUBSCRIBED("market:1"));
    ask("[\"unsubscribe\",{\"room\":\"market\",\"id\":\"1\"}]", UNSUBSCRIBED("market:1"));
    ask("[\"unsubscribe\",{\"room\":\"global\",\"id\":\"all\"}]", UNSUBSCRIBED("global:all"));
    ask("[\"getRooms\",1,2]", "[\"user:" ADDRESS "\"]");
    person_says(&alice, "2[\"subscribe\",{\"room\":\"market\",\"id\":\"2\"}]"); /* without an ack */
    person_hears_nothing(&alice);
    assert_int_equal(app_world_members(&world, "market:2"), 1);
}

static void ids_are_judged(void **state)
{
    (void)state;
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":17}]", SUBSCRIBED("market:17"));
    ask("[\"subscribe\",{\"room\":\"cre\\u0061tor\",\"id\":\"\\u0041\\\"\"}]",
        SUBSCRIBED("creator:A\\\""));
    ask("[\"subscribe\",{\"room\":\"user\",\"id\":\"" UPPER "\"},\"more\"]",
        SUBSCRIBED("user:" ADDRESS));
#define BAD_ID "Invalid id; expected 1 to 128 visible ASCII characters without comma"
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"\"}]", REFUSED("market:", BAD_ID));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"a b\"}]", REFUSED("market:a b", BAD_ID));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"a,b\"}]", REFUSED("market:a,b", BAD_ID));
    ask("[\"unsubscribe\",{\"room\":\"market\",\"id\":\"\\u00e9\"}]",
        REFUSED("market:\xc3\xa9", BAD_ID));
    ask("[\"subscribe\",{\"room\":\"global\",\"id\":\"some\"}]",
        REFUSED("global:some", "Invalid id; the only global room is all"));
    ask("[\"subscribe\",{\"room\":\"shop\",\"id\":\"1\"}]",
        REFUSED("shop:1", "Unknown room type; expected market, creator, user or global"));
    ask("[\"subscribe\",{\"room\":\"\",\"id\":\"1\"}]",
        REFUSED(":1", "Unknown room type; expected market, creator, user or global"));
    ask("[\"subscribe\",{\"room\":\"user\",\"id\":\"bob\"}]",
        REFUSED("user:bob", "Not allowed: this user room is someone else's"));
}

static void wrong_shapes_change_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        ",null",
        ",[]",
        ",\"market:1\"",
        ",{}",
        ",{\"room\":\"market\"}",
        ",{\"id\":\"1\"}",
        ",{\"room\":1,\"id\":\"1\"}",
        ",{\"room\":\"market\",\"id\":-1}",
        ",{\"room\":\"market\",\"id\":1.5}",
        ",{\"room\":\"market\",\"id\":18446744073709551616}",
        ",{\"room\":\"market\",\"id\":{\"a\":1}}",
        ",{\"room\":\"market\",\"id\":\"\\udc00\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char text[128];
        snprintf(text, sizeof text, "[\"subscribe\"%s]", wrong[i]);
        ask(text, SHAPE);
        snprintf(text, sizeof text, "[\"unsubscribe\"%s]", wrong[i]);
        ask(text, SHAPE);
    }
    ask("[\"nothing\",1]", "{\"success\":false,\"message\":\"Unknown event; expected subscribe, "
                           "unsubscribe, getRooms, ping or authenticate\"}");
    ask("[\"getRooms\"]", "[\"user:" ADDRESS "\",\"global:all\"]");
    assert_false(alice.closed);
}

static void an_endless_id_is_too_long(void **state)
{
    (void)state;
    char id[2000], text[2100];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    snprintf(text, sizeof text, "27[\"subscribe\",{\"room\":\"market\",\"id\":\"%s\"}]", id);
    person_says(&alice, text);
    person_hears(&alice, "437[{\"success\":false,\"message\":\"Room id is too long\"}]");
}

static void ping_tells_the_time(void **state)
{
    (void)state;
    struct clock_fake now = {.monotonic_ms = 1, .wall_ms = 1700000000123};
    clock_set_fake(&now);
    person_says(&alice, "27[\"ping\"]");
    clock_set_fake(NULL);
    person_hears(&alice, "437[{\"pong\":true,\"timestamp\":1700000000123}]");
}

#define FULL "Too many rooms; unsubscribe from one first"

/* Five in this world; two are there from the beginning, and that of the sub is not to be seen. */
static void visible_rooms_are_limited(void **state)
{
    (void)state;
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]", SUBSCRIBED("market:1"));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"2\"}]", SUBSCRIBED("market:2"));
    ask("[\"subscribe\",{\"room\":\"user\",\"id\":\"alice\"}]", SUBSCRIBED("user:alice"));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"4\"}]", REFUSED("market:4", FULL));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"2\"}]", SUBSCRIBED("market:2"));
    ask("[\"unsubscribe\",{\"room\":\"market\",\"id\":\"1\"}]", UNSUBSCRIBED("market:1"));
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"4\"}]", SUBSCRIBED("market:4"));
    assert_null(app_rooms_find(&world.app->rooms, STR("market:5")));
}

static unsigned notify(const char *user)
{
    char room[64], header[96];
    snprintf(room, sizeof room, "user:%s", user);
    snprintf(header, sizeof header, "0 0 notification %s", room);
    unsigned before = (unsigned)world.app->delivery.stats.deliveries;
    app_world_publish(&world, room, header, STR("{}"));
    app_world_settle(&world);
    unsigned got = (unsigned)world.app->delivery.stats.deliveries - before - 1; /* the witness' */
    for (unsigned i = 0; i < got; i++) {
        person_hears(&alice, "42[\"notification\",{}]");
    }
    return got;
}

static void the_user_room_is_by_address_and_by_sub(void **state)
{
    (void)state;
    assert_int_equal(notify("alice"), 1);
    assert_int_equal(notify(ADDRESS), 1);
    ask("[\"unsubscribe\",{\"room\":\"user\",\"id\":\"" UPPER "\"}]",
        UNSUBSCRIBED("user:" ADDRESS));
    assert_int_equal(notify("alice"), 0);
    assert_int_equal(notify(ADDRESS), 0);
    ask("[\"getRooms\"]", "[\"global:all\"]");
    ask("[\"subscribe\",{\"room\":\"user\",\"id\":\"" ADDRESS "\"}]", SUBSCRIBED("user:" ADDRESS));
    ask("[\"getRooms\"]", "[\"global:all\",\"user:" ADDRESS "\"]");
    assert_int_equal(notify("alice"), 1);
    assert_int_equal(notify(ADDRESS), 1);
}

static void the_room_of_the_sub_may_be_asked_for(void **state)
{
    (void)state;
    ask("[\"subscribe\",{\"room\":\"user\",\"id\":\"alice\"}]", SUBSCRIBED("user:alice"));
    ask("[\"getRooms\"]", "[\"user:" ADDRESS "\",\"global:all\",\"user:alice\"]");
    ask("[\"unsubscribe\",{\"room\":\"user\",\"id\":\"alice\"}]", UNSUBSCRIBED("user:alice"));
    ask("[\"getRooms\"]", "[\"user:" ADDRESS "\",\"global:all\"]");
    assert_int_equal(notify("alice"), 1); /* by the room of the address */
    ask("[\"subscribe\",{\"room\":\"user\",\"id\":\"alice\"}]", SUBSCRIBED("user:alice"));
    ask("[\"unsubscribe\",{\"room\":\"user\",\"id\":\"" ADDRESS "\"}]",
        UNSUBSCRIBED("user:" ADDRESS));
    assert_int_equal(notify("alice"), 1); /* asked for by itself */
    assert_int_equal(notify(ADDRESS), 0);
    ask("[\"unsubscribe\",{\"room\":\"user\",\"id\":\"alice\"}]", UNSUBSCRIBED("user:alice"));
    assert_int_equal(notify("alice"), 0);
}

static void who_is_leaving_is_not_answered(void **state)
{
    (void)state;
    alice.stuck = true;
    person_says(&alice, "27[\"getRooms\"]");
    assert_true(alice.closed);
    assert_int_equal(alice.reason, EIO_CLOSE_SERVER);
}

/* As CONNECT (`format` begins with 0), or as the event `authenticate`. */
static void write_token(const char *format, const char *claims, char *out, size_t size)
{
    char *token = app_world_token(claims);
    snprintf(out, size, format, token);
    free(token);
}

static char authenticate[1024];

static void ask_without_memory(void *context)
{
    struct eio_session bob;
    if (person_open(&world, &bob)) {
        bob.sent.len = 0;
        person_says(&bob, context);
        person_says(&bob, "27[\"subscribe\",{\"room\":\"user\",\"id\":\"" ADDRESS "\"}]");
        person_says(&bob, "27[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]");
        person_says(&bob, "27[\"subscribe\",{\"room\":\"market\",\"id\":\"new\"}]");
        person_says(&bob, "27[\"getRooms\"]");
        person_says(&bob, "27[\"unsubscribe\",{\"room\":\"user\",\"id\":\"" ADDRESS "\"}]");
        person_says(&bob, "27[\"ping\"]");
        person_says(&bob, authenticate);
        assert_int_equal(loop_turn(world.peer.loop, 0), OK);
        assert_true(bob.closed || bob.sent.len > 0 || failing_alloc_hit());
    }
    person_leaves(&bob);
    assert_int_equal(world.app->stats.members, 1);
    assert_int_equal(world.app->expiry.count, 0);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    char connect[1024];
#define BOB "{\"sub\":\"bob\",\"address\":\"" ADDRESS "\",\"exp\":4000000000"
    write_token("0{\"token\":\"%s\"}", BOB "}", connect, sizeof connect);
    write_token("27[\"authenticate\",{\"token\":\"%s\"}]", BOB "1}", authenticate,
                sizeof authenticate);
    ask("[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]", SUBSCRIBED("market:1"));
    failing_alloc_each(ask_without_memory, connect);
    ask("[\"getRooms\"]", "[\"user:" ADDRESS "\",\"global:all\",\"market:1\"]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connecting_tells_who_and_where),
        TEST(strangers_are_turned_away),
        TEST(rooms_are_entered_and_left),
        TEST(ids_are_judged),
        TEST(wrong_shapes_change_nothing),
        TEST(an_endless_id_is_too_long),
        TEST(ping_tells_the_time),
        TEST(visible_rooms_are_limited),
        TEST(the_user_room_is_by_address_and_by_sub),
        TEST(the_room_of_the_sub_may_be_asked_for),
        TEST(who_is_leaving_is_not_answered),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* From the bus to the members: once, in order, and nothing that would hurt a client. */
#include "app/delivery.h"

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

static struct app_world world;
static struct eio_session alice;

static int open_world(unsigned partitions)
{
    app_world_init(&world);
    world.options.bus.keys.partitions = partitions;
    app_world_open(&world);
    person_joins(&world, &alice, "alice", NULL);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return open_world(1);
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    app_world_close(&world);
    return 0;
}

static void enter(struct eio_session *person, const char *market)
{
    char text[96];
    snprintf(text, sizeof text, "20[\"subscribe\",{\"room\":\"market\",\"id\":\"%s\"}]", market);
    person_says(person, text);
    person_hears_begin(person, "430[{\"success\":true");
}

static void leave(struct eio_session *person, const char *market)
{
    char text[96];
    snprintf(text, sizeof text, "20[\"unsubscribe\",{\"room\":\"market\",\"id\":\"%s\"}]", market);
    person_says(person, text);
    person_hears_begin(person, "430[{\"success\":true");
}

/* Straight into delivery, as the bus would hand it over: between two of them a test can act. */
static void comes(const char *room, const char *message)
{
    struct bus_envelope envelope;
    struct app_room *found = app_rooms_find(&world.app->rooms, str_from(room));
    assert_non_null(found);
    assert_int_equal(bus_envelope_parse(str_from(message), &envelope), OK);
    app_delivery_message(&world.app->delivery, found, &envelope);
}

static void come_together(const char *room, const char *const *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        comes(room, messages[i]);
    }
    app_delivery_flush(&world.app->delivery);
}

static void arrives(const char *room, const char *message)
{
    come_together(room, &message, 1);
}

#define RESOLVED(payload) "42[\"market:resolved\"," payload "]"

static void once_by_id(void **state)
{
    (void)state;
    enter(&alice, "1");
    arrives("market:1", "7 0 market:resolved market:1,global:all\n{\"a\":1}");
    arrives("global:all", "7 0 market:resolved market:1,global:all\n{\"a\":1}");
    person_hears(&alice, RESOLVED("{\"a\":1}"));
    arrives("market:1", "8 7 market:resolved market:1,global:all\n{\"a\":2}");
    person_hears(&alice, RESOLVED("{\"a\":2}"));
    leave(&alice, "1"); /* between the two rooms' messages */
    arrives("global:all", "8 7 market:resolved market:1,global:all\n{\"a\":2}");
    person_hears_nothing(&alice);
}

static void once_for_whoever_enters_between(void **state)
{
    (void)state;
    struct eio_session bob;
    enter(&alice, "1");
    person_joins(&world, &bob, "bob", NULL);
    arrives("market:1", "7 0 market:resolved market:1,global:all\n{}");
    enter(&bob, "1"); /* too late for the first, in time for the second */
    arrives("global:all", "7 0 market:resolved market:1,global:all\n{}");
    person_hears(&bob, RESOLVED("{}"));
    person_hears(&alice, RESOLVED("{}"));
    person_hears_nothing(&alice);
    person_hears_nothing(&bob);
    person_leaves(&bob);
}

static void without_id_by_the_first_room(void **state)
{
    (void)state;
    enter(&alice, "1");
    for (unsigned i = 0; i < 2; i++) { /* the same again is another event */
        arrives("market:1", "0 0 market:resolved market:1,global:all\n{}");
        arrives("global:all", "0 0 market:resolved market:1,global:all\n{}");
        person_hears(&alice, RESOLVED("{}"));
    }
    leave(&alice, "1");
    arrives("global:all", "0 0 market:resolved market:1,global:all\n{}");
    person_hears(&alice, RESOLVED("{}"));
    person_hears_nothing(&alice);
}

/* A room that is not live brought its members nothing. */
static void an_earlier_room_that_is_not_live_does_not_count(void **state)
{
    (void)state;
    enter(&alice, "1");
    struct app_room *room = app_rooms_find(&world.app->rooms, STR("market:1"));
    room->channel.state = BUS_CHANNEL_ASKED;
    arrives("global:all", "0 0 market:resolved market:1,global:all\n{}");
    room->channel.state = BUS_CHANNEL_LIVE;
    person_hears(&alice, RESOLVED("{}"));
}

static void each_partition_counts_for_itself(void **state)
{
    (void)state;
    open_world(4);
    enter(&alice, "1");
    arrives("market:1", "7 0 market:resolved market:1,global:all\n{}");
    arrives("global:all", "8 0 market:resolved market:1,global:all\n{}");
    person_hears(&alice, RESOLVED("{}"));
    /* Another event that happens to have the same id. */
    arrives("global:all", "7 0 market:created global:all\n{\"b\":2}");
    person_hears(&alice, "42[\"market:created\",{\"b\":2}]");
    assert_int_equal(alice.sent.len, 0);
}

static void one_packet_for_all_and_for_all_rooms(void **state)
{
    (void)state;
    enter(&alice, "1");
    struct app_delivery *delivery = &world.app->delivery;
    arrives("market:1", "7 0 market:resolved market:1,global:all\n{}");
    const struct app_event *event = delivery->event;
    arrives("global:all", "7 0 market:resolved market:1,global:all\n{}");
    assert_ptr_equal(delivery->event, event);
    assert_int_equal(delivery->stats.messages, 2);
    assert_int_equal(delivery->stats.deliveries, 1);
    person_hears(&alice, RESOLVED("{}"));
}

/* Who has some of them gets the others, and who can recover gets them with their ids. */
static void together_each_gets_what_it_lacks(void **state)
{
    (void)state;
    struct eio_session bob;
    person_joins(&world, &bob, "bob", NULL);
    enter(&alice, "1");
    arrives("market:1", "7 0 market:resolved market:1,global:all\n{\"a\":1}");
    person_hears(&alice, RESOLVED("{\"a\":1}"));
    static const char *const messages[] = {
        "7 0 market:resolved market:1,global:all\n{\"a\":1}",
        "8 7 market:resolved global:all\n{\"a\":2}",
        "9 8 market:resolved global:all\n{\"a\":3}",
    };
    come_together("global:all", messages, ARRAY_LEN(messages));
    person_hears(&bob, RESOLVED("{\"a\":1}"));
    for (struct eio_session *person = &alice; person; person = person == &alice ? &bob : NULL) {
        person_hears(person, RESOLVED("{\"a\":2}"));
        person_hears(person, RESOLVED("{\"a\":3}"));
        person_hears_nothing(person);
    }
    person_leaves(&bob);
}

static void deliveries(uint64_t count)
{
    assert_int_equal(world.app->delivery.stats.deliveries, count);
}

/* What is gathered for one room is out before another room's, and before what has no id. */
static void rooms_keep_their_order(void **state)
{
    (void)state;
    enter(&alice, "1");
    comes("global:all", "7 0 market:resolved global:all\n{\"a\":1}");
    comes("global:all", "8 7 market:resolved global:all\n{\"a\":2}");
    deliveries(0);
    comes("market:1", "9 0 market:resolved market:1\n{\"a\":3}");
    deliveries(2);
    comes("global:all", "0 0 market:resolved global:all\n{\"a\":4}");
    deliveries(3);
    app_delivery_flush(&world.app->delivery);
    person_hears(&alice, RESOLVED("{\"a\":1}"));
    person_hears(&alice, RESOLVED("{\"a\":2}"));
    person_hears(&alice, RESOLVED("{\"a\":3}"));
    person_hears(&alice, RESOLVED("{\"a\":4}"));
}

static void no_more_is_gathered_than_fits(void **state)
{
    (void)state;
    char message[64];
    for (unsigned i = 0; i < APP_DELIVERY_EVENTS; i++) {
        snprintf(message, sizeof message, "%u 0 market:resolved global:all\n{}", 10 + i);
        comes("global:all", message);
    }
    deliveries(0);
    comes("global:all", "1000 0 market:resolved global:all\n{}");
    deliveries(APP_DELIVERY_EVENTS);
    app_delivery_flush(&world.app->delivery);
    deliveries(APP_DELIVERY_EVENTS + 1);
    for (unsigned i = 0; i <= APP_DELIVERY_EVENTS; i++) {
        person_hears(&alice, RESOLVED("{}"));
    }
    person_hears_nothing(&alice);
}

static void payloads_are_forwarded_as_they_are(void **state)
{
    (void)state;
    app_world_publish(&world, "global:all", "0 0 market:created global:all",
                      STR(" {\"__proto__\":0.650, \"n\":123456789012345678901234567890,"
                          "\"s\":\"\\u00e9\xf0\x9f\x98\x80\"}\n "));
    person_hears(&alice, "42[\"market:created\",{\"__proto__\":0.650, "
                         "\"n\":123456789012345678901234567890,"
                         "\"s\":\"\\u00e9\xf0\x9f\x98\x80\"}]");
}

static void what_would_hurt_is_dropped_and_counted(void **state)
{
    (void)state;
    static const char *const headers[] = {"0 0 no:event global:all", "0 0 error global:all",
                                          "0 0 market:created market:1", "hello"};
    static const struct str payloads[] = {
        {"", 0},
        {"{", 1},
        {"{}}", 3},
        {"{\"a\":\"\xff\"}", 9},
        {"[]", 2},
        {"\"text\"", 6},
        {"1", 1},
        {"null", 4},
        {"{}\x1e{}", 5},
        {"{\"a\x1e\":1}", 8},
        {"{\"a\":\"\0\"}", 9},
        {"{\"a\":NaN}", 9},
    };
    char deep[2000];
    uint64_t dropped = 0;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++, dropped++) {
        app_world_publish(&world, "global:all", headers[i], STR("{}"));
    }
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++, dropped++) {
        app_world_publish(&world, "global:all", "0 0 market:created global:all", payloads[i]);
    }
    memset(deep, '[', sizeof deep);
    app_world_publish(&world, "global:all", "0 0 market:created global:all",
                      str_range(deep, sizeof deep));
    person_hears_nothing(&alice);
    assert_int_equal(world.app->delivery.stats.dropped, dropped + 1);
    app_world_publish(&world, "global:all", "0 0 market:created global:all", STR("{}"));
    person_hears(&alice, "42[\"market:created\",{}]");
}

static void a_room_without_members_delivers_nothing(void **state)
{
    (void)state;
    enter(&alice, "1");
    leave(&alice, "1");
    uint64_t before = world.app->delivery.stats.deliveries;
    assert_int_equal(app_world_publish(&world, "market:1", "0 0 market:trade market:1", STR("{}")),
                     1);
    person_hears_nothing(&alice);
    assert_int_equal(world.app->delivery.stats.deliveries, before + 1); /* the witness' */
}

static void deliver_without_memory(void *context)
{
    uint64_t dropped = world.app->delivery.stats.dropped;
    (void)context;
    arrives("global:all", "0 0 market:created global:all\n{}");
    assert_true(alice.closed || alice.sent.len > 0 ||
                world.app->delivery.stats.dropped == dropped + 1);
    alice.closed = false;
    alice.sent.len = 0;
}

static void without_memory_it_is_counted(void **state)
{
    (void)state;
    failing_alloc_each(deliver_without_memory, NULL);
}

static bool lose_an_event(long allocation)
{
    failing_alloc_at(allocation);
    arrives("global:all", "7 0 market:created global:all\n{}");
    bool hit = failing_alloc_hit();
    assert_true(alice.closed || alice.sent.len > 0);
    return hit;
}

/* They rely on events of the logs: who does not get one has to come back for it. */
static void without_memory_members_are_cut_off(void **state)
{
    (void)state;
    for (long n = 0; lose_an_event(n); n++) {
        person_leaves(&alice);
        person_joins(&world, &alice, "alice", NULL);
        app_event_unref(&world.app->delivery.event);
    }
    assert_false(alice.closed);
    assert_int_equal(world.app->stats.cut_off, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(once_by_id),
        TEST(once_for_whoever_enters_between),
        TEST(without_id_by_the_first_room),
        TEST(an_earlier_room_that_is_not_live_does_not_count),
        cmocka_unit_test_teardown(each_partition_counts_for_itself, tear_down),
        TEST(one_packet_for_all_and_for_all_rooms),
        TEST(together_each_gets_what_it_lacks),
        TEST(rooms_keep_their_order),
        TEST(no_more_is_gathered_than_fits),
        TEST(payloads_are_forwarded_as_they_are),
        TEST(what_would_hurt_is_dropped_and_counted),
        TEST(a_room_without_members_delivers_nothing),
        TEST(without_memory_it_is_counted),
        TEST(without_memory_members_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

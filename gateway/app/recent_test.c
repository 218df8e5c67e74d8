/* The newest events of rooms, without a hole, in bounded memory. */
#include "app/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "failing_alloc.h"
#include "util/buf.h"

static struct app_recent recent;
static struct app_room red, blue; /* nameless: only what memory hangs on them */

static int set_up(void **state)
{
    (void)state;
    app_recent_init(&recent, 100000);
    memset(&red, 0, sizeof red);
    memset(&blue, 0, sizeof blue);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    app_recent_clear(&recent, &red, 0);
    app_recent_clear(&recent, &blue, 0);
    assert_int_equal(recent.bytes, 0);
    assert_true(list_empty(&recent.all));
    return 0;
}

static struct app_event *event_of(unsigned id)
{
    struct bus_envelope envelope = {.id = id, .event = STR("market:trade"), .payload = STR("{}")};
    struct app_event *event;
    const char *why;
    assert_int_equal(app_event_new(&envelope, &event, &why), OK);
    return event;
}

static void add(struct app_room *room, unsigned id)
{
    struct app_event *event = event_of(id);
    app_recent_add(&recent, room, event);
    app_event_unref(&event);
}

/* The ids past `id`, joined by commas. */
static void holds_past(const struct app_room *room, uint64_t id, const char *expected)
{
    char text[256] = "";
    const struct app_recent_entry *entry = app_recent_past(room, id);
    for (; entry; entry = app_recent_next(entry)) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%llu", len > 0 ? "," : "",
                 (unsigned long long)entry->event->id);
    }
    assert_string_equal(text, expected);
}

static void in_order_past_any_id(void **state)
{
    (void)state;
    holds_past(&red, 0, "");
    for (unsigned id = 10; id <= 40; id += 10) {
        add(&red, id);
    }
    holds_past(&red, 0, "10,20,30,40");
    holds_past(&red, 19, "20,30,40");
    holds_past(&red, 20, "30,40");
    holds_past(&red, 40, "");
    holds_past(&blue, 0, "");
}

static void the_oldest_of_all_goes_first(void **state)
{
    (void)state;
    add(&red, 1);
    recent.limit = 3 * recent.bytes;
    add(&blue, 2);
    add(&red, 3);
    add(&blue, 4);
    holds_past(&red, 0, "3");
    holds_past(&blue, 0, "2,4");
    assert_int_equal(app_recent_from(&red), 1);
    assert_int_equal(app_recent_from(&blue), 0);
    add(&blue, 5);
    holds_past(&blue, 0, "4,5");
    assert_int_equal(app_recent_from(&blue), 2);
}

static void what_is_larger_than_all_memory_is_not_kept(void **state)
{
    (void)state;
    recent.limit = 10;
    add(&red, 7);
    holds_past(&red, 0, "");
    assert_int_equal(app_recent_from(&red), 7);
}

static void older_ones_come_before(void **state)
{
    (void)state;
    struct app_event *older[] = {event_of(2), event_of(3)};
    app_recent_clear(&recent, &red, 5);
    add(&red, 6);
    app_recent_put_before(&recent, &red, older, 2, 1);
    holds_past(&red, 0, "2,3,6");
    assert_int_equal(app_recent_from(&red), 1);
    add(&red, 7);
    holds_past(&red, 2, "3,6,7");
}

static void older_ones_may_be_the_first(void **state)
{
    (void)state;
    struct app_event *older[] = {event_of(2), event_of(3)};
    app_recent_clear(&recent, &red, 5);
    app_recent_put_before(&recent, &red, older, 2, 0);
    holds_past(&red, 0, "2,3");
    add(&red, 6);
    holds_past(&red, 0, "2,3,6");
}

/* What was read long after goes before what has just come, also in a room beside it. */
static void older_ones_go_first(void **state)
{
    (void)state;
    struct app_event *older[] = {event_of(2)};
    app_recent_clear(&recent, &red, 5);
    add(&blue, 1);
    size_t one = recent.bytes;
    app_recent_put_before(&recent, &red, older, 1, 0);
    recent.limit = one;
    app_recent_trim(&recent);
    holds_past(&red, 0, "");
    assert_int_equal(app_recent_from(&red), 2);
    holds_past(&blue, 0, "1");
}

static void clearing_tells_from_where_it_is_whole(void **state)
{
    (void)state;
    add(&red, 1);
    add(&blue, 2);
    app_recent_clear(&recent, &red, 9);
    holds_past(&red, 0, "");
    holds_past(&blue, 0, "2");
    assert_int_equal(app_recent_from(&red), 9);
}

static void add_without_memory(long allocation)
{
    struct app_event *event = event_of(20), *older[] = {event_of(1), event_of(2), event_of(3)};
    app_recent_clear(&recent, &red, 5);
    failing_alloc_at(allocation);
    app_recent_add(&recent, &red, event);
    app_recent_put_before(&recent, &red, older, 3, 0);
    app_event_unref(&event);
}

/* From the hole on nothing older is there; never is something between missing. */
static void a_hole_is_a_new_beginning(void **state)
{
    (void)state;
    static const char *const left[] = {"", "20", "3,20", "2,3,20", "1,2,3,20"};
    static const uint64_t from[] = {20, 3, 2, 1, 0};
    for (long n = 1; n <= 4; n++) {
        add_without_memory(n);
        failing_alloc_hit();
        holds_past(&red, 0, left[n]);
        assert_int_equal(app_recent_from(&red), from[n]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_order_past_any_id),
        TEST(the_oldest_of_all_goes_first),
        TEST(what_is_larger_than_all_memory_is_not_kept),
        TEST(older_ones_come_before),
        TEST(older_ones_may_be_the_first),
        TEST(older_ones_go_first),
        TEST(clearing_tells_from_where_it_is_whole),
        TEST(a_hole_is_a_new_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

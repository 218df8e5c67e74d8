/* One event as clients get it, in its two forms. */
#include "app/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engineio/session.h"
#include "failing_alloc.h"

static struct app_event *event;

static enum err make(const char *message, const char **ret_why)
{
    struct bus_envelope envelope;
    assert_int_equal(bus_envelope_parse(str_from(message), &envelope), OK);
    return app_event_new(&envelope, &event, ret_why);
}

static int tear_down(void **state)
{
    (void)state;
    app_event_unref(&event);
    return 0;
}

static void is_packet(struct rcbuf *packet, const char *expected)
{
    bool binary;
    assert_non_null(packet);
    struct str payload = eio_encoded_payload(packet, &binary);
    assert_int_equal(payload.len, strlen(expected));
    assert_memory_equal(payload.ptr, expected, payload.len);
}

static void with_its_id_and_without(void **state)
{
    const char *why;
    (void)state;
    assert_int_equal(make("18446744073709551615 6 market:trade market:1\n {\"a\":[1]}\n", &why),
                     OK);
    is_packet(app_event_packet(event, false), "42[\"market:trade\",{\"a\":[1]}]");
    is_packet(app_event_packet(event, true),
              "42[\"market:trade\",{\"a\":[1]},\"18446744073709551615\"]");
}

static void outside_the_logs_there_is_no_id(void **state)
{
    const char *why;
    (void)state;
    assert_int_equal(make("0 0 market:trade market:1\n{}", &why), OK);
    is_packet(app_event_packet(event, true), "42[\"market:trade\",{}]");
    assert_ptr_equal(app_event_packet(event, true), app_event_packet(event, false));
}

static void each_form_is_encoded_once(void **state)
{
    const char *why;
    (void)state;
    assert_int_equal(make("7 6 market:trade market:1\n{}", &why), OK);
    assert_ptr_equal(app_event_packet(event, true), app_event_packet(event, true));
    assert_ptr_equal(app_event_packet(event, false), app_event_packet(event, false));
}

static void what_is_no_event_has_a_reason(void **state)
{
    const char *why = NULL;
    (void)state;
    assert_int_equal(make("7 6 market:deleted market:1\n{}", &why), ERR_INVALID);
    assert_string_equal(why, "no event of the catalogue");
    assert_int_equal(make("7 6 market:trade market:1\n{", &why), ERR_INVALID);
    assert_string_equal(why, "payload is not well-formed JSON in UTF-8");
    assert_int_equal(make("7 6 market:trade market:1\n[]", &why), ERR_INVALID);
    assert_string_equal(why, "payload is not a JSON object");
    assert_null(event);
}

static void the_last_reference_frees(void **state)
{
    const char *why;
    (void)state;
    assert_int_equal(make("7 6 market:trade market:1\n{}", &why), OK);
    struct app_event *mine = app_event_ref(event);
    app_event_unref(&event);
    assert_null(event);
    is_packet(app_event_packet(mine, false), "42[\"market:trade\",{}]");
    app_event_unref(&mine);
    app_event_unref(&mine);
}

static void encode_without_memory(void *context)
{
    const char *why;
    (void)context;
    enum err err = make("7 6 market:trade market:1\n{}", &why);
    assert_true(err == OK || err == ERR_NOMEM);
    if (!err && app_event_packet(event, true) && app_event_packet(event, false)) {
        is_packet(app_event_packet(event, true), "42[\"market:trade\",{},\"7\"]");
    }
    app_event_unref(&event);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    failing_alloc_each(encode_without_memory, NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(with_its_id_and_without),   TEST(outside_the_logs_there_is_no_id),
        TEST(each_form_is_encoded_once), TEST(what_is_no_event_has_a_reason),
        TEST(the_last_reference_frees),  TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

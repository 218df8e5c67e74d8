#include "publisher/typed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

static const size_t announcement[] = {
    offsetof(struct glyfe_system_announcement, id),
    offsetof(struct glyfe_system_announcement, title),
    offsetof(struct glyfe_system_announcement, message),
    offsetof(struct glyfe_system_announcement, priority),
    offsetof(struct glyfe_system_announcement, action_url),
};

static const size_t maintenance[] = {
    offsetof(struct glyfe_system_maintenance, enabled),
    offsetof(struct glyfe_system_maintenance, message),
    offsetof(struct glyfe_system_maintenance, estimated_duration),
    offsetof(struct glyfe_system_maintenance, affected_services),
};

static const size_t notification[] = {
    offsetof(struct glyfe_notification, notification_id),
    offsetof(struct glyfe_notification, user_id),
    offsetof(struct glyfe_notification, type),
    offsetof(struct glyfe_notification, title),
    offsetof(struct glyfe_notification, message),
    offsetof(struct glyfe_notification, data),
    offsetof(struct glyfe_notification, action_url),
    offsetof(struct glyfe_notification, read),
    offsetof(struct glyfe_notification, timestamp),
};

/* Fields of types that no event of the catalogue has. */
struct optional_values {
    const int64_t *number;
    const bool *flag;
};
static const struct catalogue_field optional_fields[] = {
    {.name = "number", .type = CATALOGUE_INTEGER, .max = 9},
    {.name = "flag", .type = CATALOGUE_BOOLEAN},
};
static const struct catalogue_event optional_event = {.fields = optional_fields, .field_count = 2};
static const size_t optional_offsets[] = {
    offsetof(struct optional_values, number),
    offsetof(struct optional_values, flag),
};

static void expect_of(const struct catalogue_event *event, const size_t *offsets,
                      const void *values, const char *expected)
{
    struct buf json = {0}, complaint = {0};
    assert_int_equal(typed_to_json(event, offsets, values, &json, &complaint), OK);
    assert_string_equal(buf_cstr(&json), expected);
    buf_fini(&json);
    buf_fini(&complaint);
}

static void expect(const char *event, const size_t *offsets, const void *values,
                   const char *expected)
{
    expect_of(catalogue_find(str_from(event)), offsets, values, expected);
}

static void expect_complaint(const char *event, const size_t *offsets, const void *values,
                             const char *expected)
{
    struct buf json = {0}, complaint = {0};
    assert_int_equal(
        typed_to_json(catalogue_find(str_from(event)), offsets, values, &json, &complaint),
        ERR_INVALID);
    assert_string_equal(buf_cstr(&complaint), expected);
    buf_fini(&json);
    buf_fini(&complaint);
}

static void writes_texts_and_choices(void **state)
{
    (void)state;
    const struct glyfe_system_announcement values = {
        .id = "1",
        .title = "say \"hi\"\n\xc3\xa9",
        .message = "",
        .priority = GLYFE_SYSTEM_ANNOUNCEMENT_PRIORITY_CRITICAL,
    };
    expect("system:announcement", announcement, &values,
           "{\"id\":\"1\",\"title\":\"say \\\"hi\\\"\\n\xc3\xa9\",\"message\":\"\","
           "\"priority\":\"critical\"}");
}

static void leaves_out_what_is_not_given(void **state)
{
    (void)state;
    const struct glyfe_system_announcement nothing = {0};
    expect("system:announcement", announcement, &nothing, "{}");
}

static void shows_a_number_that_is_no_choice(void **state)
{
    (void)state;
    const struct glyfe_system_announcement values = {
        .priority = (enum glyfe_system_announcement_priority)5,
    };
    expect("system:announcement", announcement, &values, "{\"priority\":5}");
}

static void writes_lists_and_booleans(void **state)
{
    (void)state;
    const char *const services[] = {"a", "b,c", NULL};
    const struct glyfe_system_maintenance values = {.enabled = true, .affected_services = services};
    expect("system:maintenance", maintenance, &values,
           "{\"enabled\":true,\"affectedServices\":[\"a\",\"b,c\"]}");
    const struct glyfe_system_maintenance none = {.affected_services = services + 2};
    expect("system:maintenance", maintenance, &none, "{\"enabled\":false,\"affectedServices\":[]}");
}

static void writes_objects_as_they_are(void **state)
{
    (void)state;
    const struct glyfe_notification values = {.data = "{\"big\": 12345678901234567890123}"};
    expect("notification", notification, &values,
           "{\"data\":{\"big\": 12345678901234567890123},\"read\":false}");
}

static void refuses_objects_that_would_reach_beyond_their_field(void **state)
{
    (void)state;
    static const char *const bad[] = {"{},\"actionUrl\":\"x\"", "[]", "", "{\"a\":\"\xff\"}", "{"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct glyfe_notification values = {.data = bad[i]};
        expect_complaint("notification", notification, &values,
                         "data.data: expected a JSON object");
    }
}

static void refuses_text_that_is_not_utf8(void **state)
{
    (void)state;
    const struct glyfe_system_announcement values = {.id = "1", .title = "\xff"};
    expect_complaint("system:announcement", announcement, &values,
                     "data.title: expected text in UTF-8");
}

static void optional_numbers_are_pointers(void **state)
{
    (void)state;
    int64_t number = -7;
    bool flag = true;
    expect_of(&optional_event, optional_offsets, &(struct optional_values){&number, &flag},
              "{\"number\":-7,\"flag\":true}");
    expect_of(&optional_event, optional_offsets, &(struct optional_values){0}, "{}");
}

static void write_with_failing_alloc(void *context)
{
    const char *const services[] = {"a", "b", NULL};
    const struct glyfe_system_maintenance values = {.message = "m", .affected_services = services};
    struct buf json = {0}, complaint = {0};
    enum err err = typed_to_json(context, maintenance, &values, &json, &complaint);
    assert_true(err == OK || err == ERR_NOMEM);
    buf_fini(&json);
    buf_fini(&complaint);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    struct catalogue_event event = *catalogue_find(STR("system:maintenance"));
    failing_alloc_each(write_with_failing_alloc, &event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_texts_and_choices),
        cmocka_unit_test(leaves_out_what_is_not_given),
        cmocka_unit_test(shows_a_number_that_is_no_choice),
        cmocka_unit_test(writes_lists_and_booleans),
        cmocka_unit_test(writes_objects_as_they_are),
        cmocka_unit_test(refuses_objects_that_would_reach_beyond_their_field),
        cmocka_unit_test(refuses_text_that_is_not_utf8),
        cmocka_unit_test(optional_numbers_are_pointers),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

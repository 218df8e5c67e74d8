#include "schema/catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "util/jtext.h"

enum { NOW_MS = 1000 };
#define NOW    "1970-01-01T00:00:01.000Z"

#define TRADER "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
#define LOWER  "0x8617e340b3d01fa5f11f306f4090fd50e238070d"

/* What one call of catalogue_encode left behind. */
struct result {
    enum err err;
    struct catalogue_message message;
    struct buf payload, complaint;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct result));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct result *r = *state;
    buf_fini(&r->payload);
    buf_fini(&r->complaint);
    free(r);
    return 0;
}

static void encode(struct result *r, const char *event, struct str data)
{
    buf_clear(&r->payload);
    buf_clear(&r->complaint);
    r->message = (struct catalogue_message){0};
    r->err = catalogue_encode(catalogue_find(str_from(event)), data, NOW_MS, &r->message,
                              &r->payload, &r->complaint);
}

static void expect_payload(struct result *r, const char *expected)
{
    assert_int_equal(r->err, OK);
    assert_string_equal(buf_cstr(&r->payload), expected);
}

static void expect_room(struct result *r, size_t i, const char *expected)
{
    assert_true(i < r->message.room_count);
    assert_string_equal(r->message.rooms[i].text, expected);
}

static void expect_complaint(struct result *r, const char *event, const char *data,
                             const char *expected)
{
    encode(r, event, str_from(data));
    assert_int_equal(r->err, ERR_INVALID);
    assert_string_equal(buf_cstr(&r->complaint), expected);
    assert_int_equal(r->payload.len, 0);
    assert_int_equal(r->message.room_count, 0);
}

static void lists_nine_events_that_are_found_by_name(void **state)
{
    (void)state;
    size_t count;
    const struct catalogue_event *events = catalogue_events(&count);
    assert_int_equal(count, 9);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(catalogue_find(str_from(events[i].name)), &events[i]);
    }
}

static void does_not_find_other_names(void **state)
{
    (void)state;
    static const char *const other[] = {"",
                                        "market",
                                        "market:trades",
                                        "Market:trade",
                                        "connected",
                                        "system:announcements and much more"};
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        assert_null(catalogue_find(str_from(other[i])));
    }
    assert_null(catalogue_find(STR("notification\0")));
}

static void every_example_is_valid_and_kept_byte_by_byte(void **state)
{
    struct result *r = *state;
    size_t count;
    const struct catalogue_event *events = catalogue_events(&count);
    for (size_t i = 0; i < count; i++) {
        encode(r, events[i].name, str_from(events[i].example));
        char expected[2048];
        snprintf(expected, sizeof expected,
                 "{\"type\":\"%s\",\"timestamp\":\"" NOW "\",\"data\":%s}", events[i].name,
                 events[i].example);
        expect_payload(r, expected);
        assert_int_equal(jtext_check(buf_str(&r->payload), 8), OK);
        assert_int_equal(r->message.room_count, events[i].room_count);
        assert_ptr_equal(r->message.event, &events[i]);
    }
}

/* The example without one field, or with another value for it (NULL: without). */
static void mutate(const struct catalogue_event *event, const char *field, const char *value,
                   struct buf *out)
{
    struct jtext_walk walk;
    struct str key, old;
    buf_clear(out);
    const char *before = "{";
    jtext_walk(&walk, str_from(event->example));
    while (jtext_next(&walk, &key, &old)) {
        bool hit = str_eq(key, str_from(field));
        if (!hit || value) {
            struct str now = hit ? str_from(value) : old;
            assert_int_equal(
                buf_printf(out, "%s\"" STR_FMT "\":" STR_FMT, before, STR_ARG(key), STR_ARG(now)),
                OK);
            before = ",";
        }
    }
    assert_int_equal(buf_append_char(out, '}'), OK);
}

static void expect_field(struct result *r, const struct catalogue_event *event,
                         const struct catalogue_field *field, const char *value, bool valid)
{
    struct buf data = {0};
    mutate(event, field->name, value, &data);
    encode(r, event->name, buf_str(&data));
    if ((r->err == OK) != valid) {
        fail_msg("%s.%s = %s: %s", event->name, field->name, value ? value : "(missing)",
                 err_name(r->err));
    }
    char named[128];
    snprintf(named, sizeof named, "data.%s", field->name);
    if (!valid) {
        assert_int_equal(r->err, ERR_INVALID);
        assert_int_equal(strncmp(buf_cstr(&r->complaint), named, strlen(named)), 0);
    }
    buf_fini(&data);
}

/* Values of every kind; a field takes those of its own type only. */
static const struct {
    const char *value;
    unsigned fits; /* bits by enum catalogue_type */
} samples[] = {
#define FITS(type) (1u << CATALOGUE_##type)
#define ANY_TEXT   FITS(STRING)
    {"null", 0},
    {"{}", FITS(OBJECT)},
    {"[]", FITS(STRINGS)},
    {"[\"a\",\"b\"]", FITS(STRINGS)},
    {"[1]", 0},
    {"[\"a\",null]", 0},
    {"true", FITS(BOOLEAN)},
    {"1", FITS(INTEGER)},
    {"0", FITS(INTEGER)},
    {"2.5", 0},
    {"1e0", 0},
    {"-1", 0},
    {"99999999999999999999", 0},
    {"\"\"", ANY_TEXT},
    {"\"caf\xc3\xa9\"", ANY_TEXT},
    {"\"a b\"", ANY_TEXT},
    {"\"a,b\"", ANY_TEXT},
    {"\"yes\"", ANY_TEXT | FITS(ID)},
    {"\"\\u0079es\"", ANY_TEXT | FITS(ID)},
    {"\"0\"", ANY_TEXT | FITS(ID) | FITS(WEI)},
    {"\"\\u0031\"", ANY_TEXT | FITS(ID) | FITS(WEI)},
    {"\"01\"", ANY_TEXT | FITS(ID)},
    {"\"-1\"", ANY_TEXT | FITS(ID)},
    {"\"+1\"", ANY_TEXT | FITS(ID)},
    {"\"1.5\"", ANY_TEXT | FITS(ID)},
    {"\"0x10\"", ANY_TEXT | FITS(ID)},
    {"\"123456789012345678901234567890123456789012345678901234567890123456789012345678\"",
     ANY_TEXT | FITS(ID) | FITS(WEI)},
    {"\"1234567890123456789012345678901234567890123456789012345678901234567890123456789\"",
     ANY_TEXT | FITS(ID)},
    {"\"2024-02-29T10:00:00.000Z\"", ANY_TEXT | FITS(ID) | FITS(TIMESTAMP)},
    {"\"2025-02-29T10:00:00.000Z\"", ANY_TEXT | FITS(ID)},
};

static void every_field_takes_its_own_type_only(void **state)
{
    size_t count;
    const struct catalogue_event *events = catalogue_events(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < events[i].field_count; k++) {
            const struct catalogue_field *field = &events[i].fields[k];
            for (size_t s = 0; s < ARRAY_LEN(samples); s++) {
                bool fits = samples[s].fits >> field->type & 1;
                expect_field(*state, &events[i], field, samples[s].value, fits);
            }
        }
    }
}

static void only_optional_fields_and_timestamps_may_be_missing(void **state)
{
    size_t count;
    const struct catalogue_event *events = catalogue_events(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < events[i].field_count; k++) {
            const struct catalogue_field *field = &events[i].fields[k];
            expect_field(*state, &events[i], field, NULL,
                         !field->required || field->defaults_to_now);
        }
    }
}

static void every_choice_of_an_enum_is_taken(void **state)
{
    size_t count;
    const struct catalogue_event *events = catalogue_events(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < events[i].field_count; k++) {
            const struct catalogue_field *field = &events[i].fields[k];
            for (size_t c = 0; field->type == CATALOGUE_ENUM && field->choices[c]; c++) {
                char value[64];
                snprintf(value, sizeof value, "\"%s\"", field->choices[c]);
                expect_field(*state, &events[i], field, value, true);
            }
        }
    }
}

#define MAINTENANCE(more) "{\"enabled\":true,\"message\":\"m\"" more "}"

static void complaints_name_field_expectation_and_value(void **state)
{
    struct result *r = *state;
    expect_complaint(r, "system:maintenance", "{\"enabled\":\"yes\",\"message\":\"m\"}",
                     "data.enabled: expected true or false, got \"yes\"");
    expect_complaint(r, "system:maintenance", "{\"enabled\":true}",
                     "data.message: expected a string, got nothing");
    expect_complaint(r, "market:trade", "{\"outcome\":\"yes\"}",
                     "data.outcome: expected 0 or 1, got \"yes\"");
    expect_complaint(r, "market:trade", "{\"direction\":{}}",
                     "data.direction: expected one of \"buy\", \"sell\", got an object");
    expect_complaint(r, "system:maintenance", MAINTENANCE(",\"affectedServices\":[\"a\",7]"),
                     "data.affectedServices[1]: expected a string, got 7");
    expect_complaint(r, "system:maintenance", MAINTENANCE(",\"eta\":1"),
                     "data.eta: unknown field of system:maintenance");
    expect_complaint(r, "system:maintenance", MAINTENANCE(",\"m\\u0065ssage\":\"n\""),
                     "data.m\\u0065ssage: given twice for system:maintenance");
}

static void complaints_show_long_values_in_part(void **state)
{
    struct result *r = *state;
    char data[400] = "{\"outcome\":\"";
    for (size_t i = 0; i < 100; i++) {
        strcat(data, "\xc3\xa9");
    }
    strcat(data, "\"}");
    encode(r, "market:trade", str_from(data));
    assert_int_equal(r->err, ERR_INVALID);
    assert_true(r->complaint.len < 120);
    assert_int_equal(strcmp(buf_cstr(&r->complaint) + r->complaint.len - 5, "\xc3\xa9\xe2\x80\xa6"),
                     0);
}

static void refuses_what_is_no_object(void **state)
{
    struct result *r = *state;
    static const char *const bad[] = {"",
                                      " ",
                                      "[]",
                                      "1",
                                      "\"x\"",
                                      "null",
                                      "{",
                                      "{\"enabled\":}",
                                      "{} {}",
                                      "{\"message\":\"\xff\"}",
                                      "{\"message\":\"a\nb\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        encode(r, "system:maintenance", str_from(bad[i]));
        assert_int_equal(r->err, ERR_INVALID);
        assert_int_equal(strncmp(buf_cstr(&r->complaint), "data: ", 6), 0);
    }
}

static void refuses_halves_of_surrogate_pairs(void **state)
{
    struct result *r = *state;
    static const char *const bad[] = {"\\ud83d",        "\\ude00",        "\\ud83dx",
                                      "\\ud83d\\u0041", "\\ude00\\ud83d", "\\\\\\ud83d"};
    static const char *const good[] = {"\\ud83d\\ude00", "\\\\ud83d", "\\u0041", "\\\\\\\\ude00"};
    char data[128];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(data, sizeof data, "{\"enabled\":true,\"message\":\"%s\"}", bad[i]);
        expect_complaint(r, "system:maintenance", data, "data: has half of a surrogate pair");
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(data, sizeof data, "{\"enabled\":true,\"message\":\"%s\"}", good[i]);
        encode(r, "system:maintenance", str_from(data));
        assert_int_equal(r->err, OK);
    }
}

static void limits_size_and_nesting(void **state)
{
    struct result *r = *state;
    struct buf data = {0};
    assert_int_equal(buf_append(&data, STR("{\"enabled\":true,\"message\":\"")), OK);
    while (data.len < CATALOGUE_DATA_MAX - 2) {
        assert_int_equal(buf_append_char(&data, 'x'), OK);
    }
    assert_int_equal(buf_append(&data, STR("\"}")), OK);
    encode(r, "system:maintenance", buf_str(&data));
    assert_int_equal(r->err, OK);
    data.len -= 2;
    assert_int_equal(buf_append(&data, STR("x\"}")), OK);
    encode(r, "system:maintenance", buf_str(&data));
    assert_int_equal(r->err, ERR_INVALID);
    assert_string_equal(buf_cstr(&r->complaint), "data: larger than 512 KiB");
    buf_clear(&data);
    for (unsigned i = 0; i <= CATALOGUE_DEPTH_MAX; i++) {
        assert_int_equal(buf_append(&data, STR("{\"a\":")), OK);
    }
    encode(r, "system:maintenance", buf_str(&data));
    assert_string_equal(buf_cstr(&r->complaint), "data: nested deeper than 64 levels");
    buf_fini(&data);
}

#define TRADE                                                                                      \
    "\"marketId\":\"7\",\"tradeId\":\"t\",\"trader\":\"" TRADER                                    \
    "\",\"direction\":\"buy\",\"outcome\":1,"                                                      \
    "\"amount\":\"1\",\"shares\":\"1\",\"price\":\"1\",\"newYesPrice\":\"1\",\"newNoPrice\":\"1\""

static void a_missing_timestamp_is_added_at_the_end(void **state)
{
    struct result *r = *state;
    encode(r, "market:trade", STR(" { " TRADE " \n} "));
    expect_payload(r, "{\"type\":\"market:trade\",\"timestamp\":\"" NOW "\",\"data\":{ " TRADE
                      " \n,\"timestamp\":\"" NOW "\"}}");
    assert_int_equal(jtext_check(buf_str(&r->payload), 8), OK);
}

static void rooms_are_canonical_and_in_order(void **state)
{
    struct result *r = *state;
    encode(r, "market:trade", STR("{" TRADE "}"));
    assert_int_equal(r->message.room_count, 2);
    expect_room(r, 0, "market:7");
    expect_room(r, 1, "user:" LOWER);
    encode(r, "market:resolved",
           STR("{\"marketId\":\"\\u0037\",\"question\":\"q\",\"outcome\":0,\"resolvedBy\":\"x\","
               "\"totalVolume\":\"0\",\"totalParticipants\":9007199254740991}"));
    assert_int_equal(r->err, OK);
    expect_room(r, 0, "market:7");
    expect_room(r, 1, "global:all");
}

static void a_room_named_twice_is_listed_once(void **state)
{
    struct result *r = *state;
    static const struct catalogue_field fields[] = {
        {.name = "a", .type = CATALOGUE_ID, .required = true},
        {.name = "b", .type = CATALOGUE_ID, .required = true},
    };
    static const struct catalogue_room rooms[] = {{ROOM_USER, "a"}, {ROOM_USER, "b"}};
    const struct catalogue_event event = {"x", "", fields, 2, rooms, 2, "{}"};
    struct str data = STR("{\"a\":\"" TRADER "\",\"b\":\"" LOWER "\"}");
    r->err = catalogue_encode(&event, data, 0, &r->message, &r->payload, &r->complaint);
    assert_int_equal(r->err, OK);
    assert_int_equal(r->message.room_count, 1);
    expect_room(r, 0, "user:" LOWER);
}

static void numbers_and_keys_of_nested_data_survive(void **state)
{
    struct result *r = *state;
    static const char data[] =
        "{\"notificationId\":\"n\",\"userId\":\"u\",\"type\":\"custom\",\"title\":\"\",\"message\":"
        "\"\","
        "\"data\":{\"__proto__\":{\"big\":123456789012345678901234567890,\"x\":0.65,\"x\":1E+400}},"
        "\"read\":false,\"timestamp\":\"2025-01-31T12:00:01.000Z\"}";
    encode(r, "notification", STR(data));
    char expected[512];
    snprintf(expected, sizeof expected,
             "{\"type\":\"notification\",\"timestamp\":\"" NOW "\",\"data\":%s}", data);
    expect_payload(r, expected);
}

static void appends_to_a_payload_that_is_not_empty(void **state)
{
    struct result *r = *state;
    assert_int_equal(buf_append(&r->payload, STR("42")), OK);
    r->err = catalogue_encode(catalogue_find(STR("system:maintenance")), STR(MAINTENANCE()), NOW_MS,
                              &r->message, &r->payload, &r->complaint);
    expect_payload(r, "42{\"type\":\"system:maintenance\",\"timestamp\":\"" NOW
                      "\",\"data\":" MAINTENANCE() "}");
}

static void a_full_payload_buffer_is_a_limit(void **state)
{
    struct result *r = *state;
    buf_init(&r->payload, 80);
    encode(r, "system:maintenance", STR(MAINTENANCE()));
    assert_int_equal(r->err, ERR_LIMIT);
    assert_int_equal(r->payload.len, 0);
    assert_int_equal(r->message.room_count, 0);
}

static void encode_with_failing_alloc(void *context)
{
    static const char *const data[] = {
        MAINTENANCE(",\"estimatedDuration\":\"\\u0031 h\""),
        "{" TRADE "}",
        "{\"marketId\":\"\\u0031\",\"direction\":\"\\u0062uy\",\"tradeId\":7}",
    };
    const char *event = context;
    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        struct result r = {0};
        encode(&r, event, str_from(data[i]));
        if (r.err) {
            assert_int_equal(r.payload.len, 0);
            assert_true(r.err == ERR_NOMEM || r.err == ERR_INVALID);
        }
        buf_fini(&r.payload);
        buf_fini(&r.complaint);
    }
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    char trade[] = "market:trade", maintenance[] = "system:maintenance";
    failing_alloc_each(encode_with_failing_alloc, trade);
    failing_alloc_each(encode_with_failing_alloc, maintenance);
}

int main(void)
{
#define WITH_RESULT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_nine_events_that_are_found_by_name),
        cmocka_unit_test(does_not_find_other_names),
        WITH_RESULT(every_example_is_valid_and_kept_byte_by_byte),
        WITH_RESULT(every_field_takes_its_own_type_only),
        WITH_RESULT(only_optional_fields_and_timestamps_may_be_missing),
        WITH_RESULT(every_choice_of_an_enum_is_taken),
        WITH_RESULT(complaints_name_field_expectation_and_value),
        WITH_RESULT(complaints_show_long_values_in_part),
        WITH_RESULT(refuses_what_is_no_object),
        WITH_RESULT(refuses_halves_of_surrogate_pairs),
        WITH_RESULT(limits_size_and_nesting),
        WITH_RESULT(a_missing_timestamp_is_added_at_the_end),
        WITH_RESULT(rooms_are_canonical_and_in_order),
        WITH_RESULT(a_room_named_twice_is_listed_once),
        WITH_RESULT(numbers_and_keys_of_nested_data_survive),
        WITH_RESULT(appends_to_a_payload_that_is_not_empty),
        WITH_RESULT(a_full_payload_buffer_is_a_limit),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "publisher/cli/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

static struct field_flag flag(const char *name, const char *value)
{
    return (struct field_flag){name, strlen(name), value};
}

static void expect(const char *event, const char *name, const char *value, const char *expected)
{
    struct field_flag flags[] = {flag(name, value)};
    struct buf json = {0}, complaint = {0};
    enum err err = fields_to_json(catalogue_find(str_from(event)), flags, 1, &json, &complaint);
    assert_int_equal(err, OK);
    assert_string_equal(buf_cstr(&json), expected);
    buf_fini(&json);
}

static void flags_are_field_names_as_they_are_or_with_dashes(void **state)
{
    (void)state;
    expect("market:trade", "marketId", "7", "{\"marketId\":\"7\"}");
    expect("market:trade", "market-id", "7", "{\"marketId\":\"7\"}");
    expect("market:trade", "new-yes-price", "7", "{\"newYesPrice\":\"7\"}");
    expect("market:trade", "newYes-price", "7", "{\"newYesPrice\":\"7\"}");
}

static void other_names_stay_for_the_catalogue_to_refuse(void **state)
{
    (void)state;
    static const char *const other[] = {"market",    "marketid",   "market-",    "market-id-",
                                        "Market-id", "-market-id", "market--id", ""};
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        char expected[64] = "{\"";
        strcat(strcat(expected, other[i]), "\":\"7\"}");
        expect("market:trade", other[i], "7", expected);
    }
}

static void values_become_json_of_the_type(void **state)
{
    (void)state;
    expect("market:trade", "outcome", "1", "{\"outcome\":1}");
    expect("market:trade", "amount", "1", "{\"amount\":\"1\"}");
    expect("notification", "read", "false", "{\"read\":false}");
    expect("notification", "title", "say \"hi\"", "{\"title\":\"say \\\"hi\\\"\"}");
    expect("notification", "data", " {\"a\": 1e400} ", "{\"data\": {\"a\": 1e400} }");
}

static void lists_are_json_or_have_commas(void **state)
{
    (void)state;
    static const char event[] = "system:maintenance", name[] = "affected-services";
    expect(event, name, "[\"a,b\", \"c\"]", "{\"affectedServices\":[\"a,b\", \"c\"]}");
    expect(event, name, "a, b", "{\"affectedServices\":[\"a\",\"b\"]}");
    expect(event, name, "a", "{\"affectedServices\":[\"a\"]}");
    expect(event, name, "", "{\"affectedServices\":[]}");
}

static void what_is_not_of_the_type_becomes_a_string(void **state)
{
    (void)state;
    expect("market:trade", "outcome", "yes", "{\"outcome\":\"yes\"}");
    expect("market:trade", "outcome", "01", "{\"outcome\":\"01\"}");
    expect("market:trade", "outcome", "1,\"x\":2", "{\"outcome\":\"1,\\\"x\\\":2\"}");
    expect("notification", "read", "yes", "{\"read\":\"yes\"}");
    expect("notification", "data", "{},\"x\":{}", "{\"data\":\"{},\\\"x\\\":{}\"}");
}

static void refuses_what_is_not_utf8(void **state)
{
    (void)state;
    struct field_flag flags[] = {flag("title", "\xff")};
    struct buf json = {0}, complaint = {0};
    enum err err = fields_to_json(catalogue_find(STR("notification")), flags, 1, &json, &complaint);
    assert_int_equal(err, ERR_INVALID);
    assert_string_equal(buf_cstr(&complaint), "data.title: expected text in UTF-8");
    buf_fini(&json);
    buf_fini(&complaint);
}

static void names_flags(void **state)
{
    (void)state;
    struct buf name = {0};
    assert_int_equal(fields_flag_name("newYesPrice", &name), OK);
    assert_string_equal(buf_cstr(&name), "new-yes-price");
    buf_fini(&name);
}

static void write_with_failing_alloc(void *context)
{
    struct field_flag flags[] = {flag("enabled", "true"), flag("affected-services", "a,b")};
    struct buf json = {0}, complaint = {0};
    enum err err = fields_to_json(context, flags, 2, &json, &complaint);
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
        cmocka_unit_test(flags_are_field_names_as_they_are_or_with_dashes),
        cmocka_unit_test(other_names_stay_for_the_catalogue_to_refuse),
        cmocka_unit_test(values_become_json_of_the_type),
        cmocka_unit_test(lists_are_json_or_have_commas),
        cmocka_unit_test(what_is_not_of_the_type_becomes_a_string),
        cmocka_unit_test(refuses_what_is_not_utf8),
        cmocka_unit_test(names_flags),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

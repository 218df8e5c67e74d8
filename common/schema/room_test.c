#include "schema/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_name(enum room_kind kind, const char *id, const char *expected)
{
    struct room_name name;
    assert_int_equal(room_name_make(kind, str_from(id), &name), OK);
    assert_string_equal(name.text, expected);
    assert_int_equal(name.len, strlen(expected));
    assert_int_equal(name.kind, kind);
}

static void expect_refused(const char *text)
{
    struct room_name name = {.len = 7};
    assert_int_equal(room_name_parse(str_from(text), &name), ERR_INVALID);
    assert_int_equal(name.len, 7);
}

static void makes_names_of_all_kinds(void **state)
{
    (void)state;
    expect_name(ROOM_MARKET, "1", "market:1");
    expect_name(ROOM_CREATOR, "a:b/c\"~!", "creator:a:b/c\"~!");
    expect_name(ROOM_USER, "User-42", "user:User-42");
    expect_name(ROOM_GLOBAL, "all", "global:all");
}

static void writes_addresses_in_lower_case(void **state)
{
    (void)state;
    expect_name(ROOM_USER, "0x52908400098527886E0F7030069857D2E4169EE7",
                "user:0x52908400098527886e0f7030069857d2e4169ee7");
    expect_name(ROOM_USER, "0X52908400098527886E0F7030069857D2E4169EE7",
                "user:0x52908400098527886e0f7030069857d2e4169ee7");
}

static void leaves_what_is_no_address_alone(void **state)
{
    (void)state;
    expect_name(ROOM_USER, "0x52908400098527886E0F7030069857D2E4169EE",
                "user:0x52908400098527886E0F7030069857D2E4169EE");
    expect_name(ROOM_USER, "0x52908400098527886E0F7030069857D2E4169EEG",
                "user:0x52908400098527886E0F7030069857D2E4169EEG");
    expect_name(ROOM_MARKET, "ABC", "market:ABC");
}

static void parses_names(void **state)
{
    (void)state;
    struct room_name name;
    assert_int_equal(room_name_parse(STR("creator:a:b"), &name), OK);
    assert_int_equal(name.kind, ROOM_CREATOR);
    assert_true(str_eq(room_name_id(&name), STR("a:b")));
    assert_true(str_eq(room_name_str(&name), STR("creator:a:b")));
    assert_int_equal(room_name_parse(STR("global:all"), &name), OK);
}

static void refuses_other_names(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         "market",     "market:",    ":1",          "Market:1",        "markets:1",
        "mark:1",   "market:a b", "market:a,b", "market:\x7f", "market:\xc3\xa9", "market:\n",
        "global:1", "global:",    "global:ALL",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        expect_refused(bad[i]);
    }
    struct room_name name;
    assert_int_equal(room_name_parse(STR("market:a\0b"), &name), ERR_INVALID);
}

static void limits_the_length_of_ids(void **state)
{
    (void)state;
    char id[ROOM_ID_MAX + 1];
    memset(id, 'x', sizeof id);
    struct room_name name;
    assert_int_equal(room_name_make(ROOM_CREATOR, str_range(id, ROOM_ID_MAX), &name), OK);
    assert_int_equal(name.len, ROOM_ID_MAX + 8);
    assert_int_equal(name.text[name.len], '\0');
    assert_int_equal(room_name_make(ROOM_CREATOR, str_range(id, ROOM_ID_MAX + 1), &name),
                     ERR_INVALID);
}

static void names_kinds(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ROOM_KINDS; kind++) {
        enum room_kind found = ROOM_KINDS;
        assert_int_equal(room_kind_from(room_kind_name(kind), &found), OK);
        assert_int_equal(found, kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_names_of_all_kinds),
        cmocka_unit_test(writes_addresses_in_lower_case),
        cmocka_unit_test(leaves_what_is_no_address_alone),
        cmocka_unit_test(parses_names),
        cmocka_unit_test(refuses_other_names),
        cmocka_unit_test(limits_the_length_of_ids),
        cmocka_unit_test(names_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

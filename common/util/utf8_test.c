#include "util/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const good[] = {
    "",
    "plain ASCII that is longer than eight bytes",
    "\xc2\x80\xdf\xbf",
    "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    "12345678\xe2\x82\xac 12345678\xf0\x9f\x98\x80",
};

static const char *const bad[] = {
    "\x80",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x9f\xbf",
    "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
    "\xff",         "\xe2\x82",         "\xe2\x28\xa1",     "12345678\xfe",
    "\xc3\xa9\xc3",
};

static void whole_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(utf8_valid(str_from(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(utf8_valid(str_from(bad[i])));
    }
}

static bool valid_byte_by_byte(struct str text)
{
    struct utf8_state state = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (!utf8_feed(&state, str_range(text.ptr + i, 1))) {
            return false;
        }
    }
    return utf8_complete(&state);
}

static void one_byte_at_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(valid_byte_by_byte(str_from(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(valid_byte_by_byte(str_from(bad[i])));
    }
}

static void fails_as_soon_as_nothing_could_mend_it(void **state)
{
    (void)state;
    struct utf8_state s = {0};
    assert_true(utf8_feed(&s, STR("\xf4")));
    assert_false(utf8_complete(&s));
    assert_false(utf8_feed(&s, STR("\x90")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(one_byte_at_a_time),
        cmocka_unit_test(fails_as_soon_as_nothing_could_mend_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

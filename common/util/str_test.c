#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void compares(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), str_from("abc")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq(STR(""), str_from(NULL)));
    assert_true(str_eq_nocase(STR("Keep-Alive"), STR("keep-alive")));
    assert_false(str_eq_nocase(STR("a@"), STR("a`")));
    assert_true(str_starts(STR("user:1"), STR("user:")));
    assert_false(str_starts(STR("us"), STR("user:")));
    assert_true(str_eq_secret(STR("abc"), STR("abc")));
    assert_false(str_eq_secret(STR("abc"), STR("abd")));
}

static void splits_until_exhausted(void **state)
{
    (void)state;
    struct str rest = STR("a,,b"), head;
    assert_true(str_split(&rest, ',', &head));
    assert_true(str_eq(head, STR("a")));
    assert_true(str_split(&rest, ',', &head));
    assert_true(str_eq(head, STR("")));
    assert_true(str_split(&rest, ',', &head));
    assert_true(str_eq(head, STR("b")));
    assert_false(str_split(&rest, ',', &head));
}

static void trims_blanks_only_at_the_ends(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \ta b\t ")), STR("a b")));
    assert_true(str_eq(str_trim(STR("  ")), STR("")));
}

static void numbers_are_digits_within_64_bits(void **state)
{
    (void)state;
    uint64_t u = 5;
    int64_t i = 5;
    assert_int_equal(str_to_u64(STR("18446744073709551615"), &u), OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("184467440737095516150"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR(""), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("+1"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("1 "), &u), ERR_INVALID);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_to_i64(STR("-42"), &i), OK);
    assert_int_equal(i, -42);
    assert_int_equal(str_to_i64(STR("9223372036854775808"), &i), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(splits_until_exhausted),
        cmocka_unit_test(trims_blanks_only_at_the_ends),
        cmocka_unit_test(numbers_are_digits_within_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

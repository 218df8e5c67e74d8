#include "histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void is_exact_for_small_durations(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (uint64_t us = 1; us <= 20; us++) {
        histogram_add(&histogram, us);
    }
    assert_int_equal(histogram.total, 20);
    assert_int_equal(histogram_quantile(&histogram, 0), 1);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 11);
    assert_int_equal(histogram_quantile(&histogram, 1), 20);
}

static void is_at_most_three_per_cent_too_high(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < (uint64_t)1 << 35; us = us * 9 / 7 + 1) {
        struct histogram histogram = {0};
        histogram_add(&histogram, us);
        histogram_add(&histogram, us * 4);
        uint64_t found = histogram_quantile(&histogram, 0.25);
        assert_in_range(found, us, us + us * 32 / 1000);
    }
}

static void knows_the_maximum_beyond_its_last_bucket(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    assert_int_equal(histogram_quantile(&histogram, 0.99), 0);
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.max, UINT64_MAX);
    assert_true(histogram_quantile(&histogram, 0.99) > (uint64_t)1 << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_exact_for_small_durations),
        cmocka_unit_test(is_at_most_three_per_cent_too_high),
        cmocka_unit_test(knows_the_maximum_beyond_its_last_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

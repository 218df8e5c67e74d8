#include "util/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/clock.h"

static struct clock_fake now;
static struct bucket bucket;

static int begin(void **state)
{
    (void)state;
    now = (struct clock_fake){.monotonic_ms = 123456789};
    clock_set_fake(&now);
    bucket = (struct bucket){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    clock_set_fake(NULL);
    return 0;
}

static bool take(uint64_t rate, uint64_t burst)
{
    return bucket_take(&bucket, rate, burst, clock_monotonic_ms());
}

/* How many there are. */
static unsigned take_all(uint64_t rate, uint64_t burst)
{
    unsigned count = 0;
    while (count < 100000 && take(rate, burst)) {
        count++;
    }
    return count;
}

static void it_is_full_at_first_and_then_grows(void **state)
{
    (void)state;
    assert_int_equal(take_all(100, 20), 20);
    now.monotonic_ms += 9;
    assert_false(take(100, 20));
    now.monotonic_ms += 1;
    assert_true(take(100, 20));
    assert_false(take(100, 20));
    now.monotonic_ms += 50;
    assert_int_equal(take_all(100, 20), 5);
}

static void it_never_holds_more_than_the_burst(void **state)
{
    (void)state;
    assert_int_equal(take_all(100, 20), 20);
    now.monotonic_ms += 1000ULL * 3600 * 24 * 365 * 100;
    assert_int_equal(take_all(100, 20), 20);
    now.monotonic_ms = UINT64_MAX;
    assert_int_equal(take_all(1000000, 20), 20);
}

static void without_a_burst_it_holds_what_grows_in_a_second(void **state)
{
    (void)state;
    assert_int_equal(take_all(7, 0), 7);
    now.monotonic_ms += 1000;
    assert_int_equal(take_all(7, 0), 7);
}

static void without_a_rate_there_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(take_all(0, 1), 100000);
    assert_int_equal(take_all(3, 3), 3);
}

/* However often it is asked in between, fractions are kept. */
static void small_steps_lose_nothing(void **state)
{
    (void)state;
    unsigned count = take_all(3, 1);
    for (int i = 0; i < 10000; i++) {
        now.monotonic_ms++;
        count += take(3, 1);
    }
    assert_in_range(count, 30, 31);
}

static void the_limits_may_change(void **state)
{
    (void)state;
    assert_int_equal(take_all(10, 10), 10);
    assert_int_equal(take_all(10, 15), 5);
    assert_false(take(10, 5));
    now.monotonic_ms += 1000; /* ten of the fifteen are there again */
    assert_int_equal(take_all(10, 5), 0);
    now.monotonic_ms += 100;
    assert_int_equal(take_all(10, 5), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_full_at_first_and_then_grows, begin, end),
        cmocka_unit_test_setup_teardown(it_never_holds_more_than_the_burst, begin, end),
        cmocka_unit_test_setup_teardown(without_a_burst_it_holds_what_grows_in_a_second, begin,
                                        end),
        cmocka_unit_test_setup_teardown(without_a_rate_there_is_no_limit, begin, end),
        cmocka_unit_test_setup_teardown(small_steps_lose_nothing, begin, end),
        cmocka_unit_test_setup_teardown(the_limits_may_change, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "workers/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void it_doubles_up_to_its_bound(void **state)
{
    (void)state;
    static const uint64_t waits[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct backoff backoff = {0};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        assert_int_equal(backoff_next(&backoff, BACKOFF_GOOD_RUN_MS - 1), waits[i]);
    }
}

static void a_good_run_begins_anew(void **state)
{
    (void)state;
    struct backoff backoff = {.last_ms = 6400};
    assert_int_equal(backoff_next(&backoff, BACKOFF_GOOD_RUN_MS), 100);
    assert_int_equal(backoff_next(&backoff, 0), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_doubles_up_to_its_bound),
        cmocka_unit_test(a_good_run_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

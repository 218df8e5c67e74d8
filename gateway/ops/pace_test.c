#include "ops/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { START_MS = 5000000, WINDOW_MS = 20000, TENTHS = 10 };

/* Does `count` things, asking every `step_ms`; how many were done in each tenth of the window. */
static void run(size_t count, uint64_t step_ms, size_t done[TENTHS + 1])
{
    struct pace pace;
    memset(done, 0, (TENTHS + 1) * sizeof done[0]);
    pace_begin(&pace, START_MS, WINDOW_MS);
    for (uint64_t now = 0; count > 0; now += step_ms) {
        size_t due = pace_due(&pace, START_MS + now, count);
        size_t tenth = now * TENTHS / WINDOW_MS;
        assert_in_range(due, 0, count);
        assert_in_range(tenth, 0, TENTHS);
        done[tenth] += due;
        count -= due;
        pace_done(&pace, due);
    }
}

static void the_pace_is_even_whatever_the_number(void **state)
{
    (void)state;
    static const size_t counts[] = {20, 100, 3333, 10000, 1000000};
    static const uint64_t steps[] = {1, 16, 100};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            size_t done[TENTHS + 1];
            size_t tenth = counts[c] / TENTHS, step = counts[c] * steps[s] / WINDOW_MS;
            run(counts[c], steps[s], done);
            for (size_t i = 0; i < TENTHS; i++) {
                assert_in_range(done[i], tenth - step - 1, tenth + step + 1);
            }
            assert_in_range(done[TENTHS], 0, step + 1);
        }
    }
}

/* Where there are few, nobody waits for the end of the window. */
static void the_first_is_due_at_once_and_the_last_before_the_end(void **state)
{
    (void)state;
    for (size_t count = 1; count < 6; count++) {
        struct pace pace;
        pace_begin(&pace, START_MS, WINDOW_MS);
        for (size_t i = 0; i < count; i++) {
            uint64_t due_ms = START_MS + WINDOW_MS * i / count;
            if (i > 0) {
                assert_int_equal(pace_due(&pace, due_ms - 1, count - i), 0);
            }
            assert_int_equal(pace_due(&pace, due_ms + 1, count - i), 1);
            pace_done(&pace, 1);
        }
        assert_int_equal(pace_due(&pace, START_MS + WINDOW_MS - 1, 0), 0);
    }
}

static void who_goes_by_himself_leaves_time_to_the_others(void **state)
{
    (void)state;
    struct pace pace;
    pace_begin(&pace, START_MS, WINDOW_MS);
    assert_int_equal(pace_due(&pace, START_MS, 100), 1);
    pace_done(&pace, 1);
    /* All but nine have gone: the rest has two seconds each. */
    assert_int_equal(pace_due(&pace, START_MS + 1999, 9), 0);
    assert_int_equal(pace_due(&pace, START_MS + 2001, 9), 1);
    pace_done(&pace, 1);
    assert_int_equal(pace_due(&pace, START_MS + 10001, 8), 4);
}

static void what_could_not_be_done_stays_due(void **state)
{
    (void)state;
    struct pace pace;
    pace_begin(&pace, START_MS, WINDOW_MS);
    assert_int_equal(pace_due(&pace, START_MS, 10), 1);
    pace_done(&pace, 0);
    assert_int_equal(pace_due(&pace, START_MS, 10), 1);
    assert_int_equal(pace_due(&pace, START_MS + 4001, 10), 3);
    pace_done(&pace, 1);
    assert_int_equal(pace_due(&pace, START_MS + 4001, 9), 2);
}

static void without_a_window_all_are_due_at_once(void **state)
{
    (void)state;
    struct pace pace;
    pace_begin(&pace, START_MS, 0);
    assert_int_equal(pace_due(&pace, START_MS, 10000), 10000);
    pace_done(&pace, 10000);
    assert_int_equal(pace_due(&pace, START_MS, 0), 0);
}

static void after_the_window_all_are_due(void **state)
{
    (void)state;
    struct pace pace;
    pace_begin(&pace, START_MS, WINDOW_MS);
    assert_int_equal(pace_due(&pace, START_MS + WINDOW_MS, 77), 77);
    assert_int_equal(pace_due(&pace, START_MS + 10 * WINDOW_MS, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pace_is_even_whatever_the_number),
        cmocka_unit_test(the_first_is_due_at_once_and_the_last_before_the_end),
        cmocka_unit_test(who_goes_by_himself_leaves_time_to_the_others),
        cmocka_unit_test(what_could_not_be_done_stays_due),
        cmocka_unit_test(without_a_window_all_are_due_at_once),
        cmocka_unit_test(after_the_window_all_are_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

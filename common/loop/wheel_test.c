#include "loop/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/attr.h"

struct alarm {
    struct wheel_timer timer;
    struct wheel *wheel;
    uint64_t *now;
    uint64_t fired_at;
    unsigned fired;
};

static void on_alarm(struct wheel_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    alarm->fired++;
    alarm->fired_at = *alarm->now;
}

static void set(struct wheel *wheel, struct alarm *alarm, uint64_t *now, uint64_t due)
{
    *alarm = (struct alarm){.wheel = wheel, .now = now};
    wheel_timer_init(&alarm->timer, on_alarm);
    wheel_set(wheel, &alarm->timer, due);
}

/* Goes on as a loop does: sleeps as long as the wheel says, then advances. */
static void run_until(struct wheel *wheel, uint64_t *now, uint64_t end)
{
    while (*now < end) {
        uint64_t wait = wheel_wait_ms(wheel, *now);
        *now = wait < end - *now ? *now + wait : end;
        wheel_advance(wheel, *now);
    }
}

static void fires_once_and_never_early(void **state)
{
    (void)state;
    static const uint64_t delays[] = {0,     1,      7,       8,       9,        500,      511,
                                      512,   513,    520,     25000,   32767,    32768,    60000,
                                      85000, 300000, 2097151, 2097152, 10000000, 130000000};
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        for (uint64_t start = 1000003; start < 1000003 + 600; start += 37) {
            uint64_t now = start;
            struct wheel wheel;
            struct alarm alarm;
            wheel_init(&wheel, now);
            set(&wheel, &alarm, &now, start + delays[i]);
            run_until(&wheel, &now, start + delays[i] + 2 * WHEEL_TICK_MS);
            assert_int_equal(alarm.fired, 1);
            assert_true(alarm.fired_at >= start + delays[i]);
            assert_true(alarm.fired_at <= start + delays[i] + 2 * WHEEL_TICK_MS);
            assert_int_equal(wheel.count, 0);
        }
    }
}

static void a_cancelled_timer_stays_silent(void **state)
{
    (void)state;
    uint64_t now = 5;
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, now);
    set(&wheel, &alarm, &now, 100);
    wheel_cancel(&wheel, &alarm.timer);
    wheel_cancel(&wheel, &alarm.timer);
    assert_true(wheel_wait_ms(&wheel, now) == UINT64_MAX);
    run_until(&wheel, &now, 1000);
    assert_int_equal(alarm.fired, 0);
}

static void a_timer_set_again_moves(void **state)
{
    (void)state;
    uint64_t now = 0;
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, now);
    set(&wheel, &alarm, &now, 100);
    wheel_set(&wheel, &alarm.timer, 50000);
    run_until(&wheel, &now, 49999);
    assert_int_equal(alarm.fired, 0);
    run_until(&wheel, &now, 50016);
    assert_int_equal(alarm.fired, 1);
}

static void on_alarm_again(struct wheel_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    on_alarm(timer);
    wheel_set(alarm->wheel, timer, *alarm->now + 25000);
}

static void a_timer_may_set_itself_again(void **state)
{
    (void)state;
    uint64_t now = 0;
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, now);
    set(&wheel, &alarm, &now, 25000);
    alarm.timer.fire = on_alarm_again;
    run_until(&wheel, &now, 25000 * 10 + 500);
    assert_int_equal(alarm.fired, 10);
}

static void many_random_timers_all_fire_in_time(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct alarm *alarms = calloc(MANY, sizeof *alarms);
    uint64_t now = 77, dues[MANY];
    struct wheel wheel;
    wheel_init(&wheel, now);
    srand(1);
    for (int i = 0; i < MANY; i++) {
        dues[i] = now + (uint64_t)(rand() % 3000000);
        set(&wheel, &alarms[i], &now, dues[i]);
    }
    run_until(&wheel, &now, 3000100);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(alarms[i].fired, 1);
        assert_in_range(alarms[i].fired_at, dues[i], dues[i] + 2 * WHEEL_TICK_MS);
    }
    free(alarms);
}

static void a_leap_of_time_fires_everything(void **state)
{
    (void)state;
    uint64_t now = 0;
    struct wheel wheel;
    struct alarm near, far;
    wheel_init(&wheel, now);
    set(&wheel, &near, &now, 10);
    set(&wheel, &far, &now, 100000);
    now = 200000;
    wheel_advance(&wheel, now);
    assert_int_equal(near.fired, 1);
    assert_int_equal(far.fired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_once_and_never_early),
        cmocka_unit_test(a_cancelled_timer_stays_silent),
        cmocka_unit_test(a_timer_set_again_moves),
        cmocka_unit_test(a_timer_may_set_itself_again),
        cmocka_unit_test(many_random_timers_all_fire_in_time),
        cmocka_unit_test(a_leap_of_time_fires_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

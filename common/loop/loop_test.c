#include "loop/loop.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/clock.h"

/* What ran, in order, a letter each. */
struct story {
    struct loop *loop;
    struct loop_task task, again;
    struct wheel_timer timer;
    struct loop_reap reap;
    char text[16];
};

static void note(struct story *story, char letter)
{
    story->text[strlen(story->text)] = letter;
}

static void on_reap(struct loop_reap *reap)
{
    note(container_of(reap, struct story, reap), 'r');
}

static void on_task(struct loop_task *task)
{
    struct story *story = container_of(task, struct story, task);
    note(story, 't');
    loop_reap(story->loop, &story->reap, on_reap);
}

static void on_timer(struct wheel_timer *timer)
{
    struct story *story = container_of(timer, struct story, timer);
    note(story, 'w');
    loop_defer(story->loop, &story->task);
    loop_defer(story->loop, &story->task);
}

static void on_again(struct loop_task *task)
{
    struct story *story = container_of(task, struct story, again);
    note(story, 'a');
    if (strlen(story->text) < 3) {
        loop_defer(story->loop, task);
    } else {
        loop_stop(story->loop);
    }
}

static int begin(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    story->loop = loop_new();
    loop_task_init(&story->task, on_task);
    loop_task_init(&story->again, on_again);
    wheel_timer_init(&story->timer, on_timer);
    *state = story;
    return story->loop ? 0 : -1;
}

static int end(void **state)
{
    struct story *story = *state;
    loop_free(story->loop);
    free(story);
    return 0;
}

static void a_turn_runs_timers_then_tasks_then_reaps(void **state)
{
    struct story *story = *state;
    loop_timer_set(story->loop, &story->timer, 0);
    while (story->text[0] == '\0') {
        assert_int_equal(loop_turn(story->loop, 1000), OK);
    }
    assert_string_equal(story->text, "wtr");
}

static void a_task_that_defers_itself_gets_another_turn_without_waiting(void **state)
{
    struct story *story = *state;
    loop_defer(story->loop, &story->again);
    uint64_t before = clock_monotonic_ms();
    assert_int_equal(loop_run(story->loop), OK);
    assert_string_equal(story->text, "aaa");
    assert_true(clock_monotonic_ms() - before < 1000);
}

static void on_long(struct loop_task *task)
{
    struct story *story = container_of(task, struct story, again);
    note(story, 'l');
    if (strlen(story->text) == 1) {
        loop_go_on(story->loop, task);
    }
}

static void long_work_goes_on_behind_what_is_short(void **state)
{
    struct story *story = *state;
    loop_task_init(&story->again, on_long);
    loop_defer(story->loop, &story->again);
    assert_int_equal(loop_turn(story->loop, 1000), OK);
    assert_string_equal(story->text, "l");
    loop_defer(story->loop, &story->task);
    loop_defer(story->loop, &story->again); /* it has its place already */
    assert_int_equal(loop_turn(story->loop, 1000), OK);
    assert_string_equal(story->text, "ltlr");
}

static void long_work_is_cancelled_like_any(void **state)
{
    struct story *story = *state;
    loop_task_init(&story->again, on_long);
    loop_defer(story->loop, &story->again);
    assert_int_equal(loop_turn(story->loop, 1000), OK);
    loop_task_cancel(&story->again);
    assert_int_equal(loop_turn(story->loop, 0), OK);
    assert_string_equal(story->text, "l");
}

static void a_cancelled_task_does_not_run(void **state)
{
    struct story *story = *state;
    loop_defer(story->loop, &story->task);
    loop_task_cancel(&story->task);
    assert_int_equal(loop_turn(story->loop, 0), OK);
    assert_string_equal(story->text, "");
}

static void a_turn_without_work_waits_no_longer_than_told(void **state)
{
    struct story *story = *state;
    assert_int_equal(loop_turn(story->loop, 20), OK);
    assert_string_equal(story->text, "");
}

static void on_wait_over(evutil_socket_t fd, short what, void *context)
{
    struct story *story = context;
    (void)fd;
    (void)what;
    if (loop_now(story->loop) >= clock_monotonic_ms() - 5) {
        note(story, 'n');
    }
}

static void callbacks_see_the_time_after_the_wait(void **state)
{
    struct story *story = *state;
    struct event *event = event_new(loop_base(story->loop), -1, 0, on_wait_over, story);
    assert_non_null(event);
    struct timeval wait = {.tv_usec = 50 * 1000};
    event_add(event, &wait);
    while (!story->text[0] && event_pending(event, EV_TIMEOUT, NULL)) {
        assert_int_equal(loop_turn(story->loop, 1000), OK);
    }
    assert_string_equal(story->text, "n");
    event_free(event);
}

static void on_always(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    note(context, 'e');
}

/* Whoever does a bounded share of work in each turn must not be called again in the same one. */
static void a_ready_descriptor_is_told_once_a_turn(void **state)
{
    struct story *story = *state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(write(pipe_ends[1], "x", 1), 1); /* never read */
    struct event *event =
        event_new(loop_base(story->loop), pipe_ends[0], EV_READ | EV_PERSIST, on_always, story);
    assert_non_null(event);
    assert_int_equal(event_add(event, NULL), 0);
    assert_int_equal(loop_turn(story->loop, 1000), OK);
    assert_string_equal(story->text, "e");
    loop_defer(story->loop, &story->task); /* so the next turn does not wait */
    assert_int_equal(loop_turn(story->loop, 1000), OK);
    assert_string_equal(story->text, "eetr");
    event_free(event);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void set_clock(uint64_t monotonic_ms)
{
    static struct clock_fake clock;
    clock.monotonic_ms = monotonic_ms;
    clock_set_fake(&clock);
}

static void on_slow_task(struct loop_task *task)
{
    (void)task;
    set_clock(clock_monotonic_ms() + LOOP_LONG_TURN_MS + 5);
}

static void the_longest_turn_is_told(void **state)
{
    struct story *story = *state;
    set_clock(clock_monotonic_ms());
    loop_task_init(&story->task, on_slow_task);
    assert_int_equal(loop_turn(story->loop, 0), OK);
    loop_defer(story->loop, &story->task);
    assert_int_equal(loop_turn(story->loop, 0), OK);
    assert_int_equal(loop_turn(story->loop, 0), OK);
    clock_set_fake(NULL);
    assert_int_equal(loop_stats(story->loop)->turns, 3);
    assert_int_equal(loop_stats(story->loop)->long_turns, 1);
    assert_int_equal(loop_stats(story->loop)->longest_ms, LOOP_LONG_TURN_MS + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_runs_timers_then_tasks_then_reaps, begin, end),
        cmocka_unit_test_setup_teardown(a_task_that_defers_itself_gets_another_turn_without_waiting,
                                        begin, end),
        cmocka_unit_test_setup_teardown(long_work_goes_on_behind_what_is_short, begin, end),
        cmocka_unit_test_setup_teardown(long_work_is_cancelled_like_any, begin, end),
        cmocka_unit_test_setup_teardown(a_cancelled_task_does_not_run, begin, end),
        cmocka_unit_test_setup_teardown(a_turn_without_work_waits_no_longer_than_told, begin, end),
        cmocka_unit_test_setup_teardown(callbacks_see_the_time_after_the_wait, begin, end),
        cmocka_unit_test_setup_teardown(a_ready_descriptor_is_told_once_a_turn, begin, end),
        cmocka_unit_test_setup_teardown(the_longest_turn_is_told, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

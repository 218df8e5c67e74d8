/*
 * One event loop: libevent's base, work put off to the end of a turn, and a timer wheel.
 *
 * A turn is: wait for descriptors and time, run their callbacks, run the tasks deferred meanwhile,
 * free what was reaped meanwhile. A task that is not finished within its share of the turn defers
 * itself again; the next turn then does not wait.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/wheel.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"

struct loop;
struct event_base;

/* NULL without memory or descriptors. */
struct loop *loop_new(void);
/* Reaps what is left; nothing may be registered any more. NULL is fine. */
void loop_free(struct loop *loop);

/* Turns until loop_stop. IO where libevent fails. */
MUST_CHECK enum err loop_run(struct loop *loop);
/* The current turn is the last. Callable from callbacks. */
void loop_stop(struct loop *loop);
/* One turn that waits no longer than max_wait_ms. For programs that lend the loop their thread. */
MUST_CHECK enum err loop_turn(struct loop *loop, unsigned max_wait_ms);

/*
 * How long turns were, from the first callback that asked for the time (after a wait, at the latest
 * from the timers on) to the end. Counted over the loop's life; borrowed.
 */
enum { LOOP_LONG_TURN_MS = 20 };

struct loop_stats {
    uint64_t turns;
    uint64_t long_turns; /* took LOOP_LONG_TURN_MS or more */
    uint64_t longest_ms;
};
const struct loop_stats *loop_stats(const struct loop *loop);

/* For event_new and event_assign. */
struct event_base *loop_base(struct loop *loop);
/* clock_monotonic_ms() as of the beginning of this turn. */
uint64_t loop_now(const struct loop *loop);

/* Work at the end of the current turn, in the order of deferral. */
struct loop_task {
    struct list node; /* private */
    void (*run)(struct loop_task *task);
};

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task));
/* Idempotent. From inside run: once more in the next turn, which then does not wait. */
void loop_defer(struct loop *loop, struct loop_task *task);
/*
 * From inside the run of long work whose share of the turn is used up: once more in the next turn,
 * behind what is deferred until then, so that short work does not wait for it. Before, the core is
 * left to whoever else wants it.
 */
void loop_go_on(struct loop *loop, struct loop_task *task);
/* Idempotent; the owner does so before it dies. */
void loop_task_cancel(struct loop_task *task);

/*
 * A timer on the wheel: fires once, at the earliest `delay_ms` from now and late by no more than a
 * tick (WHEEL_TICK_MS) and the turn that is running. Setting a set timer moves it.
 */
void loop_timer_set(struct loop *loop, struct wheel_timer *timer, uint64_t delay_ms);
/* Idempotent. */
void loop_timer_cancel(struct loop *loop, struct wheel_timer *timer);

/*
 * Memory that must outlive the callbacks still on the stack: `free_fn` runs after the turn's tasks.
 * Embedded in what it frees.
 */
struct loop_reap {
    struct list node; /* private */
    void (*free_fn)(struct loop_reap *reap);
};
void loop_reap(struct loop *loop, struct loop_reap *reap, void (*free_fn)(struct loop_reap *reap));

#endif

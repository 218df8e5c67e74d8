#include "loop/loop.h"

#include <event2/event.h>
#include <sched.h>
#include <stdlib.h>

#include "util/clock.h"

struct loop {
    struct event_base *base;
    struct event *wake; /* the wheel's next tick, or a turn that must not wait */
    struct wheel wheel;
    uint64_t now_ms;
    bool now_is_old; /* somebody has waited since now_ms was read */
    struct list tasks;
    struct list rest; /* of long work; runs behind the tasks */
    struct list reaps;
    bool stopping;
    struct loop_stats stats;
};

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg; /* its only work is to end the wait */
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        return NULL;
    }
    /* Without the flag libevent reads a clock that moves every few milliseconds, and a wait of one
     * takes as many; with it each turn that waits costs a call of timerfd_settime. */
    struct event_config *config = event_config_new();
    if (config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
        loop->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    loop->wake = loop->base ? event_new(loop->base, -1, 0, on_wake, loop) : NULL;
    if (!loop->wake) {
        loop_free(loop);
        return NULL;
    }
    loop->now_ms = clock_monotonic_ms();
    wheel_init(&loop->wheel, loop->now_ms);
    list_init(&loop->tasks);
    list_init(&loop->rest);
    list_init(&loop->reaps);
    return loop;
}

static void free_reaped(struct loop *loop)
{
    for (struct list *node; (node = list_pop_front(&loop->reaps));) {
        struct loop_reap *reap = list_entry(node, struct loop_reap, node);
        reap->free_fn(reap);
    }
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    if (loop->reaps.next) {
        free_reaped(loop);
    }
    if (loop->wake) {
        event_free(loop->wake);
    }
    if (loop->base) {
        event_base_free(loop->base);
    }
    free(loop);
}

/* Only those deferred before this: one that defers itself again waits for the next turn. */
static void run_tasks(struct loop *loop)
{
    struct list due;
    list_init(&due);
    list_splice_back(&due, &loop->tasks);
    list_splice_back(&due, &loop->rest);
    for (struct list *node; (node = list_pop_front(&due));) {
        struct loop_task *task = list_entry(node, struct loop_task, node);
        task->run(task);
    }
}

static void refresh_now(struct loop *loop)
{
    loop->now_ms = clock_monotonic_ms();
    loop->now_is_old = false;
}

/* How long the turn may wait for descriptors; 0 for not at all. */
static uint64_t wait_ms(const struct loop *loop, uint64_t max_wait_ms)
{
    if (!list_empty(&loop->tasks) || !list_empty(&loop->rest)) {
        return 0;
    }
    uint64_t wait = wheel_wait_ms(&loop->wheel, loop->now_ms);
    return wait < max_wait_ms ? wait : max_wait_ms;
}

static enum err wait_for_events(struct loop *loop, uint64_t wait)
{
    int flags = EVLOOP_ONCE;
    if (wait == 0) {
        flags |= EVLOOP_NONBLOCK; /* alone it would go on as long as any descriptor is ready */
    } else if (wait != UINT64_MAX) {
        struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000)};
        if (event_add(loop->wake, &tv) < 0) {
            return ERR_NOMEM;
        }
    } else {
        flags |= EVLOOP_NO_EXIT_ON_EMPTY;
    }
    loop->now_is_old = wait > 0;
    return event_base_loop(loop->base, flags) < 0 ? ERR_IO : OK;
}

static void count_turn(struct loop *loop, uint64_t began_ms)
{
    uint64_t took_ms = clock_monotonic_ms() - began_ms;
    loop->stats.turns++;
    loop->stats.long_turns += took_ms >= LOOP_LONG_TURN_MS;
    loop->stats.longest_ms = took_ms > loop->stats.longest_ms ? took_ms : loop->stats.longest_ms;
}

static enum err turn(struct loop *loop, uint64_t max_wait_ms)
{
    if (!list_empty(&loop->rest)) {
        /* Where several share a core, each waits for all slices of the others. */
        sched_yield();
    }
    refresh_now(loop);
    enum err err = wait_for_events(loop, wait_ms(loop, max_wait_ms));
    if (err) {
        return err;
    }
    bool nobody_asked = loop->now_is_old;
    uint64_t began_ms = loop->now_ms;
    refresh_now(loop);
    began_ms = nobody_asked ? loop->now_ms : began_ms;
    wheel_advance(&loop->wheel, loop->now_ms);
    run_tasks(loop);
    free_reaped(loop);
    count_turn(loop, began_ms);
    loop->now_is_old = true; /* whoever lends us their thread may be away for long */
    return OK;
}

enum err loop_turn(struct loop *loop, unsigned max_wait_ms)
{
    return turn(loop, max_wait_ms);
}

enum err loop_run(struct loop *loop)
{
    loop->stopping = false;
    enum err err = OK;
    while (!loop->stopping && !err) {
        err = turn(loop, UINT64_MAX);
    }
    return err;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

const struct loop_stats *loop_stats(const struct loop *loop)
{
    return &loop->stats;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

/* The first callback after the wait reads the clock for all the others. */
static uint64_t current_ms(struct loop *loop)
{
    if (loop->now_is_old) {
        refresh_now(loop);
    }
    return loop->now_ms;
}

uint64_t loop_now(const struct loop *loop)
{
    return current_ms((struct loop *)loop);
}

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
    list_init(&task->node);
    task->run = run;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_linked(&task->node)) {
        list_push_back(&loop->tasks, &task->node);
    }
}

void loop_go_on(struct loop *loop, struct loop_task *task)
{
    if (!list_linked(&task->node)) {
        list_push_back(&loop->rest, &task->node);
    }
}

void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->node);
}

void loop_timer_set(struct loop *loop, struct wheel_timer *timer, uint64_t delay_ms)
{
    wheel_set(&loop->wheel, timer, current_ms(loop) + delay_ms);
}

void loop_timer_cancel(struct loop *loop, struct wheel_timer *timer)
{
    wheel_cancel(&loop->wheel, timer);
}

void loop_reap(struct loop *loop, struct loop_reap *reap, void (*free_fn)(struct loop_reap *reap))
{
    reap->free_fn = free_fn;
    list_push_back(&loop->reaps, &reap->node);
}

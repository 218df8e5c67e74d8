#include "ops/drain.h"

#include "log/log.h"
#include "util/clock.h"

enum {
    TICK_MS = 2 * WHEEL_TICK_MS,
    REPORT_MS = 2000,
    GRACE_MS = 2000, /* for polling clients to come for the end of their session */
    WRITE_MS = 2000, /* for Redis to take the last sessions */
    SLICE_US = 2000, /* of a turn; each session that ends costs as much again elsewhere */
    SLICE_STEP = 16, /* sessions between looks at the clock */
};

static size_t left(const struct ops_drain *drain)
{
    return eio_server_stats(drain->engine)->sessions;
}

/* Those that are still to be asked. */
static size_t staying(const struct ops_drain *drain)
{
    const struct eio_server_stats *stats = eio_server_stats(drain->engine);
    return stats->sessions - stats->leaving;
}

static size_t waiting(const struct ops_drain *drain)
{
    return bus_store_waiting(bus_subscriber_store(drain->app->subscriber));
}

static uint64_t all_closed(const struct ops_drain *drain)
{
    const struct eio_server_stats *stats = eio_server_stats(drain->engine);
    uint64_t sum = 0;
    for (size_t i = 0; i < EIO_CLOSE_REASONS; i++) {
        sum += stats->closed[i];
    }
    return sum - drain->closed;
}

/* By the drain, those that were cut among them. */
static uint64_t drained(const struct ops_drain *drain)
{
    return eio_server_stats(drain->engine)->closed[EIO_CLOSE_DRAIN] - drain->drained;
}

/* --- Phases --- */

static void enter(struct ops_drain *drain, enum ops_drain_state state, uint64_t for_ms)
{
    drain->state = state;
    drain->until_ms = loop_now(drain->loop) + for_ms;
}

static void start_releasing(struct ops_drain *drain)
{
    enter(drain, OPS_DRAIN_RELEASING, drain->window_ms + GRACE_MS);
    eio_server_leave(drain->engine);
    http_server_keep_none(drain->http);
    pace_begin(&drain->pace, loop_now(drain->loop), drain->window_ms);
    log_info("closing sessions", LOG_U64("sessions", left(drain)),
             LOG_U64("window_ms", drain->window_ms));
    drain->report_ms = loop_now(drain->loop) + REPORT_MS;
}

static void start_writing(struct ops_drain *drain)
{
    enter(drain, OPS_DRAIN_WRITING, WRITE_MS);
    http_server_stop(drain->http);
}

static void finish(struct ops_drain *drain)
{
    drain->state = OPS_DRAIN_DONE;
    log_info("drained", LOG_U64("closed", drained(drain)),
             LOG_U64("left_by_themselves", all_closed(drain) - drained(drain)),
             LOG_U64("cut", drain->cut), LOG_U64("unwritten", waiting(drain)),
             LOG_U64("took_ms", loop_now(drain->loop) - drain->began_ms));
    drain->on_done(drain->owner);
}

/* --- Slices --- */

/* Asks those that are due, as many as there is time for in this turn. True: there are more. */
static bool release(struct ops_drain *drain)
{
    uint64_t until_us = clock_monotonic_us() + SLICE_US;
    size_t due = pace_due(&drain->pace, loop_now(drain->loop), staying(drain));
    while (due > 0 && clock_monotonic_us() < until_us) {
        size_t wanted = due < SLICE_STEP ? due : SLICE_STEP;
        size_t released = eio_server_release(drain->engine, wanted);
        pace_done(&drain->pace, released);
        due -= released;
        if (released < wanted) {
            return false; /* the others can't now, which the next tick may find otherwise */
        }
    }
    return due > 0;
}

static bool cut(struct ops_drain *drain)
{
    uint64_t until_us = clock_monotonic_us() + SLICE_US;
    size_t count;
    do {
        count = eio_server_cut(drain->engine, SLICE_STEP);
        drain->cut += count;
    } while (count > 0 && clock_monotonic_us() < until_us);
    return count > 0;
}

static void on_slice(struct loop_task *task)
{
    struct ops_drain *drain = container_of(task, struct ops_drain, slice);
    bool more = (drain->state == OPS_DRAIN_RELEASING && release(drain)) ||
                (drain->state == OPS_DRAIN_CUTTING && cut(drain));
    if (more) {
        loop_defer(drain->loop, task);
    }
}

/* --- Time --- */

static bool is_over(const struct ops_drain *drain)
{
    return loop_now(drain->loop) >= drain->until_ms;
}

static void report(struct ops_drain *drain)
{
    uint64_t now = loop_now(drain->loop);
    if (now >= drain->report_ms && left(drain) > 0) {
        drain->report_ms = now + REPORT_MS;
        log_info("closing sessions", LOG_U64("sessions", left(drain)),
                 LOG_U64("closed", drained(drain)),
                 LOG_U64("left_by_themselves", all_closed(drain) - drained(drain)));
    }
}

static void go_on(struct ops_drain *drain)
{
    if (drain->state == OPS_DRAIN_RELEASING && is_over(drain)) {
        enter(drain, OPS_DRAIN_CUTTING, 0);
    }
    report(drain);
    if (eio_server_empty(drain->engine)) {
        start_writing(drain);
    } else {
        loop_defer(drain->loop, &drain->slice);
    }
}

static bool all_is_written(const struct ops_drain *drain)
{
    return waiting(drain) == 0 && net_server_quiet(http_server_net(drain->http));
}

static void on_tick(struct wheel_timer *timer)
{
    struct ops_drain *drain = container_of(timer, struct ops_drain, timer);
    loop_timer_set(drain->loop, timer, TICK_MS);
    switch (drain->state) {
    case OPS_DRAIN_DELAY:
        if (is_over(drain)) {
            start_releasing(drain);
            go_on(drain);
        }
        break;
    case OPS_DRAIN_RELEASING:
    case OPS_DRAIN_CUTTING:
        go_on(drain);
        break;
    case OPS_DRAIN_WRITING:
        if (all_is_written(drain) || is_over(drain)) {
            loop_timer_cancel(drain->loop, timer);
            finish(drain);
        }
        break;
    case OPS_DRAIN_NOT:
    case OPS_DRAIN_DONE:
        break;
    }
}

/* --- Birth and death --- */

void ops_drain_init(struct ops_drain *drain, struct loop *loop, const struct app *app,
                    struct eio_server *engine, struct http_server *http)
{
    *drain = (struct ops_drain){.loop = loop, .app = app, .engine = engine, .http = http};
    wheel_timer_init(&drain->timer, on_tick);
    loop_task_init(&drain->slice, on_slice);
}

void ops_drain_fini(struct ops_drain *drain)
{
    if (drain->loop) {
        loop_timer_cancel(drain->loop, &drain->timer);
        loop_task_cancel(&drain->slice);
    }
}

void ops_drain_begin(struct ops_drain *drain, uint64_t delay_ms, uint64_t window_ms,
                     void (*on_done)(void *owner), void *owner)
{
    drain->on_done = on_done;
    drain->owner = owner;
    drain->window_ms = window_ms;
    drain->began_ms = loop_now(drain->loop);
    drain->closed = all_closed(drain);
    drain->drained = drained(drain);
    enter(drain, OPS_DRAIN_DELAY, delay_ms);
    log_info("draining", LOG_U64("sessions", left(drain)),
             LOG_U64("clients", drain->app->stats.members), LOG_U64("delay_ms", delay_ms),
             LOG_U64("window_ms", window_ms));
    loop_timer_set(drain->loop, &drain->timer, 0);
}

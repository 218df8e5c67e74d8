/*
 * The end of a gateway whose clients are to notice little of it.
 *
 * At first everything goes on, save that the gateway is not ready, so that load balancers send
 * nobody any more. Then handshakes are refused, and one session after the other ends by its
 * transport alone, at an even pace: official clients come back by themselves, to another gateway,
 * and recover there. See docs/decisions/0014-a-drained-poll-fails.md.
 */
#ifndef OPS_DRAIN_H
#define OPS_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "app/app.h"
#include "engineio/server.h"
#include "http/server.h"
#include "loop/loop.h"
#include "ops/pace.h"

enum ops_drain_state {
    OPS_DRAIN_NOT,       /* serving as ever */
    OPS_DRAIN_DELAY,     /* not ready, else serving as ever */
    OPS_DRAIN_RELEASING, /* sessions are asked to go, and for a moment more waited for */
    OPS_DRAIN_CUTTING,   /* those that did not go in time are ended */
    OPS_DRAIN_WRITING,   /* the last is gone; what it left is on its way to clients and to Redis */
    OPS_DRAIN_DONE,
};

struct ops_drain {
    struct loop *loop;
    const struct app *app;
    struct eio_server *engine;
    struct http_server *http;
    void (*on_done)(void *owner);
    void *owner;
    enum ops_drain_state state;
    uint64_t window_ms;
    uint64_t began_ms, until_ms; /* of the drain; of its present state */
    uint64_t report_ms;          /* when the next line of progress is due */
    uint64_t closed, drained;    /* counters of the engine when it began */
    uint64_t cut;
    struct pace pace;
    struct wheel_timer timer;
    struct loop_task slice;
};

/* Nothing happens yet. Borrows all for its lifetime. */
void ops_drain_init(struct ops_drain *drain, struct loop *loop, const struct app *app,
                    struct eio_server *engine, struct http_server *http);
/* Before any of these goes. One that is all zero is fine. */
void ops_drain_fini(struct ops_drain *drain);

/*
 * Begins; once only. `on_done` comes when the last session is gone and what it left is written, at
 * the latest `delay_ms`, `window_ms` and some four seconds from now, and never from inside.
 */
void ops_drain_begin(struct ops_drain *drain, uint64_t delay_ms, uint64_t window_ms,
                     void (*on_done)(void *owner), void *owner);

static inline bool ops_draining(const struct ops_drain *drain)
{
    return drain && drain->state != OPS_DRAIN_NOT;
}

#endif

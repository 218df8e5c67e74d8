/*
 * The gateway's entry in the registry: gathers its figures, and writes them again and again, so
 * that others know that it lives, and how it does.
 */
#ifndef OPS_HEARTBEAT_H
#define OPS_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/registry.h"
#include "bus/store.h"
#include "loop/loop.h"
#include "ops/server.h"

struct ops_heartbeat {
    struct loop *loop;
    struct ops_sources sources;
    uint64_t interval_ms;
    struct bus_gateway entry; /* what never changes is set before the start */
    struct wheel_timer timer;
    struct bus_request *request;
};

/*
 * Borrows loop and what the sources name. `entry` says what never changes: id, version, worker,
 * ports, ping_interval_ms, ping_timeout_ms. The first entry is written as soon as Redis is
 * there.
 */
void ops_heartbeat_start(struct ops_heartbeat *heartbeat, struct loop *loop,
                         const struct ops_sources *sources, const struct bus_gateway *entry,
                         uint64_t interval_ms);
/* What it says has changed: it is written at once. */
void ops_heartbeat_now(struct ops_heartbeat *heartbeat);
/*
 * The entry is removed, if Redis is there: see bus_store_waiting for when that is done. One that
 * was never started, all zero, is fine, and so is one that was stopped.
 */
void ops_heartbeat_stop(struct ops_heartbeat *heartbeat);

#endif

/*
 * Writes what connections have queued: at the end of a turn, one system call each, in slices; and
 * watches those whose peers don't take their bytes.
 *
 * A connection is on one of the lists or on none. Both waiting lists are in order of time, so that
 * one timer, set for the first of them, does for all.
 */
#ifndef NET_FLUSHER_H
#define NET_FLUSHER_H

#include <stdint.h>

#include "loop/loop.h"
#include "util/list.h"

struct net_conn;

struct net_flusher {
    struct loop *loop;
    uint64_t slice_us;
    uint64_t stall_ms;
    struct list dirty;     /* have something to write, and may */
    struct list stalled;   /* wait for their peers to read */
    struct list lingering; /* all written and our end closed; wait for the peers' ends */
    struct loop_task task;
    struct wheel_timer timer;
};

void net_flusher_init(struct net_flusher *flusher, struct loop *loop, uint64_t slice_us,
                      uint64_t stall_ms);
void net_flusher_fini(struct net_flusher *flusher);

/* The connection has something to write; idempotent. */
void net_flusher_mark(struct net_flusher *flusher, struct net_conn *conn);
/* The connection waited and its descriptor is ready now. */
void net_flusher_unblock(struct net_flusher *flusher, struct net_conn *conn);

#endif

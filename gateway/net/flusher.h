/*
 * Writes what connections have queued: at the end of a turn, one system call each, in slices; and
 * watches those whose peers don't take their bytes.
 *
 * A pass visits those that had something to write when it began; who is marked meanwhile is of the
 * next. So a pass ends however much is being sent, which is what on_pass tells; and then each of
 * them has written everything, or stalled.
 *
 * A connection is on one of the lists or on none. Both waiting lists are in order of time, so that
 * one timer, set for the first of them, does for all.
 */
#ifndef NET_FLUSHER_H
#define NET_FLUSHER_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "util/list.h"

struct net_conn;

struct net_flusher {
    struct loop *loop;
    uint64_t slice_us;
    uint64_t stall_ms;
    struct list pass;      /* have something to write, and may; still to be visited in this pass */
    struct list dirty;     /* likewise, in the next one */
    struct list stalled;   /* wait for their peers to read */
    struct list lingering; /* all written and our end closed; wait for the peers' ends */
    struct loop_task task;
    struct wheel_timer timer;
    bool passing;                             /* the end of a pass is still to be told */
    void (*on_pass)(void *owner, bool ended); /* see net_server_watch_passes */
    void *pass_owner;
};

void net_flusher_init(struct net_flusher *flusher, struct loop *loop, uint64_t slice_us,
                      uint64_t stall_ms);
void net_flusher_fini(struct net_flusher *flusher);

/* The connection has something to write; idempotent. */
void net_flusher_mark(struct net_flusher *flusher, struct net_conn *conn);
/* Whether a connection is still to be visited. */
bool net_flusher_due(const struct net_flusher *flusher);
/* Whether there is none, nor one that waits for its peer to read, or to end. */
bool net_flusher_quiet(const struct net_flusher *flusher);
/* Whether a connection that waits for its peer to read has not done so for longer. */
bool net_flusher_stalled_within(const struct net_flusher *flusher, uint64_t ms);
/* Writes what the connection has queued, as far as that goes without waiting; may close it. */
void net_flusher_flush_now(struct net_flusher *flusher, struct net_conn *conn);
/* The connection waited and its descriptor is ready now. */
void net_flusher_unblock(struct net_flusher *flusher, struct net_conn *conn);

#endif

/*
 * What a connection has still to write: references to shared bytes, oldest first.
 *
 * One message in flight needs no allocation; more live in a ring that goes when the queue is empty.
 * All zero is an empty queue. 16 bytes.
 */
#ifndef NET_QUEUE_H
#define NET_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"

struct net_queue_ring;

struct net_queue {
    union {
        struct rcbuf *one;           /* NULL: empty */
        struct net_queue_ring *ring; /* where in_ring is set */
    };
    uint32_t bytes;       /* not yet written */
    uint32_t offset : 31; /* of the first byte that is not, in the first piece */
    uint32_t in_ring : 1;
};

/* Whoever pushes keeps `bytes` below it. */
#define NET_QUEUE_BYTES_MAX ((size_t)INT32_MAX)

/* Takes a reference of its own; `bytes` must not be empty. NOMEM. */
MUST_CHECK enum err net_queue_push(struct net_queue *queue, struct rcbuf *bytes);
/* Pieces. */
size_t net_queue_count(const struct net_queue *queue);
/* Describes the queue's beginning in at most `max` parts; their number. */
int net_queue_parts(const struct net_queue *queue, struct iovec *parts, int max);
/* The first n bytes, no more than there are, have been written. */
void net_queue_advance(struct net_queue *queue, size_t n);
void net_queue_clear(struct net_queue *queue);

#endif

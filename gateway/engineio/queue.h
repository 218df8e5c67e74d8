/*
 * Packets that wait for a transport to write to: references, bounded in bytes. Empty, it owns
 * nothing.
 */
#ifndef ENGINEIO_QUEUE_H
#define ENGINEIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"

/* Zero-initialise. */
struct eio_queue {
    struct eio_queue_block *block; /* private */
};

void eio_queue_clear(struct eio_queue *queue);
/* Takes a reference of its own. LIMIT: more than `max_bytes` would wait. NOMEM. */
MUST_CHECK enum err eio_queue_push(struct eio_queue *queue, struct rcbuf *packet, size_t max_bytes);
/* The oldest, borrowed; NULL where there is none. */
struct rcbuf *eio_queue_front(const struct eio_queue *queue);
/* Drops the oldest. There must be one. */
void eio_queue_pop(struct eio_queue *queue);
bool eio_queue_empty(const struct eio_queue *queue);

#endif

/*
 * Waiting for replicas: WAIT on the connection that wrote. It speaks of all earlier writes of its
 * connection, so one at a time is on its way for everybody who waits, and what is written meanwhile
 * is covered by the next. While it lasts Redis does nothing else for this connection; therefore it
 * is short at first, and asked again.
 */
#ifndef BUS_REPLICAS_H
#define BUS_REPLICAS_H

#include <stdbool.h>
#include <stdint.h>

#include "redis/link.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/str.h"

struct bus_replicas;

/* One that waits; embedded in what was written. */
struct bus_waiter {
    struct list node;   /* private */
    unsigned wanted;    /* replicas */
    uint64_t until_ms;  /* clock_monotonic_ms() when its time is over */
    unsigned confirmed; /* replicas that have it, as far as is known */
    bool written;       /* private: Redis has answered its last write */
};

/*
 * What became of a waiter that was written: OK: enough replicas have it. AGAIN: not yet; the only
 * call after which it waits on. TIMEOUT: as AGAIN, and its time is over. DENIED: Redis refuses WAIT
 * (`refusal` is its error text, borrowed). Anything else: nobody knows. May end the waiting of
 * others, and free the replicas.
 */
typedef void (*bus_waited_fn)(struct bus_waiter *waiter, enum err err, struct str refusal);

/*
 * Borrows the link, which must bear longest_ms without an answer. NULL without memory.
 */
struct bus_replicas *bus_replicas_new(struct redis_link *link, uint64_t longest_ms,
                                      bus_waited_fn waited);
/* Nobody is told. NULL is fine. */
void bus_replicas_free(struct bus_replicas *replicas);

/* Before its first write. */
void bus_replicas_join(struct bus_replicas *replicas, struct bus_waiter *waiter);
/* Sends a WAIT behind what was sent, if anybody waits and none is on its way. */
void bus_replicas_ask(struct bus_replicas *replicas);
/*
 * Redis has answered all its writes; from now on it may be told. Not from in here: on an error it
 * has left, and nobody knows what its replicas have.
 */
MUST_CHECK enum err bus_replicas_written(struct bus_replicas *replicas, struct bus_waiter *waiter);
/* Idempotent; also for one that never joined. */
void bus_replicas_leave(struct bus_waiter *waiter);

#endif

/*
 * From "host:port" to a connected descriptor: looks the name up and tries its addresses one after
 * the other, each with its share of the time, without blocking. Embedded in its owner.
 */
#ifndef REDIS_DIAL_H
#define REDIS_DIAL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "redis/resolve.h"

/*
 * `fd` is connected and the owner's, or -1: every address failed and `why` tells about the last,
 * borrowed. Once a start, never after a cancel, possibly before redis_dial_start returns.
 */
typedef void (*redis_dial_fn)(void *context, int fd, const char *why);

struct redis_dial {
    struct loop *loop;
    struct redis_resolve *resolve; /* while looking up */
    struct addrinfo *addresses;
    struct addrinfo *next;        /* to be tried when the present one fails */
    struct event ready;           /* the look-up's or the attempt's descriptor */
    struct wheel_timer turn_over; /* the present address has had its share */
    uint64_t deadline_ms;
    int fd; /* of the present attempt, -1 without one */
    redis_dial_fn done;
    void *context;
    char why[160];
};

void redis_dial_init(struct redis_dial *dial, struct loop *loop, redis_dial_fn done, void *context);
/* `timeout_ms` is shared out among the addresses; the end of it all is the owner's to watch. */
void redis_dial_start(struct redis_dial *dial, const char *host, uint64_t port,
                      uint64_t timeout_ms);
/* Idempotent. */
void redis_dial_cancel(struct redis_dial *dial);

#endif

/*
 * Keeps pace between Redis and the clients: a burst waits with Redis, in bytes once, and not in
 * every client's queue. See docs/decisions/0006-redis-waits-for-the-pass.md.
 *
 * Clients are behind while a pass over them goes on, and for a moment while the kernel takes no
 * more for some of them. When they are so by VALVE_BYTES (and what one turn reads), Redis waits
 * until they have caught up, or the moment is over.
 */
#ifndef GATEWAY_VALVE_H
#define GATEWAY_VALVE_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/subscriber.h"
#include "loop/loop.h"
#include "net/server.h"

enum {
    VALVE_BYTES = 256 * 1024,
    VALVE_GRACE_MS = 100, /* so long Redis waits at most for clients that the kernel waits for */
};

struct valve {
    struct loop *loop;
    struct net_server *net;
    struct bus_subscriber *subscriber;
    uint64_t caught_up; /* so many bytes from Redis are behind everybody */
    uint64_t last_end;  /* bytes that had been read when the last pass ended */
    bool closed;
    struct wheel_timer grace; /* set when it closes */
};

/* Borrows all for its lifetime. */
void valve_open(struct valve *valve, struct loop *loop, struct net_server *net,
                struct bus_subscriber *subscriber);
/* Before the net server goes. One that was never opened, all zero, is fine. */
void valve_fini(struct valve *valve);

#endif

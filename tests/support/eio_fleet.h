/*
 * Three Engine.IO servers on one loop and one clock that stands still until the test moves it, and
 * a Redis over which they share their sessions.
 */
#ifndef SUPPORT_EIO_FLEET_H
#define SUPPORT_EIO_FLEET_H

#include "bus/control.h"
#include "bus/subscriber.h"
#include "eio_world.h"
#include "engineio/fleet.h"
#include "redis_server.h"

enum { FLEET_SIZE = 3 };

struct fleet_gateway {
    struct world world;
    struct bus_subscriber_options bus;
    struct bus_subscriber *subscriber;
    struct bus_listener listener;
    unsigned heard;
    bool gone;
};

struct fleet {
    struct redis_server redis;
    struct redis_link_options redis_options;
    struct eio_fleet_options options; /* settings before fleet_open count, as do the worlds' */
    struct fleet_gateway gateways[FLEET_SIZE];
};

/* One Redis for all tests of a program. */
void fleet_start(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);

/* Calm heartbeats; requests for other gateways have 500 ms. */
void fleet_init(struct fleet *fleet);
void fleet_open(struct fleet *fleet);
void fleet_close(struct fleet *fleet);

/* A gateway that ends: no word of it reaches Redis any more, and its connections end. */
void fleet_lose(struct fleet *fleet, unsigned gateway);

/* All that the gateways have to say to each other without time passing has been said and heard. */
void fleet_settle(struct fleet *fleet);
/* That, and a look at a world's log, which is emptied. */
void fleet_expect(struct fleet *fleet, unsigned gateway, const char *log);
/* The clock, in small steps. */
void fleet_advance(struct fleet *fleet, unsigned ms);
const struct eio_fleet_stats *fleet_stats(const struct fleet *fleet, unsigned gateway);

/* All gateways notice that Redis is away, or back. */
void fleet_await_loss(struct fleet *fleet);
void fleet_await_redis(struct fleet *fleet);

/* Turns the loop until something holds; real time passes, the clock does not. */
#define FLEET_AWAIT(fleet, condition)                                                              \
    do {                                                                                           \
        for (int turns = 0; !(condition); turns++) {                                               \
            if (turns > 10000) {                                                                   \
                fail_msg("still not: %s", #condition);                                             \
            }                                                                                      \
            assert_int_equal(loop_turn((fleet)->gateways[0].world.loop, 1), OK);                   \
        }                                                                                          \
    } while (0)

#endif

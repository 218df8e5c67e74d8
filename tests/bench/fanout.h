/*
 * Publishes events to the room that the whole fleet is subscribed to, and counts what arrives:
 * every client must get every event once and in order.
 *
 * In flight is an event that some client still lacks. Either a fixed number of them is kept in
 * flight (closed loop: the next is published as soon as the oldest has reached everybody), or one
 * is due every so often, whatever became of those before.
 */
#ifndef BENCH_FANOUT_H
#define BENCH_FANOUT_H

#include <stdint.h>

#include "fleet.h"
#include "histogram.h"
#include "publisher.h"
#include "util/attr.h"
#include "util/err.h"

enum { FANOUT_WINDOW_MAX = 1024 };

struct fanout_plan {
    uint32_t events;      /* to publish */
    uint32_t in_flight;   /* 1 to FANOUT_WINDOW_MAX, kept so; 0 with a pace */
    uint64_t interval_us; /* between two events of a pace; 0 without */
    uint64_t publish_us;  /* no event is published later than this after the beginning */
    uint64_t patience_us; /* ends the work when nothing has arrived for so long */
};

struct fanout_result {
    uint32_t published;
    uint64_t delivered; /* each event counts once a client */
    uint64_t expected;
    uint64_t lost;            /* never came, or came out of order */
    uint64_t duplicates;      /* came again, or came late */
    uint64_t malformed;       /* not what was published */
    uint64_t elapsed_us;      /* from the first event published to the last delivery */
    struct histogram latency; /* from when an event was due to when a client had read it */
};

struct fanout {
    struct fleet *fleet; /* private from here on */
    struct publisher *publisher;
    const char *market;
    uint32_t published; /* sequence numbers of the events, over the whole life */
    uint32_t completed; /* all events up to this one have reached everybody */
    uint64_t progress_us;
    struct {
        uint64_t due_us;
        uint32_t missing; /* clients that lack it */
    } window[FANOUT_WINDOW_MAX];
    struct fanout_result result;
};

/* Borrows all three, and takes the fleet's callbacks. */
void fanout_init(struct fanout *fanout, struct fleet *fleet, struct publisher *publisher,
                 const char *market);
/* Runs one plan with the clients that are subscribed now; the result is fanout->result. PROTO, IO.
 */
MUST_CHECK enum err fanout_run(struct fanout *fanout, const struct fanout_plan *plan);

#endif

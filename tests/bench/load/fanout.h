/*
 * Publishes events to the fleet's rooms in turn, and counts what arrives: every client must get
 * every event of its rooms once and in order. Which clients are in which: fleet.h.
 *
 * In flight is an event that some client still lacks. Either a fixed number of them is kept in
 * flight (closed loop: the next is published as soon as the oldest has reached everybody), or one
 * is due every so often, whatever became of those before.
 */
#ifndef BENCH_FANOUT_H
#define BENCH_FANOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "fleet.h"
#include "publisher.h"
#include "shared/histogram.h"
#include "util/attr.h"
#include "util/err.h"

enum { FANOUT_WINDOW_MAX = 1024 };

struct fanout_plan {
    uint32_t events;      /* to publish */
    uint32_t in_flight;   /* 1 to FANOUT_WINDOW_MAX, kept so; 0 with a pace */
    uint64_t interval_us; /* between two events of a pace; 0 without */
    uint64_t publish_us;  /* no event is published later than this after the beginning */
    uint64_t patience_us; /* ends the work when nothing has arrived for so long */
    bool keep;            /* in the rooms' logs too, where the publisher has the script */
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
    enum event_form form;
    unsigned groups;    /* of clients with the same rooms */
    uint32_t *members;  /* of each group, as the events expect them */
    uint32_t published; /* sequence numbers of the events, over the whole life */
    uint32_t completed; /* all events up to this one have reached everybody */
    uint64_t progress_us;
    struct {
        uint64_t due_us;
        uint32_t missing; /* clients that lack it */
    } window[FANOUT_WINDOW_MAX];
    struct fanout_result result;
};

/* Borrows both, and takes the fleet's callbacks. NOMEM. */
MUST_CHECK enum err fanout_init(struct fanout *fanout, struct fleet *fleet,
                                struct publisher *publisher, enum event_form form);
void fanout_fini(struct fanout *fanout);
/* Runs one plan with the clients that are subscribed now; the result is fanout->result. PROTO, IO.
 */
MUST_CHECK enum err fanout_run(struct fanout *fanout, const struct fanout_plan *plan);

/* The same by steps, for clients that are not there while it is published, but ought to get it. */
void fanout_begin(struct fanout *fanout);
/* Publishes `count` events at once. NOMEM, IO. */
MUST_CHECK enum err fanout_publish(struct fanout *fanout, uint32_t count, bool keep);
bool fanout_has_arrived(const struct fanout *fanout);
/* What has not arrived by now is lost. */
void fanout_end(struct fanout *fanout);

#endif

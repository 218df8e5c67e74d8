/*
 * The one way into Redis for events that are kept: the publish script, atomically one event into
 * the logs and channels of its rooms. Keys, arguments and reply: docs/protocol.md.
 */
#ifndef BUS_PUBLISH_H
#define BUS_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/history.h"
#include "bus/keys.h"
#include "redis/link.h"
#include "schema/room.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct bus_publish_options {
    struct bus_keys keys;
    struct bus_history history[ROOM_KINDS];
    unsigned once_seconds; /* how long an idempotency key is remembered */
    uint64_t wait_max_ms;  /* one WAIT for replicas: less than what the link takes for its end */
};

/* What Redis answered. */
struct bus_published {
    uint64_t id; /* the event's; with an idempotency key seen before, the first one's */
    uint64_t
        receivers; /* gateways that were subscribed, summed over the rooms; 0 for a duplicate */
    bool duplicate;
    unsigned replicas; /* that have it too, as far as they were asked */
};

/*
 * Called for each bus_publish, once with its last word. OK with what Redis stored, or IO/CLOSED: it
 * is unknown whether the event was stored; DENIED: Redis refused (`refusal` is its error text,
 * borrowed).
 *
 * Where replicas are waited for, AGAIN comes before, maybe several times: the primary has stored it
 * and `published->replicas` of them so far. From that call the bus may not be called or freed.
 * TIMEOUT is a last word: the same, and there is no time left. DENIED after an AGAIN: the primary
 * has stored it, but refuses WAIT.
 */
typedef void (*bus_published_fn)(void *context, enum err err, const struct bus_published *published,
                                 struct str refusal);

struct bus_publisher;

/* Borrows link and options. NULL without memory. */
struct bus_publisher *bus_publisher_new(struct redis_link *link,
                                        const struct bus_publish_options *options);
/* What is waiting gets CLOSED. NULL is fine. */
void bus_publisher_free(struct bus_publisher *publisher);

struct bus_event {
    struct str name;
    const struct room_name *rooms; /* canonical names in the order of delivery */
    unsigned room_count;
    struct str payload;
    struct str once;   /* idempotency key; empty: none */
    unsigned replicas; /* that are to have it before it counts as stored; 0: none */
    uint64_t until_ms; /* with replicas: clock_monotonic_ms() when there is no time left */
};

/*
 * Sends one event; copies what it needs. On an error no callback comes. CLOSED: not connected.
 * LIMIT: too much is waiting for answers, or too large.
 */
MUST_CHECK enum err bus_publish(struct bus_publisher *publisher, const struct bus_event *event,
                                bus_published_fn done, void *context);

#endif

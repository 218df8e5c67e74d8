/*
 * Reading what Redis keeps of a room, and how far that can be trusted.
 *
 * A page is one answer of read.lua. Whoever reads past an id repeats the question past the page's
 * last while `more` is set.
 */
#ifndef BUS_LOG_H
#define BUS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/envelope.h"
#include "bus/history.h"
#include "bus/keys.h"
#include "bus/store.h"
#include "util/attr.h"
#include "util/str.h"

struct redisReply;

enum { BUS_LOG_PAGE_BYTES = 4 * 1024 * 1024 };

struct bus_log_page {
    uint64_t clock;  /* last id of the partition at that moment; 0: none yet */
    uint64_t now_us; /* Redis' time at that moment, microseconds since 1970 */
    uint64_t newest; /* id of the log's newest entry; 0: the log is empty */
    size_t count;    /* entries, oldest first */
    uint64_t last;   /* largest id of these, and of what somebody else wrote between; 0: none */
    bool more;       /* the log holds newer ones than these: past `last` */
    const struct redisReply *reply; /* private */
};

struct bus_log_query;

/* Once for each asking. NULL for the page: Redis refused, or answered something else than it
 * should. */
typedef void (*bus_log_fn)(struct bus_log_query *query, const struct bus_log_page *page);

/* Embedded in whoever asks, and there until it is answered or cancelled. */
struct bus_log_query {
    struct bus_request *request; /* private: NULL while nothing is asked */
    bus_log_fn done;
};

struct bus_log_read {
    struct str room; /* empty: the clock of `partition` alone is asked for */
    unsigned partition;
    uint64_t since; /* entries with a larger id */
    unsigned most;  /* of them the newest; 0: all */
};

/* `done` never comes from inside. NOMEM. */
MUST_CHECK enum err bus_log_ask(struct bus_store *store, const struct bus_keys *keys,
                                const struct bus_log_read *read, bus_log_fn done,
                                struct bus_log_query *query);
/* Idempotent. */
void bus_log_cancel(struct bus_log_query *query);

/* The i-th entry as it was published; borrowed as the page is. */
struct str bus_log_entry(const struct bus_log_page *page, size_t i);
/* The same, taken apart. PROTO, LIMIT: somebody else wrote it. */
MUST_CHECK enum err bus_log_envelope(const struct bus_log_page *page, size_t i,
                                     struct bus_envelope *ret_envelope);

/* What a reader knows of a room before it reads. */
struct bus_log_position {
    uint64_t since; /* id of the last event that it has */
    uint64_t as_of; /* microseconds since 1970 by Redis' clock: until then nothing was missed */
};

/*
 * Whether nothing between the position and the first page's entries is missing: the log reaches
 * back, or is younger than what it forgets by age. A room of which nothing is kept promises
 * nothing, and misses nothing therefore.
 */
bool bus_log_reaches(const struct bus_log_page *page, struct bus_log_position position,
                     struct bus_history history);

#endif

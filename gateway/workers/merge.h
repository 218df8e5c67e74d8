/*
 * One answer out of those of all workers.
 */
#ifndef WORKERS_MERGE_H
#define WORKERS_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* What worker i of an array has said. */
struct merge_part {
    const char *why_not; /* it has said nothing: why, as a phrase; else NULL */
    unsigned status;     /* of its answer, as in HTTP */
    struct str body;     /* as ops/answer.h has it */
    uint64_t restarts;   /* of the worker, since the supervisor began */
};

/* All append. NOMEM, LIMIT. */

/* {"status":"ok","workers":…,"workersUp":…}, whatever the workers have said. */
MUST_CHECK enum err merge_health(const struct merge_part *parts, size_t count, struct buf *out);
/*
 * {"status":"ready","workers":…} where all are, else {"status":"not ready","why":"worker 1: …"};
 * says which of the two.
 */
MUST_CHECK enum err merge_readiness(const struct merge_part *parts, size_t count, bool *ret_ready,
                                    struct buf *out);
/*
 * The numbers of all, each with the label worker="i", every family once; then those of the table
 * in workers/metrics.def.
 */
MUST_CHECK enum err merge_metrics(const struct merge_part *parts, size_t count, struct buf *out);
/*
 * {"connectedClients":…,"activeRooms":[…],"roomCount":…,"workers":…,"workersUp":…,"timestamp":"…"}:
 * clients added up, rooms each once. A worker's rooms beyond OPS_ROOMS_LISTED_MAX have no names and
 * are added up.
 */
MUST_CHECK enum err merge_stats(const struct merge_part *parts, size_t count, struct buf *out);

/* How many have said something. */
size_t merge_up(const struct merge_part *parts, size_t count);

#endif

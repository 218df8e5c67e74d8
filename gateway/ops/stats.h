/* The statistics of GET /stats, as JSON. */
#ifndef OPS_STATS_H
#define OPS_STATS_H

#include "app/app.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/* activeRooms lists no more names than this; roomCount counts them all. */
enum { OPS_ROOMS_LISTED_MAX = 10000 };

/*
 * Appends {"connectedClients":…,"activeRooms":[…],"roomCount":…,"timestamp":"…"}. NOMEM, LIMIT.
 */
MUST_CHECK enum err ops_stats_write(const struct app *app, struct buf *out);

#endif

/* Whether the process lives, and whether it delivers: the answers of GET /healthz and /readyz. */
#ifndef OPS_HEALTH_H
#define OPS_HEALTH_H

#include <stdbool.h>

#include "ops/server.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/* Appends {"status":"ok","redis":…,"probeAgeMs":…,"sessions":…}. NOMEM, LIMIT. */
MUST_CHECK enum err ops_health_write(const struct ops_sources *sources, struct buf *out);

/*
 * Appends {"status":"ready","probeAgeMs":…} or {"status":"not ready","why":"…"}, and says which of
 * the two. NOMEM, LIMIT.
 */
MUST_CHECK enum err ops_readiness_write(const struct ops_sources *sources, bool *ret_ready,
                                        struct buf *out);

#endif

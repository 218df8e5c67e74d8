/* The metrics of GET /metrics, in the text format of Prometheus; their table: ops/metrics.def. */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include "ops/server.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/* Appends all of them as they are now. NOMEM, LIMIT. */
MUST_CHECK enum err ops_metrics_write(const struct ops_sources *sources, struct buf *out);

#endif

/* Points in time as an operator writes them. */
#ifndef PUBLISHER_CLI_WHEN_H
#define PUBLISHER_CLI_WHEN_H

#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

/* For complaints and help. */
#define WHEN_FORMS                                                                                 \
    "now, -2h (s, m, h, d), seconds since 1970, or a date and time like 2025-01-16T10:00:00Z"

/*
 * Seconds since 1970, a fraction cut off: "now"; "-2h", "+90s" and "1d" from now_s; digits alone;
 * a date and time with a zone (schema/iso8601.h). INVALID for anything else and for what is before
 * 1970.
 */
MUST_CHECK enum err when_parse(struct str text, int64_t now_s, int64_t *ret_s);

#endif

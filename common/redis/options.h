/* What no single row of redis/options.def can check. */
#ifndef REDIS_OPTIONS_H
#define REDIS_OPTIONS_H

#include "redis/link.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/*
 * INVALID: *complaint is one sentence that names the settings and says what would be right. Every
 * program with these rows calls it before it makes a link.
 */
MUST_CHECK enum err redis_options_check(const struct redis_link_options *options,
                                        struct buf *complaint);

#endif

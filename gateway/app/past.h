/* What a client asks for of a room's past when it subscribes, and how it is told. */
#ifndef APP_PAST_H
#define APP_PAST_H

#include <stdint.h>

#include "app/join.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum { APP_PAST_BYTES_MAX = 1024 * 1024 }; /* of the events in one answer, or one event */

/*
 * Into the join: the values of `since` and `last` as JSON text, empty where there are none; of the
 * last no more than `most` are wanted. NULL, or what is wrong with the wish.
 */
const char *app_past_read(struct str since, struct str last, uint64_t most, struct app_join *join);

/*
 * Appends `,"events":[{"id":…,"event":…,"payload":…},…],"complete":…` for a join that has just
 * ended. LIMIT, NOMEM.
 */
MUST_CHECK enum err app_past_write(const struct app_join *join, struct buf *out);

#endif

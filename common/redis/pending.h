/* The callbacks of commands without an answer yet, in the order of sending: a growing ring with a
 * cap. */
#ifndef REDIS_PENDING_H
#define REDIS_PENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "redis/link.h"
#include "util/attr.h"
#include "util/err.h"

enum { REDIS_PENDING_MAX = 1 << 17 };

struct redis_waiter {
    redis_reply_fn reply;
    void *context;
};

struct redis_pending {
    struct redis_waiter *ring;
    size_t cap;   /* a power of two, or 0 */
    size_t first; /* index of the oldest */
    size_t count;
};

void redis_pending_fini(struct redis_pending *pending);
/* Room for one more. LIMIT, NOMEM. */
MUST_CHECK enum err redis_pending_reserve(struct redis_pending *pending);
/* The room must have been reserved. */
void redis_pending_push(struct redis_pending *pending, redis_reply_fn reply, void *context);
/* The oldest, taken off; false when there is none. */
bool redis_pending_pop(struct redis_pending *pending, struct redis_waiter *ret_waiter);

#endif

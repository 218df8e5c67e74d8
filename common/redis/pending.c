#include "redis/pending.h"

#include <stdlib.h>

enum { SMALLEST = 16 };

void redis_pending_fini(struct redis_pending *pending)
{
    free(pending->ring);
    *pending = (struct redis_pending){0};
}

static enum err grow(struct redis_pending *pending)
{
    size_t cap = pending->cap ? pending->cap * 2 : SMALLEST;
    struct redis_waiter *ring = malloc(cap * sizeof *ring);
    if (!ring) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < pending->count; i++) {
        ring[i] = pending->ring[(pending->first + i) & (pending->cap - 1)];
    }
    free(pending->ring);
    pending->ring = ring;
    pending->cap = cap;
    pending->first = 0;
    return OK;
}

enum err redis_pending_reserve(struct redis_pending *pending)
{
    if (pending->count >= REDIS_PENDING_MAX) {
        return ERR_LIMIT;
    }
    return pending->count < pending->cap ? OK : grow(pending);
}

void redis_pending_push(struct redis_pending *pending, redis_reply_fn reply, void *context)
{
    size_t at = (pending->first + pending->count++) & (pending->cap - 1);
    pending->ring[at] = (struct redis_waiter){reply, context};
}

bool redis_pending_pop(struct redis_pending *pending, struct redis_waiter *ret_waiter)
{
    if (pending->count == 0) {
        return false;
    }
    *ret_waiter = pending->ring[pending->first];
    pending->first = (pending->first + 1) & (pending->cap - 1);
    pending->count--;
    return true;
}

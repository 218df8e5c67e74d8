/*
 * Hears from one sentinel of another primary ("+switch-master"), sooner than its loss would tell.
 *
 * A hint only: it may come late, twice or never. When the sentinel is lost, the next one is tried,
 * with the link's backoff and without a word to anybody. Embedded in its owner.
 */
#ifndef REDIS_SWITCH_WATCH_H
#define REDIS_SWITCH_WATCH_H

#include <stddef.h>

#include "loop/loop.h"
#include "redis/endpoint.h"
#include "redis/link.h"

/* Says who said so and where the primary is, borrowed. May finish the watch. */
typedef void (*redis_switched_fn)(void *context, size_t sentinel,
                                  const struct redis_endpoint *primary);

struct redis_switch_watch {
    struct loop *loop;
    const struct redis_link_options *redis;
    const struct redis_endpoint *sentinels;
    size_t count;
    size_t at; /* the one that is listened to */
    redis_switched_fn switched;
    void *context;
    struct redis_link *link; /* NULL: not started */
    struct redis_link_options options;
};

/* Borrows all of it. */
void redis_switch_watch_init(struct redis_switch_watch *watch, struct loop *loop,
                             const struct redis_link_options *redis,
                             const struct redis_endpoint *sentinels, size_t count,
                             redis_switched_fn switched, void *context);
/* Begins with that sentinel. Idempotent; without memory nothing happens, as if no hint came. */
void redis_switch_watch_start(struct redis_switch_watch *watch, size_t sentinel);
/* Idempotent. */
void redis_switch_watch_stop(struct redis_switch_watch *watch);

#endif

/*
 * Where the primary is. Without Sentinel that is a setting. With it, the sentinels are asked one
 * after the other until one names an address, beginning with the one that did so last; whether the
 * server there is a primary indeed is for its ROLE to say. Embedded in its owner.
 */
#ifndef REDIS_TOPOLOGY_H
#define REDIS_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "redis/endpoint.h"
#include "redis/link.h"
#include "redis/sentinel.h"
#include "redis/switch_watch.h"
#include "util/err.h"

enum { REDIS_TOPOLOGY_WHY_MAX = 480 };

struct redis_topology_ops {
    /*
     * OK: topology->primary is where to connect. IO: nobody told, and `why` is what each sentinel
     * said, borrowed. INVALID, NOMEM. Once a locate, never after a cancel, possibly before
     * redis_topology_locate returns.
     */
    void (*on_located)(void *owner, enum err err, const char *why);
    /* A hint: a sentinel has just announced this primary, borrowed. May finish the topology. */
    void (*on_switched)(void *owner, const struct redis_endpoint *primary);
};

struct redis_topology {
    struct loop *loop;
    const struct redis_link_options *options;
    const struct redis_topology_ops *ops;
    void *owner;
    struct redis_endpoint primary; /* the last that was located */
    struct redis_endpoint sentinels[REDIS_SENTINELS_MAX];
    size_t count;
    size_t first;                /* the sentinel to be asked first */
    bool hinted;                 /* `first` has announced a primary since the last was located */
    size_t asked;                /* how many were asked for this locate, without an address */
    uint64_t share_ms;           /* the time that each gets */
    struct wheel_timer patience; /* with the one that is being asked */
    struct redis_link *link;     /* to it; NULL: none is asked */
    struct redis_link_options link_options;
    struct redis_switch_watch watch;
    size_t why_len;
    char why[REDIS_TOPOLOGY_WHY_MAX];
};

/* Borrows all of it. */
void redis_topology_init(struct redis_topology *topology, struct loop *loop,
                         const struct redis_link_options *options,
                         const struct redis_topology_ops *ops, void *owner);
/* Stops everything. Idempotent. */
void redis_topology_fini(struct redis_topology *topology);

/* `timeout_ms` is shared out among the sentinels and the connection that follows. */
void redis_topology_locate(struct redis_topology *topology, uint64_t timeout_ms);
/* Idempotent. Hints still come. */
void redis_topology_cancel(struct redis_topology *topology);
/* Hints are wanted from now on. Idempotent. */
void redis_topology_watch(struct redis_topology *topology);
/* What it located last was of no use: the next sentinel is asked first. */
void redis_topology_distrust(struct redis_topology *topology);
/* Whether the primary may move. */
static inline bool redis_topology_moves(const struct redis_topology *topology)
{
    return topology->options->sentinels != NULL;
}

#endif

/*
 * The registry: every gateway keeps an entry of itself in Redis, which is gone soon after it ends
 * in whatever way. A set says which gateways there were a minute ago, so that nobody has to search
 * for keys. See docs/fleet.md.
 */
#ifndef BUS_REGISTRY_H
#define BUS_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/keys.h"
#include "bus/store.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum {
    BUS_GATEWAY_ID_MAX = 32,
    BUS_HOST_MAX = 64,
    BUS_VERSION_MAX = 32,
    BUS_REGISTERED_MAX = 10000, /* gateways in one reading */
    BUS_BEATS_MISSED = 5,       /* an entry lasts for as many as these */
};

/* What a gateway says of itself; texts are terminated. */
struct bus_gateway {
    char id[BUS_GATEWAY_ID_MAX + 1], host[BUS_HOST_MAX + 1], version[BUS_VERSION_MAX + 1];
    uint64_t pid, worker;         /* worker: its index under a supervisor, else 0 */
    uint64_t started_ms, time_ms; /* since 1970, by its own clock: its start, and this entry */
    uint64_t port, ops_port;
    uint64_t polling, websocket, max_connections; /* Engine.IO sessions */
    uint64_t clients, rooms;
    uint64_t deliveries, received; /* since its start: events to clients, messages from Redis */
    uint64_t queue_bytes;          /* that wait for its clients */
    uint64_t lag_ms;       /* how old the newest event was when it was handed on; 0: none lately */
    uint64_t probe_age_ms; /* since a probe came back; UINT64_MAX: none did yet */
    uint64_t ping_interval_ms, ping_timeout_ms;
    bool draining, ready;
};

/* Appends the entry, a JSON object. NOMEM, LIMIT. */
MUST_CHECK enum err bus_gateway_write(const struct bus_gateway *gateway, struct buf *out);
/*
 * What is not there is 0, and what is not known is passed over: gateways of several versions share
 * one registry. PROTO: not an entry, or a value of the wrong kind.
 */
MUST_CHECK enum err bus_gateway_parse(struct str text, struct bus_gateway *ret_gateway);

/* --- For gateways; as bus_store_ask, each --- */

/* Writes the entry, to be gone after `ttl_ms` where it is not written again. */
struct bus_request *bus_registry_write(struct bus_store *store, const struct bus_keys *keys,
                                       const struct bus_gateway *gateway, uint64_t ttl_ms,
                                       bus_answer_fn done, void *context);
/* The gateway ends. */
void bus_registry_remove(struct bus_store *store, const struct bus_keys *keys, struct str id);

/* --- For whoever looks at the fleet --- */

struct bus_registered {
    uint64_t seen_ms; /* its last entry, by Redis' clock, since 1970 */
    bool alive;       /* false: the entry is gone, or cannot be read; only the id is known */
    struct bus_gateway gateway; /* as it said of itself */
};

struct bus_registry_read;

/*
 * The gateways, the one heard of longest ago in front; borrowed until return. DENIED: Redis
 * refused, which the store's on_refused was told. NOMEM. LIMIT: more than BUS_REGISTERED_MAX.
 */
typedef void (*bus_registry_fn)(void *context, enum err err, const struct bus_registered *gateways,
                                size_t count);
/* Asks for all gateways; `done` comes once, later. NULL without memory. */
struct bus_registry_read *bus_registry_read(struct bus_store *store, const struct bus_keys *keys,
                                            bus_registry_fn done, void *context);
/* `done` does not come. Not after it came, nor after the store is gone. NULL is fine. */
void bus_registry_cancel(struct bus_registry_read *read);

#endif

/*
 * Intrusive hash map keyed by bytes, with a secret seed per process so that a stranger cannot
 * choose colliding keys. An entry embeds a map_node and owns its key; the map allocates its table
 * only.
 */
#ifndef UTIL_MAP_H
#define UTIL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct map_node {
    struct map_node *next; /* private: chain of the bucket */
    uint64_t hash;         /* private */
};

/* The key of the entry that embeds `node`; must not change while the entry is in the map. */
typedef struct str (*map_key_fn)(const struct map_node *node);

struct map {
    struct map_node **buckets; /* private: NULL until the first entry */
    size_t mask;               /* private: number of buckets - 1 */
    size_t count;              /* entries */
    map_key_fn key_of;
};

void map_init(struct map *map, map_key_fn key_of);
/* Releases the table; the entries are their owners' business. */
void map_fini(struct map *map);

/* NULL where there is none. */
struct map_node *map_find(const struct map *map, struct str key);
/* The key must not be in the map yet. NOMEM only when the very first table can't be had. */
MUST_CHECK enum err map_insert(struct map *map, struct map_node *node);
void map_remove(struct map *map, struct map_node *node);

/*
 * Walks all entries in no order: start with NULL, stop at NULL. The map must not change meanwhile,
 * except that the entry returned last may be removed when the next one was fetched before.
 */
struct map_node *map_next(const struct map *map, const struct map_node *node);

/* SipHash-1-3 of the bytes under the process' secret seed. */
uint64_t map_hash(struct str key);

#endif

#include "util/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/rand.h"

enum {
    FIRST_BUCKETS = 16,
    FULL = 2, /* entries a bucket, when the table grows: 4 to 8 bytes each */
};

/* SipHash (Aumasson, Bernstein 2012) with one compression and three finalisation rounds. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static uint64_t seed[2];

static void make_seed(void)
{
    rand_bytes(seed, sizeof seed);
}

static const uint64_t *process_seed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_seed);
    return seed;
}

uint64_t map_hash(struct str key)
{
    const uint64_t *key_words = process_seed();
    struct sip s = {key_words[0] ^ 0x736f6d6570736575, key_words[1] ^ 0x646f72616e646f6d,
                    key_words[0] ^ 0x6c7967656e657261, key_words[1] ^ 0x7465646279746573};
    size_t whole = key.len / 8 * 8;
    uint64_t word;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, key.ptr + i, 8);
        sip_word(&s, word);
    }
    word = (uint64_t)key.len << 56;
    for (size_t i = whole; i < key.len; i++) {
        word |= (uint64_t)(unsigned char)key.ptr[i] << (8 * (i - whole));
    }
    sip_word(&s, word);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(&s);
    }
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void map_init(struct map *map, map_key_fn key_of)
{
    *map = (struct map){.key_of = key_of};
}

void map_fini(struct map *map)
{
    free(map->buckets);
    map_init(map, map->key_of);
}

struct map_node *map_find(const struct map *map, struct str key)
{
    if (map->count == 0) {
        return NULL;
    }
    uint64_t hash = map_hash(key);
    struct map_node *node = map->buckets[hash & map->mask];
    while (node && !(node->hash == hash && str_eq(map->key_of(node), key))) {
        node = node->next;
    }
    return node;
}

static void link_node(struct map *map, struct map_node *node)
{
    struct map_node **bucket = &map->buckets[node->hash & map->mask];
    node->next = *bucket;
    *bucket = node;
}

static enum err resize(struct map *map, size_t buckets)
{
    struct map_node **table = calloc(buckets, sizeof(struct map_node *));
    if (!table) {
        return ERR_NOMEM;
    }
    struct map old = *map;
    map->buckets = table;
    map->mask = buckets - 1;
    for (size_t i = 0; old.buckets && i <= old.mask; i++) {
        for (struct map_node *node = old.buckets[i], *next; node; node = next) {
            next = node->next;
            link_node(map, node);
        }
    }
    free(old.buckets);
    return OK;
}

enum err map_insert(struct map *map, struct map_node *node)
{
    if (!map->buckets) {
        enum err err = resize(map, FIRST_BUCKETS);
        if (err) {
            return err;
        }
    } else if (map->count >= FULL * (map->mask + 1) && resize(map, (map->mask + 1) * 2)) {
        /* Longer chains until memory is back: slower, not wrong. */
    }
    node->hash = map_hash(map->key_of(node));
    link_node(map, node);
    map->count++;
    return OK;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **at = &map->buckets[node->hash & map->mask];
    while (*at != node) {
        at = &(*at)->next;
    }
    *at = node->next;
    map->count--;
}

struct map_node *map_next(const struct map *map, const struct map_node *node)
{
    if (!map->buckets) {
        return NULL;
    }
    if (node && node->next) {
        return node->next;
    }
    for (size_t i = node ? (node->hash & map->mask) + 1 : 0; i <= map->mask; i++) {
        if (map->buckets[i]) {
            return map->buckets[i];
        }
    }
    return NULL;
}

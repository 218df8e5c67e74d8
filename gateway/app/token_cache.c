#include "app/token_cache.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASH_LEN = 16, /* of SHA-256's 32: nobody finds another token with the same 128 bits */
    /* Large, so that the allocator gives it back to the system, not as holes among the clients. */
    BLOCK_BYTES = 262144,
};

/* A token that was good; the sub and the address are the names of its user's rooms without
 * "user:". */
struct entry {
    struct map_node by_hash;
    unsigned char hash[HASH_LEN];
    int64_t expires_s, not_before_s;
    uint64_t token_id;
    uint32_t issued_s;
    uint8_t sub_len, address_len;
    char user[]; /* sub, then address; not terminated */
};

_Static_assert(sizeof(struct app_identity) ==
                   2 * sizeof(struct room_name) + 2 * sizeof(int64_t) + 2 * sizeof(uint64_t),
               "an identity has something that an entry does not keep");

struct app_token_block {
    struct app_token_block *next;
    size_t used;
    char bytes[];
};

enum { BLOCK_ROOM = BLOCK_BYTES - sizeof(struct app_token_block) };

static struct str hash_of(const struct map_node *node)
{
    const struct entry *entry = container_of(node, struct entry, by_hash);
    return str_range((const char *)entry->hash, HASH_LEN);
}

/* --- Generations --- */

static void tokens_init(struct app_tokens *tokens)
{
    map_init(&tokens->by_hash, hash_of);
    tokens->blocks = NULL;
}

static void tokens_drop(struct app_tokens *tokens)
{
    map_fini(&tokens->by_hash);
    for (struct app_token_block *block; (block = tokens->blocks);) {
        tokens->blocks = block->next;
        free(block);
    }
}

/* Memory that goes with the generation; NULL without. */
static void *tokens_alloc(struct app_tokens *tokens, size_t len)
{
    struct app_token_block *block = tokens->blocks;
    len = (len + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    if (!block || block->used + len > BLOCK_ROOM) {
        block = malloc(BLOCK_BYTES);
        if (!block) {
            return NULL;
        }
        block->next = tokens->blocks;
        block->used = 0;
        tokens->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += len;
    return memory;
}

static void grow_old(struct app_token_cache *cache)
{
    tokens_drop(&cache->old);
    cache->old = cache->young;
    tokens_init(&cache->young);
    if (cache->old.by_hash.count > 0) {
        loop_timer_set(cache->loop, &cache->timer, cache->ttl_ms / 2);
    }
}

static void on_timer(struct wheel_timer *timer)
{
    grow_old(container_of(timer, struct app_token_cache, timer));
}

/* --- Entries --- */

static struct entry *find(const struct app_token_cache *cache, const unsigned char *hash)
{
    struct str key = str_range((const char *)hash, HASH_LEN);
    struct map_node *node = map_find(&cache->young.by_hash, key);
    node = node ? node : map_find(&cache->old.by_hash, key);
    return node ? container_of(node, struct entry, by_hash) : NULL;
}

/* Without memory it is not kept, which costs a verification. */
static void keep(struct app_token_cache *cache, const unsigned char *hash,
                 const struct app_identity *identity)
{
    struct str sub = app_identity_sub(identity);
    bool has_address = identity->address_room.len > 0;
    struct str address = has_address ? room_name_id(&identity->address_room) : STR("");
    if (cache->young.by_hash.count >= (cache->most + 1) / 2) {
        grow_old(cache);
    }
    struct entry *entry = tokens_alloc(&cache->young, sizeof *entry + sub.len + address.len);
    if (!entry) {
        return;
    }
    entry->expires_s = identity->expires_s;
    entry->not_before_s = identity->not_before_s;
    entry->token_id = identity->token_id;
    entry->issued_s = identity->issued_s;
    entry->sub_len = (uint8_t)sub.len;
    entry->address_len = (uint8_t)address.len;
    memcpy(entry->hash, hash, HASH_LEN);
    memcpy(entry->user, sub.ptr, sub.len);
    memcpy(entry->user + sub.len, address.ptr, address.len);
    if (!map_insert(&cache->young.by_hash, &entry->by_hash) && !wheel_timer_is_set(&cache->timer)) {
        loop_timer_set(cache->loop, &cache->timer, cache->ttl_ms / 2);
    }
}

/* INVALID can not be: both have named rooms before. */
static enum err read(const struct entry *entry, struct app_identity *ret_identity)
{
    struct str sub = str_range(entry->user, entry->sub_len);
    struct str address = str_range(entry->user + entry->sub_len, entry->address_len);
    *ret_identity = (struct app_identity){.expires_s = entry->expires_s,
                                          .not_before_s = entry->not_before_s,
                                          .issued_s = entry->issued_s,
                                          .token_id = entry->token_id};
    enum err err = room_name_make(ROOM_USER, sub, &ret_identity->sub_room);
    if (!err && address.len > 0) {
        err = room_name_make(ROOM_USER, address, &ret_identity->address_room);
    }
    return err;
}

/* --- The cache --- */

static enum err check_known(const struct entry *entry, const struct app_auth_options *options,
                            int64_t now_s, struct app_identity *ret_identity, const char **ret_why)
{
    struct app_identity identity;
    enum err err = read(entry, &identity);
    const char *why = err ? "not readable" : app_auth_check_dates(options, &identity, now_s);
    if (why) {
        *ret_why = why;
        return ERR_DENIED;
    }
    *ret_identity = identity;
    return OK;
}

enum err app_token_cache_verify(struct app_token_cache *cache,
                                const struct app_auth_options *options, struct str token,
                                int64_t now_s, struct app_identity *ret_identity,
                                const char **ret_why)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    bool keeps = cache->most > 0 && SHA256((const unsigned char *)token.ptr, token.len, hash);
    const struct entry *entry = keeps ? find(cache, hash) : NULL;
    if (entry) {
        cache->hits++;
        return check_known(entry, options, now_s, ret_identity, ret_why);
    }
    enum err err = app_auth_verify(options, token, now_s, ret_identity, ret_why);
    cache->misses += keeps;
    if (!err && keeps) {
        keep(cache, hash, ret_identity);
    }
    return err;
}

size_t app_token_cache_count(const struct app_token_cache *cache)
{
    return cache->young.by_hash.count + cache->old.by_hash.count;
}

void app_token_cache_clear(struct app_token_cache *cache)
{
    loop_timer_cancel(cache->loop, &cache->timer);
    tokens_drop(&cache->young);
    tokens_drop(&cache->old);
}

void app_token_cache_init(struct app_token_cache *cache, struct loop *loop, uint64_t most,
                          uint64_t ttl_ms)
{
    *cache = (struct app_token_cache){.loop = loop, .most = (size_t)most, .ttl_ms = ttl_ms};
    tokens_init(&cache->young);
    tokens_init(&cache->old);
    wheel_timer_init(&cache->timer, on_timer);
}

void app_token_cache_fini(struct app_token_cache *cache)
{
    app_token_cache_clear(cache);
}

/*
 * Tokens that were good a moment ago: who they are of, without verifying them again, for clients
 * that come back and back. In front of app/auth.h; a token itself is never kept, only a hash of it.
 *
 * Good tokens alone are kept, so whoever makes tokens up is verified each time and displaces
 * nobody. Their dates are checked at each use.
 *
 * Two generations: the young one is filled, the old one only looked into. After half of the time
 * that a token may stay, or with half of the tokens that there may be, the young one becomes the
 * old one, and what was old is given back whole. So there is no list by age, and no token is
 * dropped for itself.
 */
#ifndef APP_TOKEN_CACHE_H
#define APP_TOKEN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/auth.h"
#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/map.h"

struct app_token_block;

struct app_tokens {
    struct map by_hash;
    struct app_token_block *blocks; /* that the entries lie in */
};

struct app_token_cache {
    struct loop *loop;
    size_t most; /* tokens; 0: none is kept */
    uint64_t ttl_ms;
    struct app_tokens young, old;
    struct wheel_timer timer;
    uint64_t hits, misses; /* since the start */
};

void app_token_cache_init(struct app_token_cache *cache, struct loop *loop, uint64_t most,
                          uint64_t ttl_ms);
void app_token_cache_fini(struct app_token_cache *cache);
/* Forgets all: the secret, the issuer or the audience is another one now. */
void app_token_cache_clear(struct app_token_cache *cache);
/* How many tokens it has. */
size_t app_token_cache_count(const struct app_token_cache *cache);

/* As app_auth_verify, which it asks for a token that it does not know. */
MUST_CHECK enum err app_token_cache_verify(struct app_token_cache *cache,
                                           const struct app_auth_options *options, struct str token,
                                           int64_t now_s, struct app_identity *ret_identity,
                                           const char **ret_why);

#endif

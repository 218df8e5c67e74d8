/*
 * What a link to a sentinel is, and what a sentinel says. A sentinel is asked over a redis_link of
 * its own, whose options come from here. Sans-I/O.
 */
#ifndef REDIS_SENTINEL_H
#define REDIS_SENTINEL_H

#include <stddef.h>

#include "redis/endpoint.h"
#include "redis/link.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum {
    REDIS_SENTINELS_MAX = 16,
    REDIS_SENTINEL_PORT = 26379, /* where none is given */
};

/* REDIS_SENTINELS as it was set. INVALID, LIMIT. */
MUST_CHECK enum err redis_sentinels_parse(const char *list,
                                          struct redis_endpoint sentinels[REDIS_SENTINELS_MAX],
                                          size_t *ret_count);

/* TLS, name and times are those of Redis; user and password the sentinels' own. Strings are
 * borrowed from both arguments. */
struct redis_link_options redis_sentinel_options(const struct redis_link_options *redis,
                                                 const struct redis_endpoint *sentinel);

/*
 * The answer to SENTINEL get-master-addr-by-name. DENIED: it names none; *ret_why says why not,
 * borrowed from the reply or static.
 */
MUST_CHECK enum err redis_sentinel_read_address(const struct redisReply *reply,
                                                struct redis_endpoint *ret_primary,
                                                const char **ret_why);
/* A message of the channel "+switch-master". INVALID: it is about another master, or no such. */
MUST_CHECK enum err redis_sentinel_read_switch(const struct redisReply *message, const char *master,
                                               struct redis_endpoint *ret_primary);

#endif

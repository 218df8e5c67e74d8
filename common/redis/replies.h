/*
 * Bytes from Redis → replies, by hiredis' reader within bounds of ours: Redis is trusted with our
 * events, not with our memory. hiredis bounds neither the bytes of an unfinished reply nor (before
 * 1.0) the elements that an array may announce.
 */
#ifndef REDIS_REPLIES_H
#define REDIS_REPLIES_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum {
    REDIS_REPLY_BYTES_MAX = 64 * 1024 * 1024, /* of one reply, as it comes over the wire */
    REDIS_REPLY_ELEMENTS_MAX = 1024 * 1024,   /* of one reply, in all its arrays together */
    REDIS_REPLY_LINE_MAX = 64 * 1024,         /* of a status, an error, a number */
};

struct redis_replies {
    redisReader *reader;
    redisReplyObjectFunctions plain;   /* hiredis' own makers of objects */
    redisReplyObjectFunctions bounded; /* the same but for arrays */
    size_t unfinished;                 /* bytes of the reply that has begun */
    size_t elements;                   /* announced by its arrays so far */
};

/* Takes one reply, borrowed. False: no more of these bytes are wanted. */
typedef bool (*redis_take_fn)(void *context, const redisReply *reply);

/* Also makes a broken reader new. NOMEM; it is finished then. */
MUST_CHECK enum err redis_replies_init(struct redis_replies *replies);
void redis_replies_fini(struct redis_replies *replies);
/*
 * Takes the next bytes. PROTO, LIMIT, NOMEM: *ret_why says what is wrong; it lives as long as the
 * reader. `take` may not finish the replies: that waits until this returns.
 */
MUST_CHECK enum err redis_replies_feed(struct redis_replies *replies, struct str bytes,
                                       redis_take_fn take, void *context, const char **ret_why);

#endif

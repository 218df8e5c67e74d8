#include "redis/replies.h"

#include <string.h>

enum {
    /* hiredis moves the rest of its buffer after each kilobyte it eats: small pieces are cheap. */
    PIECE = 8 * 1024,
    IDLE_BUFFER_MAX = 256 * 1024,
};

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *create_array(const redisReadTask *task, element_count elements)
{
    struct redis_replies *replies = task->privdata;
    replies->elements += elements > 0 ? (size_t)elements : 0;
    if (replies->elements > REDIS_REPLY_ELEMENTS_MAX) {
        return NULL;
    }
    return replies->plain.createArray(task, elements);
}

enum err redis_replies_init(struct redis_replies *replies)
{
    *replies = (struct redis_replies){.reader = redisReaderCreate()};
    if (!replies->reader) {
        return ERR_NOMEM;
    }
    replies->plain = replies->bounded = *replies->reader->fn;
    replies->bounded.createArray = create_array;
    replies->reader->fn = &replies->bounded;
    replies->reader->privdata = replies;
    replies->reader->maxbuf = IDLE_BUFFER_MAX;
    return OK;
}

void redis_replies_fini(struct redis_replies *replies)
{
    if (replies->reader) {
        redisReaderFree(replies->reader);
    }
    *replies = (struct redis_replies){0};
}

static enum err broken(const struct redis_replies *replies, const char **ret_why)
{
    if (replies->elements > REDIS_REPLY_ELEMENTS_MAX) {
        *ret_why = "an array announced too many elements";
        return ERR_LIMIT;
    }
    *ret_why = replies->reader->errstr;
    return replies->reader->err == REDIS_ERR_OOM ? ERR_NOMEM : ERR_PROTO;
}

/* A string announces its length in a short line; anything else is a line as a whole. */
static bool endless_line(const redisReader *reader)
{
    size_t waiting = reader->len - reader->pos;
    return waiting > REDIS_REPLY_LINE_MAX &&
           !memchr(reader->buf + reader->pos, '\n', REDIS_REPLY_LINE_MAX);
}

static enum err check_unfinished(const struct redis_replies *replies, const char **ret_why)
{
    if (replies->unfinished > REDIS_REPLY_BYTES_MAX) {
        *ret_why = "a reply is too large";
        return ERR_LIMIT;
    }
    if (endless_line(replies->reader)) {
        *ret_why = "a line is too long";
        return ERR_PROTO;
    }
    return OK;
}

/* Hands out what is complete; *ret_more is false when `take` wants no more. */
static enum err drain(struct redis_replies *replies, redis_take_fn take, void *context,
                      const char **ret_why, bool *ret_more)
{
    redisReader *reader = replies->reader;
    for (bool more = true; more;) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return broken(replies, ret_why);
        }
        if (!reply) {
            return check_unfinished(replies, ret_why);
        }
        replies->unfinished = reader->len - reader->pos;
        replies->elements = 0;
        more = take(context, reply);
        freeReplyObject(reply);
    }
    *ret_more = false;
    return OK;
}

enum err redis_replies_feed(struct redis_replies *replies, struct str bytes, redis_take_fn take,
                            void *context, const char **ret_why)
{
    bool more = true;
    while (bytes.len > 0 && more) {
        size_t len = bytes.len < PIECE ? bytes.len : PIECE;
        if (redisReaderFeed(replies->reader, bytes.ptr, len) != REDIS_OK) {
            return broken(replies, ret_why);
        }
        replies->unfinished += len;
        bytes = str_skip(bytes, len);
        enum err err = drain(replies, take, context, ret_why, &more);
        if (err) {
            return err;
        }
    }
    return OK;
}

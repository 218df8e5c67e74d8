#include "redis/sentinel.h"

#include <hiredis/hiredis.h>

enum err redis_sentinels_parse(const char *list,
                               struct redis_endpoint sentinels[REDIS_SENTINELS_MAX],
                               size_t *ret_count)
{
    return redis_endpoints_parse(str_from(list), REDIS_SENTINEL_PORT, sentinels,
                                 REDIS_SENTINELS_MAX, ret_count);
}

struct redis_link_options redis_sentinel_options(const struct redis_link_options *redis,
                                                 const struct redis_endpoint *sentinel)
{
    struct redis_link_options options = *redis;
    options.host = sentinel->host;
    options.port = sentinel->port;
    options.user = redis->sentinel_user;
    options.password = redis->sentinel_password;
    options.db = 0;
    options.sentinels = options.sentinel_master = NULL;
    options.sentinel_user = options.sentinel_password = NULL;
    options.to_sentinel = true;
    return options;
}

static struct str text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct str){reply->str, reply->len} : STR("");
}

static enum err set_from_text(struct redis_endpoint *endpoint, struct str host, struct str port)
{
    uint64_t number;
    enum err err = str_to_u64(port, &number);
    return err ? err : redis_endpoint_set(endpoint, host, number);
}

enum err redis_sentinel_read_address(const redisReply *reply, struct redis_endpoint *ret_primary,
                                     const char **ret_why)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        set_from_text(ret_primary, text_of(reply->element[0]), text_of(reply->element[1])) == OK) {
        return OK;
    }
    switch (reply->type) {
    case REDIS_REPLY_NIL:
        *ret_why = "it does not know this name";
        break;
    case REDIS_REPLY_ERROR:
        *ret_why = reply->str;
        break;
    default:
        *ret_why = "it answered what is no address";
        break;
    }
    return ERR_DENIED;
}

/* "<master> <old host> <old port> <new host> <new port>" */
enum err redis_sentinel_read_switch(const redisReply *message, const char *master,
                                    struct redis_endpoint *ret_primary)
{
    enum { NAME, OLD_HOST, OLD_PORT, NEW_HOST, NEW_PORT, WORDS };
    if (message->type != REDIS_REPLY_ARRAY || message->elements != 3 ||
        !str_eq(text_of(message->element[0]), STR("message"))) {
        return ERR_INVALID; /* an answer to SUBSCRIBE */
    }
    struct str words[WORDS], rest = text_of(message->element[2]);
    size_t count = 0;
    while (count < WORDS && str_split(&rest, ' ', &words[count])) {
        count++;
    }
    if (count < WORDS || !str_eq(words[NAME], str_from(master))) {
        return ERR_INVALID;
    }
    return set_from_text(ret_primary, words[NEW_HOST], words[NEW_PORT]);
}

#include "redis/push.h"

#include <hiredis/hiredis.h>

static const struct str messages[] = {
    {"message", 7},
    {"pmessage", 8},
    {"smessage", 8},
};

static const struct str commands[] = {
    {"subscribe", 9},     {"unsubscribe", 11}, {"psubscribe", 10},
    {"punsubscribe", 12}, {"ssubscribe", 10},  {"sunsubscribe", 12},
};

static bool is_one_of(struct str name, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool redis_push_command(struct str name)
{
    return is_one_of(name, commands, ARRAY_LEN(commands));
}

bool redis_push_is(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        return false;
    }
    struct str kind = {reply->element[0]->str, reply->element[0]->len};
    return is_one_of(kind, messages, ARRAY_LEN(messages)) || redis_push_command(kind);
}

#include "redis/hello.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

static void set_auth(const struct redis_link_options *options, struct redis_hello_command *command)
{
    if (!options->password) {
        return;
    }
    command->args[command->count++] = STR("AUTH");
    if (options->user) {
        command->args[command->count++] = str_from(options->user);
    }
    command->args[command->count++] = str_from(options->password);
}

static void set_select(const struct redis_link_options *options,
                       struct redis_hello_command *command)
{
    if (options->db == 0) {
        return;
    }
    int len =
        snprintf(command->number, sizeof command->number, "%llu", (unsigned long long)options->db);
    command->args[0] = STR("SELECT");
    command->args[1] = (struct str){command->number, (size_t)len};
    command->count = 2;
}

static void set_name(const struct redis_link_options *options, struct redis_hello_command *command)
{
    if (!options->client_name) {
        return;
    }
    command->args[0] = STR("CLIENT");
    command->args[1] = STR("SETNAME");
    command->args[2] = str_from(options->client_name);
    command->count = 3;
}

void redis_hello_command(enum redis_hello_step step, const struct redis_link_options *options,
                         struct redis_hello_command *ret_command)
{
    *ret_command = (struct redis_hello_command){0};
    switch (step) {
    case REDIS_HELLO_AUTH:
        set_auth(options, ret_command);
        break;
    case REDIS_HELLO_SELECT:
        set_select(options, ret_command);
        break;
    case REDIS_HELLO_NAME:
        set_name(options, ret_command);
        break;
    case REDIS_HELLO_PING:
    case REDIS_HELLO_ROLE:
        ret_command->args[0] = step == REDIS_HELLO_PING ? STR("PING") : STR("ROLE");
        ret_command->count = 1;
        break;
    case REDIS_HELLO_STEPS:
        break;
    }
}

/*
 * A replica takes no events, and those it passes on end when it is cut off. Where Sentinel named
 * it, that will change: it has not been promoted yet, or the sentinel is behind the times.
 */
static enum err judge_role(const struct redis_link_options *options, const redisReply *reply,
                           char *why, size_t cap)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        return OK; /* the user may not ask: then we do not know */
    }
    const redisReply *role = reply->element[0];
    struct str expected = options->to_sentinel ? STR("sentinel") : STR("master");
    if (str_eq((struct str){role->str, role->len}, expected)) {
        return OK;
    }
    snprintf(why, cap, "this Redis is no %s, but a %s",
             options->to_sentinel ? "sentinel" : "primary", role->str);
    return options->sentinels ? ERR_AGAIN : ERR_DENIED;
}

static bool is_loading(const redisReply *error)
{
    return str_starts((struct str){error->str, error->len}, STR("LOADING "));
}

enum err redis_hello_judge(enum redis_hello_step step, const struct redis_link_options *options,
                           const struct redisReply *reply, char *why, size_t cap)
{
    static const char *const names[] = {"AUTH", "PING", "SELECT", "CLIENT SETNAME", "ROLE"};
    if (step == REDIS_HELLO_ROLE) {
        return judge_role(options, reply, why, cap);
    }
    if (step == REDIS_HELLO_NAME || reply->type != REDIS_REPLY_ERROR) {
        return OK;
    }
    snprintf(why, cap, "%s refused: %s", names[step], reply->str);
    return is_loading(reply) ? ERR_AGAIN : ERR_DENIED;
}

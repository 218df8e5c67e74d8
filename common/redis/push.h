/* What belongs to subscriptions: commands without a reply of their own, and messages unasked for.
 */
#ifndef REDIS_PUSH_H
#define REDIS_PUSH_H

#include <stdbool.h>

#include "util/str.h"

struct redisReply;

/* SUBSCRIBE, UNSUBSCRIBE and their kin, which are answered by messages. In any letter case. */
bool redis_push_command(struct str name);
/* Whether a reply is such a message: an array that begins with "message", "subscribe", … */
bool redis_push_is(const struct redisReply *reply);

#endif

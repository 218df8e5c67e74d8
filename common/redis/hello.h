/*
 * What is said to Redis before the first command of ours: AUTH, PING (a server that is loading,
 * full or wants a password says so), SELECT, CLIENT SETNAME, ROLE. Sans-I/O.
 */
#ifndef REDIS_HELLO_H
#define REDIS_HELLO_H

#include <stddef.h>

#include "redis/link.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum redis_hello_step {
    REDIS_HELLO_AUTH,
    REDIS_HELLO_PING,
    REDIS_HELLO_SELECT,
    REDIS_HELLO_NAME,
    REDIS_HELLO_ROLE,
    REDIS_HELLO_STEPS,
};

/* One step's command; the strings are borrowed from the options and from itself. */
struct redis_hello_command {
    struct str args[3];
    size_t count; /* 0: the step is not needed */
    char number[24];
};

void redis_hello_command(enum redis_hello_step step, const struct redis_link_options *options,
                         struct redis_hello_command *ret_command);
/*
 * DENIED: this connection is of no use; `why` says so in words. AGAIN: likewise, but a later one
 * may be.
 */
MUST_CHECK enum err redis_hello_judge(enum redis_hello_step step,
                                      const struct redis_link_options *options,
                                      const struct redisReply *reply, char *why, size_t cap);

#endif

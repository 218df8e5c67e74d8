/*
 * Something that answers as a primary does, but to WAIT what the test says: for what a real server
 * does too rarely or at the wrong time. One connection after the other, in a thread of its own.
 */
#ifndef SUPPORT_SCRIPTED_REDIS_H
#define SUPPORT_SCRIPTED_REDIS_H

#include <pthread.h>
#include <stdint.h>

enum { SCRIPTED_LOG_MAX = 4096 };

struct scripted_redis {
    uint16_t port;
    /* private */
    int listener;
    pthread_t thread;
    pthread_mutex_t mutex;
    const char *const *waits;
    unsigned scripts;
    char log[SCRIPTED_LOG_MAX];
};

#define SCRIPTED_SILENCE "silence"
#define SCRIPTED_HANG_UP "hang up"

/*
 * `waits` are the answers to one WAIT after the other, without the line's end (":1", "-ERR no"),
 * NULL-terminated and borrowed; the last one is for all that follow.
 */
void scripted_redis_start(struct scripted_redis *redis, const char *const *waits);
/* When its last connection was closed by the other side. */
void scripted_redis_stop(struct scripted_redis *redis);
/*
 * What came so far, "E" for a script and "W2,50" for WAIT 2 50, behind each other with a space
 * before each; into `log`.
 */
void scripted_redis_log(struct scripted_redis *redis, char log[SCRIPTED_LOG_MAX]);

#endif

/*
 * A worker as its supervisor sees it: a place that a process fills, and another one after that has
 * ended.
 */
#ifndef WORKERS_WORKER_H
#define WORKERS_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"
#include "workers/backoff.h"
#include "workers/channel.h"

/* What a worker's process is given. */
struct worker_place {
    unsigned index;    /* from 0 */
    uint16_t port;     /* which all share, by SO_REUSEPORT */
    uint16_t ops_port; /* the supervisor's: to tell, not to listen */
    int channel;       /* descriptor for worker_answers_open */
};

/* What all workers of a supervisor have in common. */
struct worker_job {
    struct loop *loop; /* the supervisor's */
    uint16_t port, ops_port;
    /* The worker's whole life, in its own process, which ends with the status that is returned. */
    int (*work)(void *owner, const struct worker_place *place);
    void *owner;
    bool hung_up; /* there was a SIGHUP: a new process gets one too, to have what the others have */
};

enum worker_state {
    WORKER_DOWN,     /* no process */
    WORKER_STARTING, /* it has not begun to serve */
    WORKER_UP,
};

struct supervisor;

struct worker {
    struct supervisor *supervisor; /* whose it is; owner of the channel */
    unsigned index;
    enum worker_state state;
    pid_t pid;           /* 0 without process */
    uint64_t started_ms; /* loop_now */
    uint64_t restarts;
    bool silent; /* it owes an answer for longer than it may */
    struct backoff backoff;
    struct wheel_timer restart;
    struct channel *channel; /* NULL without process, and where it is broken */
};

/* Forks. IO, NOMEM: there is no process. The owner of the ops is the worker. */
MUST_CHECK enum err worker_start(struct worker *worker, const struct worker_job *job,
                                 const struct channel_ops *ops);
/* Its process has ended, and was waited for. */
void worker_ended(struct worker *worker);
/* Without process nothing happens. */
void worker_signal(const struct worker *worker, int number);

#endif

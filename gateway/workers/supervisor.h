/*
 * Several gateways as one: forks workers that share a port, starts again whichever ends, passes
 * signals on, and answers operators for all of them.
 */
#ifndef WORKERS_SUPERVISOR_H
#define WORKERS_SUPERVISOR_H

#include <stdint.h>

#include "workers/worker.h"

enum { WORKERS_MAX = 128 };

struct supervisor_options {
    const char *host, *ops_host; /* as in net_server_options */
    uint16_t port, ops_port;
    unsigned workers;    /* 1 to WORKERS_MAX */
    const char *version; /* for the log */
    /* See worker_job. */
    int (*work)(void *owner, const struct worker_place *place);
    void *owner;
};

/*
 * Runs until a signal has ended all workers, and returns the exit status. Logs. Nothing that a
 * worker must not inherit, no thread and no loop, may be there already.
 */
int supervisor_run(const struct supervisor_options *options);

#endif

/*
 * The works of the load generator. Each runs on the same fleet, begins where the one before it
 * ended, and prints one line of JSON.
 *
 *   warm:CLIENTS          open so many clients and close them again
 *   connect               open all clients
 *   idle:SECONDS          let them be, then see what memory they take
 *   subscribe             subscribe all clients to the room
 *   fanout:FLIGHT:EVENTS  publish, FLIGHT events being on their way at any time
 *   pace:RATE:EVENTS      publish RATE events a second
 *   storm:EVENTS:FLIGHT   cut all connections, publish EVENTS meanwhile, and let the clients come
 *                         back, FLIGHT of them at once
 *   hear:SECONDS          wait until all clients have got one announcement, which somebody else
 *                         publishes; it must not come twice
 *   move:SECONDS          wait until all clients have lost their connection, for which the server
 *                         is stopped, and have come to the next host
 *   close                 close all clients in good order
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdbool.h>

#include "fanout.h"
#include "fleet.h"
#include "process.h"
#include "publisher.h"

struct work_options {
    int server_pid;       /* whose processor time and memory to measure; 0 for nobody's */
    unsigned concurrency; /* handshakes under way at once */
    unsigned rate;        /* handshakes begun a second at most; 0 for no limit */
    unsigned seconds;     /* a work publishes no longer than this */
    bool keep;            /* what is published goes into the rooms' logs too */
    unsigned patience;    /* seconds without progress that end a work */
};

struct work_context {
    const struct work_options *options;
    struct fleet *fleet;
    struct fanout *fanout;
    struct process_usage at_rest; /* private: of the server before the first work */
};

/* True where the text names a work and its numbers are in range. */
bool work_is_valid(const char *text);
/* False, and a reason on stderr or in the JSON, where anything went otherwise than it should. */
bool work_run(struct work_context *context, const char *text);

#endif

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
 *   join:CLIENTS          subscribe so many clients to the room, the first ones
 *   trades:COUNT:SECONDS  wait until these have got so many trades more, which somebody else
 *                         publishes, numbered from 1 on, the next when all have the last, within so
 *                         many seconds each; a line for each, and one for all: none may come twice,
 *                         or to another client
 *   move:SECONDS          wait until all clients have lost their connection, for which the server
 *                         is stopped, and have come to the next host
 *   close                 close all clients in good order
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "fanout.h"
#include "fleet.h"
#include "publisher.h"
#include "shared/process.h"

enum { MICRO = 1000000 }; /* microseconds of a second */

struct work_options {
    unsigned server_pid;  /* whose processor time and memory to measure; 0 for nobody's */
    unsigned concurrency; /* handshakes under way at once */
    unsigned seconds;     /* a work publishes no longer than this */
    bool keep;            /* what is published goes into the rooms' logs too */
    unsigned patience;    /* seconds without progress that end a work */
};

/* What the members of the market have got of somebody else's trades: see audience.c. */
struct audience {
    unsigned members;     /* the first so many clients */
    unsigned trades;      /* that were waited for */
    uint64_t got;         /* trades, each in its turn, all members together */
    uint64_t got_us;      /* when the last of them came */
    uint64_t out_of_turn; /* twice, too early or malformed */
    uint64_t astray;      /* to a client that recovered, but is no member */
};

struct work_context {
    const struct work_options *options;
    struct fleet *fleet;
    struct fanout *fanout;
    struct audience audience;
    struct process_usage at_rest; /* private: of the server before the first work */
};

/* Those in a work's name; 0 where it has none. */
struct work_numbers {
    unsigned first;
    unsigned second;
};

/* True where the text names a work and its numbers are in range. */
bool work_is_valid(const char *text);
/* False, and a reason on stderr or in the JSON, where anything went otherwise than it should. */
bool work_run(struct work_context *context, const char *text);

#endif

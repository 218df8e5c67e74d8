/*
 * N authenticated clients of a server in one thread: each with Engine.IO 4 and Socket.IO 5 over a
 * WebSocket or by polling, its own user and token, one of many loopback source addresses.
 *
 * A client at rest costs this program its struct and nothing else, without TLS; it owns bytes on
 * the heap only while a frame of it is incomplete or a POST of it is due. The clients answer pings
 * by themselves; everything else is asked for.
 */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include "client.h"
#include "util/attr.h"
#include "util/err.h"

enum { FLEET_SCRATCH_SIZE = 256 * 1024 };

struct fleet_ops {
    /* A subscribed, recovered or closing client got an event; the packet is borrowed. */
    void (*on_event)(void *arg, struct client *client, const char *packet, size_t len,
                     uint64_t now_us);
    /* A subscribed client was lost; it is not subscribed any more. */
    void (*on_broken)(void *arg, struct client *client);
};

struct fleet_options {
    const char *host;      /* a fixed address */
    const char *next_host; /* another server of the same, for when the first stops; or NULL */
    unsigned port;
    const char *secret;  /* of the tokens */
    unsigned first_user; /* the user number of client 0; the others' follow */
    unsigned rooms;      /* markets: see fleet_group */
    bool tls;            /* instead of plain TCP */
    bool bare;     /* a client is ready when it has the Engine.IO handshake: no token, no room */
    bool polling;  /* instead of WebSocket; a client polls only while it waits for something */
    bool recovery; /* clients ask for Connection State Recovery */
};

struct fleet {
    const struct fleet_options *options;
    const struct fleet_ops *ops; /* may be NULL; borrowed with ops_arg */
    void *ops_arg;
    struct client *clients;
    unsigned count;
    unsigned in_state[CLIENT_STATES];
    unsigned failed;            /* never became ready, or the subscription was refused */
    unsigned broken;            /* were ready and lost their connection without our asking */
    uint64_t pings;             /* answered, of Engine.IO or WebSocket */
    bool subscribe_at_once;     /* clients do so when they are connected: set as needed */
    bool poll_ready;            /* ready clients poll too, see fleet_poll */
    bool moving;                /* losing the connection is no fault */
    unsigned moved;             /* connections that were begun while moving */
    unsigned heard;             /* clients that have got an announcement, since fleet_listen */
    unsigned heard_again;       /* announcements that came to such a client */
    uint64_t astray;            /* trades that came to clients in no room */
    unsigned recovered;         /* were taken for the ones that they had been */
    char first_failure[128];    /* why, for the report; empty where nothing failed */
    struct sockaddr_in address; /* private, as what follows */
    struct in_addr next_address;
    SSL_CTX *tls; /* NULL: plain */
    int epoll_fd;
    char *scratch; /* FLEET_SCRATCH_SIZE bytes that all clients read into */
};

/* `options` are borrowed. INVALID for a bad address, NOMEM, IO. */
MUST_CHECK enum err fleet_init(struct fleet *fleet, const struct fleet_options *options,
                               unsigned count);
/* Hangs up without further ado what is still open. */
void fleet_fini(struct fleet *fleet);

/* Start client `index` on its way; the outcome shows in its state. */
void fleet_connect(struct fleet *fleet, unsigned index);
void fleet_subscribe(struct fleet *fleet, unsigned index);
void fleet_close(struct fleet *fleet, unsigned index);
/* Forgets who has got an announcement. */
void fleet_listen(struct fleet *fleet);
/* From now on connections go to the next host. */
void fleet_move(struct fleet *fleet);
/*
 * Lets the ready clients poll, as official clients always do: for the last work of a fleet, since
 * from then on they can only post what a poll's response asks for.
 */
void fleet_poll(struct fleet *fleet);
/* Makes the closed clients unused again: strangers, or those that they were where `same`. */
void fleet_recycle(struct fleet *fleet, bool same);
/*
 * Clients differ in their rooms by their number modulo this; so do events in their receivers, as
 * the event with number n, from 1 on, goes to market:<1 + (n - 1) % rooms>.
 */
unsigned fleet_groups(const struct fleet *fleet);
/* From 0 on. */
unsigned fleet_group(const struct fleet *fleet, const struct client *client);

/* Waits up to timeout_us for something to arrive and handles it. */
void fleet_turn(struct fleet *fleet, uint64_t timeout_us);

#endif

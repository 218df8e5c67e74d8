/*
 * The servers behind the proxy, in their order: who is next, who is left alone for a moment because
 * it could not be reached, and which connections to it are kept for the next request.
 */
#ifndef FLEET_BACKENDS_H
#define FLEET_BACKENDS_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/bufferevent.h>
#include <netinet/in.h>

#include "util/list.h"

enum {
    BACKENDS_MAX = 64,
    BACKEND_REST_MS = 300, /* after a connection that failed */
    BACKEND_NAME_SIZE = 64,
};

struct backend {
    char name[BACKEND_NAME_SIZE]; /* host:port */
    struct sockaddr_in address;
    bool listed;         /* in the file now; others finish what they have begun */
    uint64_t rests_till; /* in the clock of now_ms() */
    struct list idle;    /* connections, struct idle */
    uint64_t requests;   /* sent to it, each attempt counted */
    uint64_t tunnels;    /* WebSockets that were opened */
    uint64_t refused;    /* connections that could not be made */
    uint64_t cut;        /* requests that it left without an answer */
};

struct backends {
    struct event_base *base; /* borrowed */
    const char *path;        /* a line host:port each */
    struct backend each[BACKENDS_MAX];
    unsigned count;
    unsigned next;
};

uint64_t now_ms(void);

void backends_init(struct backends *backends, struct event_base *base, const char *path);
void backends_fini(struct backends *backends);

/*
 * Reads the file anew; those that were there keep their connections and counts. False, with the
 * reason on stderr and everything as before, where the file cannot be read or holds something else.
 */
bool backends_load(struct backends *backends);
unsigned backends_listed(const struct backends *backends);

/* The next in turn that does not rest; where all do, the next one. NULL where none is listed. */
struct backend *backends_next(struct backends *backends);
void backend_rest(struct backend *backend);

/* A connection that was kept, or a new one that is being made; *kept tells which. NULL: no socket.
 */
struct bufferevent *backend_connection(struct backends *backends, struct backend *backend,
                                       bool *kept);
/* Takes the connection for a later request. */
void backend_keep(struct backend *backend, struct bufferevent *connection);

#endif

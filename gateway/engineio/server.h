/*
 * The Engine.IO 4 endpoint: requests to sessions, and the table of sessions by sid.
 */
#ifndef ENGINEIO_SERVER_H
#define ENGINEIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engineio/session.h"
#include "http/server.h"
#include "loop/loop.h"
#include "util/attr.h"

struct eio_server;

struct eio_server_options {
    struct str path; /* "/socket.io/": with and without the last slash */
    uint64_t ping_interval_ms;
    uint64_t ping_timeout_ms;
    uint64_t upgrade_timeout_ms;
    uint64_t max_payload;     /* bytes of one POST or message; told to clients */
    size_t max_sessions;      /* one more handshake gets 503 */
    uint64_t handshake_rate;  /* handshakes a second; one more gets 503. 0: no limit */
    uint64_t handshake_burst; /* at once after a rest; 0: as many as in a second */
    size_t max_packets_per_post;
    size_t queue_bytes; /* bound of what waits for one session without a transport to write to */
};

/* Why a good handshake is answered 503. */
enum eio_refusal {
    EIO_REFUSAL_FULL,    /* max_sessions, or no memory */
    EIO_REFUSAL_RATE,    /* handshake_rate */
    EIO_REFUSAL_LEAVING, /* eio_server_leave */
    EIO_REFUSALS,
};
const char *eio_refusal_name(size_t refusal);

struct eio_server_stats {
    size_t sessions;                    /* now */
    size_t polling, websocket;          /* of them */
    size_t leaving;                     /* of them: asked to go by eio_server_release */
    uint64_t opened, upgraded, refused; /* since the start */
    uint64_t turned_away[EIO_REFUSALS]; /* of those refused */
    uint64_t closed[EIO_CLOSE_REASONS];
};

/* Borrows everything for its lifetime. NULL without memory. */
struct eio_server *eio_server_new(struct loop *loop, const struct eio_server_options *options,
                                  const struct eio_session_ops *ops, void *owner);
/* Ends all sessions with on_close. Not from inside a callback. */
void eio_server_free(struct eio_server *server);
/* To be put into the HTTP server's table: prefix options.path. */
struct http_handler eio_server_handler(struct eio_server *server);
/* Before the first request: whose CORS policy decides over WebSocket handshakes. */
void eio_server_set_http(struct eio_server *server, const struct http_server *http);

/*
 * The process is going: from here on handshakes are refused, and no session is upgraded. Sessions
 * that are open go on until eio_server_release. Idempotent.
 */
void eio_server_leave(struct eio_server *server);
/*
 * Lets up to `max` sessions go that were not yet: each ends, as EIO_CLOSE_DRAIN, when all that
 * waits for its client is on its way, which on WebSocket is at once and on polling with the next
 * poll. One that is being upgraded is left out, for the client might miss its end; later it may be
 * let go. Returns how many: fewer than `max` where there are no others for now.
 */
size_t eio_server_release(struct eio_server *server, size_t max);
/* Ends up to `max` sessions at once, whatever they wait for. Returns how many. */
size_t eio_server_cut(struct eio_server *server, size_t max);
/* Whether there is no session, and whoever is above has been told of all that have ended. */
bool eio_server_empty(const struct eio_server *server);

const struct eio_server_stats *eio_server_stats(const struct eio_server *server);
/* How many there may be, now. */
size_t eio_server_max_sessions(const struct eio_server *server);

#endif

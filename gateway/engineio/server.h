/*
 * The Engine.IO 4 endpoint: requests to sessions, and the table of sessions by sid.
 */
#ifndef ENGINEIO_SERVER_H
#define ENGINEIO_SERVER_H

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
    uint64_t max_payload; /* bytes of one POST or message; told to clients */
    size_t max_sessions;  /* one more handshake gets 503 */
    size_t max_packets_per_post;
    size_t queue_bytes; /* bound of what waits for one session without a transport to write to */
};

struct eio_server_stats {
    size_t sessions;                    /* now */
    size_t polling, websocket;          /* of them */
    uint64_t opened, upgraded, refused; /* since the start */
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
const struct eio_server_stats *eio_server_stats(const struct eio_server *server);

#endif

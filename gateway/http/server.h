/*
 * HTTP/1.1 for clients and operators: requests to handlers, answers to connections, and the
 * hand-over of a connection that is upgraded.
 *
 * One exchange at a time on a connection: what a peer pipelines waits (bounded) for the answer
 * before it. A request is delivered whole, body included, chunked or not. Every answer has a
 * Content-Length (but 204 and 304, which may not) and, where the server has a CORS policy, its
 * headers; also those that the server makes itself (400, 404, 408, 413, 431, 503, …).
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"
#include "net/conn.h"
#include "net/server.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct http_server;
struct http_exchange;

struct http_handler {
    struct str prefix; /* of the path; the first handler whose prefix matches has the request */
    bool exact;        /* the whole path must be the prefix */
    /*
     * Answers now, or keeps the exchange and answers later, with http_respond or http_upgrade.
     */
    void (*on_request)(void *owner, struct http_exchange *exchange,
                       const struct http_request *request);
    void *owner;
    /*
     * The head of a request is here and its body is not: whether to wait for it. If not, on_request
     * comes at once, without the body, and the connection closes after the answer. NULL: always.
     */
    bool (*on_body_begin)(void *owner, const struct http_request *request);
    /* Follows each on_body_begin that was true: the body is whole (on_request is next) or lost. */
    void (*on_body_end)(void *owner, const struct http_request *request);
};

struct http_server_options {
    struct net_server_options net;
    size_t max_head;    /* bytes of request line and headers; 431 over it */
    size_t max_headers; /* 431 over it */
    size_t max_body;    /* 413 over it */
    /* Absolute, from a request's first byte to its head's last: 408. A new connection is closed
     * without a word where none comes in as long. */
    uint64_t head_timeout_ms;
    uint64_t body_timeout_ms; /* likewise for the body */
    uint64_t idle_timeout_ms; /* between requests on a kept connection */
    const char *cors_origins; /* comma list or "*"; NULL: no CORS headers at all */
};

/* Borrows options and handlers for its lifetime. */
MUST_CHECK enum err http_server_open(struct loop *loop, const struct http_server_options *options,
                                     const struct http_handler *handlers, size_t handler_count,
                                     struct http_server **ret_server, struct buf *complaint);
/* Connections end with their next answer. Idempotent. */
void http_server_keep_none(struct http_server *server);
/* The same, and no new ones are taken. Idempotent. */
void http_server_stop(struct http_server *server);
void http_server_free(struct http_server *server);
/*
 * Takes over what may change meanwhile: cors_origins, borrowed as before, the time limits, and
 * net.max_connections. Those that run already run on.
 */
void http_server_change(struct http_server *server, const struct http_server_options *options);
struct net_server *http_server_net(const struct http_server *server);

/*
 * Whether a browser page of that origin may use this server (true without Origin, ptr NULL).
 * Where there is no CORS policy, none may.
 */
bool http_server_allows_origin(const struct http_server *server, struct str origin);

/*
 * Answers and ends the exchange; the connection is kept unless the request or `close` says
 * otherwise. `body` is copied. Must be called exactly once per exchange, unless it was upgraded or
 * aborted. `extra` is whole header lines, each with CRLF, or empty. HEAD gets no body.
 */
void http_respond(struct http_exchange *exchange, unsigned status, struct str content_type,
                  struct str extra, struct str body);
/* The same from shared pieces, none copied: for answers that many clients get. References are
 * taken. */
void http_respond_shared(struct http_exchange *exchange, unsigned status, struct str content_type,
                         struct str extra, struct rcbuf *const *pieces, size_t count);
/* The connection closes after the answer. Before http_respond. */
void http_exchange_close_after(struct http_exchange *exchange);

/*
 * The peer went away before the answer: `on_abort` is called once, after which the exchange is
 * gone. `owner` is for the handler's own use.
 */
void http_exchange_watch(struct http_exchange *exchange,
                         void (*on_abort)(struct http_exchange *exchange), void *owner);
void *http_exchange_owner(const struct http_exchange *exchange);
struct net_conn *http_exchange_conn(const struct http_exchange *exchange);

/*
 * Gives the connection away (after a 101 that the new owner sends itself): the exchange ends, the
 * HTTP layer forgets the connection, and `ops` take over. Bytes that came behind the request are
 * delivered to the new owner's on_read: before this returns, or, from inside on_request, before
 * that returns to the loop.
 */
void http_upgrade(struct http_exchange *exchange, const struct net_conn_ops *ops, void *owner);

#endif

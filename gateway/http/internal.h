/* What the files of this room know of each other's objects. Not for other rooms. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/chunked.h"
#include "http/cors.h"
#include "http/parser.h"
#include "http/response.h"
#include "http/server.h"
#include "loop/loop.h"
#include "util/buf.h"
#include "util/list.h"

/* One request and the answer that is due to it. */
struct http_exchange {
    void (*on_abort)(struct http_exchange *exchange);
    void *owner;
    char *origin; /* of the page that asked, ours; NULL without */
    bool head_only;
    bool keep;
    bool old; /* a peer of HTTP/1.0 */
};

enum http_conn_state {
    HTTP_IDLE,    /* nothing of the next request is here yet */
    HTTP_HEAD_IN, /* some of its head is */
    HTTP_BODY_IN, /* its head is in `upload` */
    HTTP_ASKED,   /* the handler has it; the exchange is alive */
    HTTP_DONE,    /* the last answer is on its way; what comes is dropped */
    HTTP_GIVEN,   /* upgraded: no longer ours */
};

/* A request whose body is incomplete. */
struct http_upload {
    struct buf head, body;
    struct http_chunked chunked;
    uint64_t left; /* of the body, where it is not chunked */
    bool is_chunked;
};

/* Bytes that could not be used yet. */
struct http_rest {
    struct http_conn *http;
    struct buf bytes;  /* never empty */
    struct list ready; /* on the server's list: has bytes of a next request and may read them */
};

/* A connection that speaks HTTP. At rest it owns nothing. */
struct http_conn {
    struct http_server *server;
    struct net_conn *net;
    struct http_exchange exchange;
    struct wheel_timer deadline;
    struct http_rest *rest;     /* owned; NULL at rest */
    struct http_upload *upload; /* owned; while BODY_IN */
    uint32_t scanned;           /* of the incomplete head: see http_head_find */
    uint8_t state;              /* enum http_conn_state */
    bool busy;                  /* its bytes are being read further up the stack */
};

/*
 * A client that polls has one all the time. Any other has one until it is upgraded; what is left
 * then is used for the next client's net_conn, or for a room, if it is no larger than these.
 */
_Static_assert(sizeof(struct http_conn) <= 104, "a connection grew");

struct http_server {
    struct http_server_options options;
    struct loop *loop;
    struct net_server *net;
    const struct http_handler *handlers;
    size_t handler_count;
    struct http_cors cors;
    struct http_header *headers; /* of the request that is being handled */
    struct buf scratch;          /* of the response head that is being made */
    struct list ready;
    struct loop_task ready_task;
    int64_t date_second;
    char date[HTTP_DATE_LEN + 1];
    bool stopping;
};

/* Makes a new connection ours. */
void http_conn_begin(struct http_server *server, struct net_conn *net);
/* Goes on with bytes that waited for the answer before them. */
void http_conn_continue(struct http_conn *http);
/* The answer is queued; on to the next request, or to the end. */
void http_conn_answered(struct http_conn *http, bool keep);

/* The connection has another owner; where nothing of it is being read, it gets what was left. */
void http_conn_given(struct http_conn *http);

/* Begins the exchange of a request. NOMEM. */
MUST_CHECK enum err http_exchange_begin(struct http_conn *http, const struct http_head *head);
/* Begins the exchange of a request that is refused; `head` is what is known of its head. */
void http_exchange_begin_refused(struct http_conn *http, struct str head);
void http_exchange_end(struct http_exchange *exchange);
struct http_conn *http_exchange_http(const struct http_exchange *exchange);

/* Finds the handler, or answers in its place. */
void http_server_route(struct http_server *server, struct http_exchange *exchange,
                       const struct http_request *request);
/* Whether the handler wants the body that is still to come; tells it when that has ended. */
bool http_server_body_begin(struct http_server *server, const struct http_request *request);
void http_server_body_end(struct http_server *server, const struct http_request *request);
struct str http_server_date(struct http_server *server);

#endif

/*
 * The query of a request, checked in the protocol's order, and the open packet that answers it.
 */
#ifndef ENGINEIO_HANDSHAKE_H
#define ENGINEIO_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/server.h"
#include "util/rcbuf.h"
#include "util/str.h"

/* The numbers are the protocol's. */
enum eio_error {
    EIO_ERROR_TRANSPORT = 0,
    EIO_ERROR_SID = 1,
    EIO_ERROR_METHOD = 2,
    EIO_ERROR_REQUEST = 3,
    EIO_ERROR_FORBIDDEN = 4,
    EIO_ERROR_VERSION = 5,
    EIO_NO_ERROR,
};

struct eio_query {
    bool websocket; /* transport=websocket, else polling */
    bool upgrade;   /* the request asks for a WebSocket */
    struct str sid; /* empty: a handshake */
};

/* First checks: transport known, Origin without bytes that no header may have, no JSONP. */
enum eio_error eio_query_read(const struct http_request *request, struct eio_query *ret_query);
/* What a handshake owes besides; `allowed`: its Origin is welcome. */
enum eio_error eio_query_check_handshake(const struct http_request *request,
                                         const struct eio_query *query, bool allowed);

/* 403 for FORBIDDEN, else 400; and {"code":…,"message":"…"}. */
unsigned eio_error_status(enum eio_error error);
struct str eio_error_body(enum eio_error error);

struct eio_handshake {
    struct str sid;
    bool upgrades; /* to websocket */
    uint64_t ping_interval_ms, ping_timeout_ms, max_payload;
};

/* The open packet. NULL without memory. */
struct rcbuf *eio_encode_handshake(const struct eio_handshake *handshake);

#endif

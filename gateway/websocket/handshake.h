/* The opening handshake (RFC 6455 section 4.2). */
#ifndef WEBSOCKET_HANDSHAKE_H
#define WEBSOCKET_HANDSHAKE_H

#include <stdbool.h>

#include "http/server.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/* Whether the request asks for a WebSocket at all (Upgrade and Connection headers). */
bool ws_handshake_wanted(const struct http_request *request);
/*
 * Checks the request and appends the whole 101 response to `out`. INVALID: answer with *ret_status
 * (400, or 426 with Sec-WebSocket-Version: 13). LIMIT, NOMEM.
 */
MUST_CHECK enum err ws_handshake_accept(const struct http_request *request, struct buf *out,
                                        unsigned *ret_status);

#endif

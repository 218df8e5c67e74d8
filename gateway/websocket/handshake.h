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
/* The status to refuse the request with (400, or 426 with Sec-WebSocket-Version: 13); 0: it is
 * good. */
unsigned ws_handshake_refusal(const struct http_request *request);
/*
 * Checks the request and appends the whole 101 response to `out`. INVALID: answer with
 * *ret_status, which is ws_handshake_refusal's. LIMIT, NOMEM.
 */
MUST_CHECK enum err ws_handshake_accept(const struct http_request *request, struct buf *out,
                                        unsigned *ret_status);

#endif

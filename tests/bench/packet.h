/* The Engine.IO 4 and Socket.IO 5 packets of one client, as text. */
#ifndef BENCH_PACKET_H
#define BENCH_PACKET_H

#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"

enum { PACKET_MAX = 1024 };

enum packet_kind {
    PACKET_EIO_OPEN,
    PACKET_EIO_PING,
    PACKET_CONNECTED, /* the namespace took us */
    PACKET_GREETING,  /* the event "connected" */
    PACKET_ACK_SUCCESS,
    PACKET_TRADE, /* the event that is fanned out */
    PACKET_EVENT, /* any other, but for "error" */
    PACKET_UNEXPECTED,
};

enum packet_kind packet_kind(const char *text, size_t len);

/* NUL-terminated. LIMIT, IO. */
MUST_CHECK enum err packet_connect(const char *secret, unsigned user, char out[PACKET_MAX]);
MUST_CHECK enum err packet_subscribe(const char *market, char out[PACKET_MAX]);

#endif

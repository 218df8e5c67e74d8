/* The Engine.IO 4 and Socket.IO 5 packets of one client, as text. */
#ifndef BENCH_PACKET_H
#define BENCH_PACKET_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"

enum { PACKET_MAX = 1024 };

enum packet_kind {
    PACKET_EIO_OPEN,
    PACKET_EIO_PING,
    PACKET_EIO_NOOP,
    PACKET_CONNECTED, /* the namespace took us */
    PACKET_ACK_SUCCESS,
    PACKET_GREETING, /* the event "connected", and so on: those that may carry an offset */
    PACKET_TRADE,    /* the event that is fanned out */
    PACKET_ANNOUNCEMENT,
    PACKET_EVENT, /* any other, but for "error" */
    PACKET_UNEXPECTED,
};

enum packet_kind packet_kind(const char *text, size_t len);

/* The text of the JSON member `name`, for which `out` has `size` bytes; false where there is none.
 */
bool packet_member(const char *text, size_t len, const char *name, char *out, size_t size);
/* The last argument of an event, where it is a text of digits: the offset for recovery. */
bool packet_offset(const char *text, size_t len, char *out, size_t size);

/*
 * NUL-terminated. With `pid` (may be empty) the client wants to be what it was up to `offset`; with
 * `recovery` it wants to be able to, later. LIMIT, IO.
 */
struct packet_identity {
    const char *secret;
    unsigned user;
    bool recovery;
    const char *pid;
    const char *offset;
};
MUST_CHECK enum err packet_connect(const struct packet_identity *identity, char out[PACKET_MAX]);
void packet_subscribe(unsigned market, char out[PACKET_MAX]);

#endif

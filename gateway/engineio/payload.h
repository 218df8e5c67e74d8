/* Bodies of polling requests and answers: packets joined by byte 0x1e, bytes as 'b' and base64. */
#ifndef ENGINEIO_PAYLOAD_H
#define ENGINEIO_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "engineio/packet.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

/* What a client accepts at most in one answer: the Python client refuses a seventeenth. */
enum { EIO_PAYLOAD_PACKETS_MAX = 16 };

/* Packets in a body; 1 in an empty one, which is then malformed. */
size_t eio_payload_count(struct str body);
/*
 * Takes the first packet of *rest, which begins as the body. `scratch` holds the bytes of a binary
 * packet and must be empty. False at the end. *ret_err: PROTO for a malformed packet, NOMEM; both
 * end the walk.
 */
bool eio_payload_next(struct str *rest, struct buf *scratch, struct eio_packet *ret_packet,
                      enum err *ret_err);

/* Bytes that an encoded packet takes in a body, without separator. */
size_t eio_payload_size(const struct rcbuf *encoded);
/* Appends an encoded packet, with a separator where the body is not empty. LIMIT, NOMEM. */
MUST_CHECK enum err eio_payload_append(struct buf *body, const struct rcbuf *encoded);

#endif

/*
 * The few bytes of HTTP and WebSocket (RFC 6455) that the load generator and the floor speak:
 * written apart from the gateway's own codec, so that no mistake can agree with itself.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"

/* The sample key of RFC 6455 section 1.3 and the answer to it. */
#define WIRE_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WIRE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum wire_opcode { WIRE_TEXT = 1, WIRE_CLOSE = 8, WIRE_PING = 9, WIRE_PONG = 10 };
enum { WIRE_HEAD_MAX = 14, WIRE_CONTROL_MAX = 125 };

struct wire_frame {
    enum wire_opcode opcode;
    bool masked;
    char *payload; /* inside the parsed bytes, unmasked in place */
    size_t len;
    size_t size; /* of the whole frame */
};

/* AGAIN while the frame is incomplete; PROTO on fragments, extensions and oversize. */
MUST_CHECK enum err wire_parse(char *bytes, size_t len, struct wire_frame *ret_frame);
/* Writes a frame without and with a mask; `out` has WIRE_HEAD_MAX bytes beyond len. Its size. */
size_t wire_server_frame(char *out, enum wire_opcode opcode, const char *payload, size_t len);
size_t wire_client_frame(char *out, enum wire_opcode opcode, const char *payload, size_t len);

/* AGAIN until the response's head is whole; PROTO unless it agrees to the upgrade. */
MUST_CHECK enum err wire_parse_upgrade(const char *bytes, size_t len, size_t *ret_size);

#endif

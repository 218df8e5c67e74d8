/*
 * WebSocket frames (RFC 6455 section 5). Sans-I/O.
 */
#ifndef WEBSOCKET_FRAME_H
#define WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

/* RFC 6455 section 7.4.1, and the registry it started. */
enum ws_close_code {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED = 1003,
    WS_NO_STATUS = 1005, /* never on the wire */
    WS_ABNORMAL = 1006,  /* never on the wire */
    WS_INVALID_DATA = 1007,
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009,
    WS_INTERNAL = 1011,
    WS_RESTART = 1012,
    WS_TRY_LATER = 1013,
};

enum { WS_HEADER_MAX = 14, WS_SERVER_HEADER_MAX = 10, WS_CONTROL_MAX = 125 };

struct ws_frame_header {
    bool fin;
    bool masked;
    enum ws_opcode opcode;
    uint64_t length; /* of the payload */
    unsigned char mask[4];
    size_t size; /* of the header itself */
};

/*
 * Reads a header from the beginning of `bytes`. AGAIN: more bytes are needed. PROTO: reserved bits
 * or opcodes, a length not in its shortest form, a control frame fragmented or over 125 bytes.
 */
MUST_CHECK enum err ws_frame_parse(struct str bytes, struct ws_frame_header *ret_header);
/* Applies the mask in place; `offset` is the position of bytes[0] in the payload. */
void ws_unmask(char *bytes, size_t len, const unsigned char mask[4], uint64_t offset);

/* Writes the header of an unmasked, unfragmented frame; its size. */
size_t ws_header_encode(enum ws_opcode opcode, uint64_t length, char out[WS_SERVER_HEADER_MAX]);
/* One whole unmasked frame as shared bytes. NULL without memory. */
struct rcbuf *ws_frame_encode(enum ws_opcode opcode, struct str payload);
/* Whether a peer may send this close code (section 7.4). */
bool ws_close_code_valid(unsigned code);

#endif

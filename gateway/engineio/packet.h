/*
 * Engine.IO 4 packets: a type digit and data, or bare bytes. Sans-I/O.
 *
 * A packet that leaves is encoded once for every transport and any number of sessions: the bytes of
 * a whole WebSocket frame, of which polling uses the part behind the frame's header.
 */
#ifndef ENGINEIO_PACKET_H
#define ENGINEIO_PACKET_H

#include <stdbool.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

enum eio_packet_type {
    EIO_PACKET_OPEN = '0',
    EIO_PACKET_CLOSE = '1',
    EIO_PACKET_PING = '2',
    EIO_PACKET_PONG = '3',
    EIO_PACKET_MESSAGE = '4',
    EIO_PACKET_UPGRADE = '5',
    EIO_PACKET_NOOP = '6',
};

struct eio_packet {
    enum eio_packet_type type;
    bool binary;     /* a message of raw bytes; else `data` is text */
    struct str data; /* behind the type digit; borrowed */
};

/* Reads a packet of text. PROTO: empty, or of no known type. */
MUST_CHECK enum err eio_packet_parse(struct str text, struct eio_packet *ret_packet);

/* A packet of text. NULL without memory, as are the following. */
struct rcbuf *eio_encode(enum eio_packet_type type, struct str data);
/* A message packet of text `data` ("4" is put before it). */
struct rcbuf *eio_encode_text(struct str data);
/* The same from pieces, one behind the other, to spare a copy. */
struct rcbuf *eio_encode_pieces(const struct str *pieces, size_t count);
/* A message packet of bytes. */
struct rcbuf *eio_encode_binary(struct str data);

/* Packets that leave together, to any number of sessions. */
struct eio_batch {
    struct rcbuf *const *packets; /* made by eio_encode_*, borrowed */
    size_t count;                 /* one or more */
    struct rcbuf *frames;         /* private: NULL until a session wants them in one piece */
};

/* All of them in one piece, for a WebSocket; borrowed. NULL without memory. */
struct rcbuf *eio_batch_frames(struct eio_batch *batch);
void eio_batch_fini(struct eio_batch *batch);

/* What is behind the frame's header of an encoded packet, borrowed: type digit and data, or bytes.
 */
struct str eio_encoded_payload(const struct rcbuf *encoded, bool *ret_binary);

#endif

/*
 * Socket.IO 5 packets (protocol revision 5, "packet encoding"), sans-I/O:
 * <type>[<attachments>-][<namespace>,][<ack id>][<JSON>].
 *
 * What clients send is checked to the end here, so that nobody to the right meets a payload of a
 * surprising shape. JSON stays the text that it was.
 */
#ifndef SOCKETIO_PACKET_H
#define SOCKETIO_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* As on the wire. */
enum sio_packet_type {
    SIO_CONNECT,
    SIO_DISCONNECT,
    SIO_EVENT,
    SIO_ACK,
    SIO_CONNECT_ERROR,
    SIO_BINARY_EVENT,
    SIO_BINARY_ACK,
};

enum { SIO_NAMESPACE_MAX = 128, SIO_ACK_DIGITS_MAX = 15, SIO_PACKET_DEPTH_MAX = 256 };

struct sio_packet_limits {
    size_t max_attachments;
    unsigned max_depth; /* of the JSON, at most SIO_PACKET_DEPTH_MAX counts */
};

/* All views into the text that was parsed. */
struct sio_packet {
    enum sio_packet_type type;
    size_t attachments;        /* binary messages that follow; 0 for all but BINARY_* */
    struct str namespace_name; /* "/" where none was written; without "?query" */
    bool has_id;
    uint64_t id;
    struct str payload; /* JSON text; empty without */
    struct str event;   /* of events: the name as JSON text, a string with its quotes or a number */
    struct str args;    /* of events and acks: the arguments between the commas, empty for none */
    size_t arg_count;
};

/*
 * Parses one packet of a client. PROTO: malformed, or not for clients to send (CONNECT_ERROR).
 * LIMIT: too many attachments, or nested too deep.
 */
MUST_CHECK enum err sio_packet_parse(struct str text, const struct sio_packet_limits *limits,
                                     struct sio_packet *ret_packet);

/*
 * Appends a packet up to where its JSON begins. `attachments` counts for BINARY_* only; `id` is
 * NULL without. LIMIT, NOMEM.
 */
MUST_CHECK enum err sio_packet_begin(enum sio_packet_type type, size_t attachments,
                                     struct str namespace_name, const uint64_t *id,
                                     struct buf *out);

#endif

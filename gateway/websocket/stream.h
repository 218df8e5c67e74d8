/*
 * A WebSocket connection (RFC 6455), server side: messages in, frames out, over one net_conn.
 *
 * Assembles fragments, answers pings, keeps the closing handshake and the limits. Embedded in its
 * owner. At rest it owns no memory; bytes are kept only while a frame or message is incomplete. A
 * frame that arrived whole is unmasked where it lies, in the connection's read buffer, and handed
 * on from there.
 */
#ifndef WEBSOCKET_STREAM_H
#define WEBSOCKET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"
#include "websocket/frame.h"

struct ws_stream;

struct ws_stream_ops {
    /* A whole message, text already valid UTF-8; borrowed until return. May send and close. */
    void (*on_message)(struct ws_stream *stream, enum ws_opcode opcode, struct str payload);
    /*
     * The last call: the closing handshake is done, the peer broke the protocol, or the connection
     * ended. `code` is the peer's or our close code, 1006 where there was none.
     */
    void (*on_close)(struct ws_stream *stream, unsigned code, enum net_close_reason reason);
};

struct ws_assembly; /* an incomplete frame or message */

struct ws_stream {
    const struct ws_stream_ops *ops;
    struct net_conn *conn;        /* NULL once the stream has ended; the connection may linger */
    struct ws_assembly *assembly; /* private: NULL at rest */
    uint32_t max_message;         /* bytes; 1009 over it */
    uint16_t close_code;          /* private: sent or received, 0 before */
    bool closing;                 /* private: our close frame is out, the peer's is awaited */
    uint8_t pongs;                /* private: to pings of the read that is going on */
};

/* The table to hand the connection to: net_conn_set_owner(conn, &ws_net_ops, stream). */
extern const struct net_conn_ops ws_net_ops;
/* For a connection whose stream has ended before it was handed over: tells nobody anything. */
extern const struct net_conn_ops ws_ended_ops;

/* For a connection whose 101 has been queued. The caller then makes the stream the conn's owner. */
void ws_stream_init(struct ws_stream *stream, struct net_conn *conn,
                    const struct ws_stream_ops *ops, uint32_t max_message);

/* Queues bytes that are whole frames already: see ws_frame_encode. As net_conn_send. */
MUST_CHECK enum err ws_stream_send(struct ws_stream *stream, struct rcbuf *frames);
/*
 * Sends a close frame and waits for the peer's, dropping messages; on_close follows. The stream has
 * no timer: the owner bounds the wait by ws_stream_abort. Idempotent.
 */
void ws_stream_close(struct ws_stream *stream, enum ws_close_code code);
/*
 * Sends a close frame and ends at once (section 7.1.7), without a further call; the connection
 * takes what is queued with it. Idempotent.
 */
void ws_stream_fail(struct ws_stream *stream, enum ws_close_code code);
/* Ends stream and connection at once, without a word or a further call. Idempotent. */
void ws_stream_abort(struct ws_stream *stream);

#endif

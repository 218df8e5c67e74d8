/*
 * A WebSocket connection (RFC 6455), server side: messages in, frames out, over one net_conn.
 *
 * Assembles fragments, answers pings, keeps the closing handshake and the limits. Embedded in its
 * owner. At rest it owns no memory; bytes are kept only while a frame or message is incomplete.
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
    /* All that was sent has been handed to the kernel. NULL: not wanted. */
    void (*on_drain)(struct ws_stream *stream);
    /* The last call. `code` is the peer's or our close code, 1006 where the connection just ended.
     */
    void (*on_close)(struct ws_stream *stream, unsigned code, enum net_close_reason reason);
};

struct ws_assembly; /* an incomplete frame or message */

struct ws_stream {
    const struct ws_stream_ops *ops;
    struct net_conn *conn;        /* NULL after on_close */
    struct ws_assembly *assembly; /* private: NULL at rest */
    uint32_t max_message;         /* bytes; 1009 over it */
    uint16_t close_code;          /* private: sent or received, 0 before */
    bool close_sent;              /* private */
};

/* The table to hand the connection to: net_conn_set_owner(conn, &ws_net_ops, stream). */
extern const struct net_conn_ops ws_net_ops;

/* For a connection whose 101 has been queued. The caller then makes the stream the conn's owner. */
void ws_stream_init(struct ws_stream *stream, struct net_conn *conn,
                    const struct ws_stream_ops *ops, uint32_t max_message);

/* Queues bytes that are whole frames already: see ws_frame_encode. As net_conn_send. */
MUST_CHECK enum err ws_stream_send(struct ws_stream *stream, struct rcbuf *frames);
/*
 * Sends a close frame and ends the connection when the peer has answered, or soon; on_close
 * follows. Idempotent.
 */
void ws_stream_close(struct ws_stream *stream, enum ws_close_code code);
/* Ends the connection without a word. */
void ws_stream_abort(struct ws_stream *stream);

#endif

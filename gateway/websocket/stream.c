/* The connection's side: closing handshake, pings, and who is told what. */
#include "websocket/stream.h"

#include "util/utf8.h"
#include "websocket/internal.h"

/* Of the pings that come in one read; the others are not answered, so that a flood costs little. */
enum { PONGS_MAX = 16 };

void ws_stream_init(struct ws_stream *stream, struct net_conn *conn,
                    const struct ws_stream_ops *ops, uint32_t max_message)
{
    *stream = (struct ws_stream){.ops = ops, .conn = conn, .max_message = max_message};
}

enum err ws_stream_send(struct ws_stream *stream, struct rcbuf *frames)
{
    if (!stream->conn || stream->closing) {
        return ERR_CLOSED;
    }
    return net_conn_send(stream->conn, frames);
}

static enum err send_frame(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    struct rcbuf *frame = ws_frame_encode(opcode, payload);
    if (!frame) {
        return ERR_NOMEM;
    }
    enum err err = net_conn_send(stream->conn, frame);
    rcbuf_unref(&frame);
    return err;
}

/* A code that is never on the wire becomes an empty close frame. What can't be said is not: closes.
 */
static void send_close(struct ws_stream *stream, unsigned code)
{
    char bytes[2] = {(char)(code >> 8), (char)code};
    bool mute = code == WS_NO_STATUS || code == WS_ABNORMAL;
    stream->close_code = (uint16_t)code;
    if (send_frame(stream, WS_CLOSE, str_range(bytes, mute ? 0 : sizeof bytes))) {
        net_conn_close(stream->conn, NET_CLOSED_BY_US);
    }
}

/* A connection whose stream has ended: nobody is told anything. */
static void ended_on_read(struct net_conn *conn, struct str bytes)
{
    (void)conn;
    (void)bytes;
}

static void ended_on_close(struct net_conn *conn, enum net_close_reason reason)
{
    (void)conn;
    (void)reason;
}

const struct net_conn_ops ws_ended_ops = {
    .on_read = ended_on_read,
    .on_close = ended_on_close,
};

/* Lets go of the connection, which may outlive the stream while it lingers. */
static struct net_conn *detach(struct ws_stream *stream)
{
    struct net_conn *conn = stream->conn;
    stream->conn = NULL;
    ws_reader_free(stream);
    net_conn_set_owner(conn, &ws_ended_ops, NULL);
    return conn;
}

void ws_stream_close(struct ws_stream *stream, enum ws_close_code code)
{
    if (stream->conn && !stream->closing) {
        stream->closing = true;
        send_close(stream, code);
    }
}

void ws_stream_fail(struct ws_stream *stream, enum ws_close_code code)
{
    if (stream->conn) {
        ws_stream_close(stream, code);
        net_conn_finish(detach(stream));
    }
}

void ws_stream_abort(struct ws_stream *stream)
{
    if (stream->conn) {
        net_conn_close(detach(stream), NET_CLOSED_BY_US);
    }
}

void ws_stream_fault(struct ws_stream *stream, unsigned code)
{
    ws_stream_fail(stream, (enum ws_close_code)code);
    stream->ops->on_close(stream, code, NET_CLOSED_BY_US);
}

/* Section 5.5.1. 0 where the payload is in order, else what to fail with. */
static unsigned close_payload_fault(struct str payload, unsigned *ret_code)
{
    if (payload.len == 0) {
        *ret_code = WS_NO_STATUS;
        return 0;
    }
    const unsigned char *bytes = (const unsigned char *)payload.ptr;
    unsigned code = payload.len >= 2 ? (unsigned)bytes[0] << 8 | bytes[1] : 0;
    if (!ws_close_code_valid(code)) {
        return WS_PROTOCOL_ERROR;
    }
    if (!utf8_valid(str_skip(payload, 2))) {
        return WS_INVALID_DATA;
    }
    *ret_code = code;
    return 0;
}

/* The answer is the code itself; to our own close frame it is the end. */
static void on_close_frame(struct ws_stream *stream, struct str payload)
{
    unsigned code = 0;
    unsigned wrong = close_payload_fault(payload, &code);
    if (wrong) {
        ws_stream_fault(stream, wrong);
        return;
    }
    ws_stream_fail(stream, (enum ws_close_code)code);
    stream->ops->on_close(stream, stream->close_code, NET_CLOSED_BY_PEER);
}

/* Section 5.5.2. Closing already, a pong is owed no more. */
static void on_ping_frame(struct ws_stream *stream, struct str payload)
{
    if (stream->closing || stream->pongs >= PONGS_MAX) {
        return;
    }
    if (!send_frame(stream, WS_PONG, payload)) {
        stream->pongs++;
    }
}

void ws_stream_on_control(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    if (opcode == WS_CLOSE) {
        on_close_frame(stream, payload);
    } else if (opcode == WS_PING) {
        on_ping_frame(stream, payload);
    }
}

void ws_stream_on_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    if (!stream->closing) {
        stream->ops->on_message(stream, opcode, payload);
    }
}

static void stream_on_read(struct net_conn *conn, struct str bytes)
{
    struct ws_stream *stream = net_conn_owner(conn);
    stream->pongs = 0;
    /* The read buffer is nobody's but the reader's until return: see net/conn.h. */
    ws_reader_feed(stream, (char *)bytes.ptr, bytes.len);
}

static void stream_on_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct ws_stream *stream = net_conn_owner(conn);
    unsigned code = stream->close_code ? stream->close_code : WS_ABNORMAL;
    detach(stream);
    stream->ops->on_close(stream, code, reason);
}

const struct net_conn_ops ws_net_ops = {
    .on_read = stream_on_read,
    .on_close = stream_on_close,
};

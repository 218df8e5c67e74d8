/* Bytes to frames, frames to messages. What is incomplete rests in an assembly until more arrives.
 */
#include "websocket/stream.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/utf8.h"

enum {
    /* Pongs that wait for a peer that does not read; of further pings only later ones are answered.
     */
    PONGS_MAX = 16,
};

struct ws_assembly {
    char head[WS_HEADER_MAX]; /* beginning of a header */
    uint8_t head_len;
    bool in_frame; /* `frame` is known and its payload incomplete */
    bool in_message;
    enum ws_opcode opcode; /* of the message */
    struct ws_frame_header frame;
    uint64_t taken; /* of the frame's payload */
    struct utf8_state utf8;
    struct buf message;
    char control[WS_CONTROL_MAX];
};

static bool is_control(const struct ws_frame_header *frame)
{
    return frame->opcode >= WS_CLOSE;
}

static struct ws_assembly *assembly_of(struct ws_stream *stream)
{
    if (!stream->assembly) {
        stream->assembly = calloc(1, sizeof *stream->assembly);
        if (stream->assembly) {
            buf_init(&stream->assembly->message, stream->max_message);
        }
    }
    return stream->assembly;
}

static void assembly_free(struct ws_stream *stream)
{
    if (stream->assembly) {
        buf_fini(&stream->assembly->message);
        free(stream->assembly);
        stream->assembly = NULL;
    }
}

/* Back to owning nothing, where nothing is incomplete. */
static void assembly_rest(struct ws_stream *stream)
{
    const struct ws_assembly *assembly = stream->assembly;
    if (assembly && !assembly->in_frame && !assembly->in_message && assembly->head_len == 0) {
        assembly_free(stream);
    }
}

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
    assembly_free(stream);
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

/* The peer broke the protocol, or memory is short. */
static void fault(struct ws_stream *stream, unsigned code)
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
        fault(stream, wrong);
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

static void on_control(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    if (opcode == WS_CLOSE) {
        on_close_frame(stream, payload);
    } else if (opcode == WS_PING) {
        on_ping_frame(stream, payload);
    }
}

static void deliver(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    if (!stream->closing) {
        stream->ops->on_message(stream, opcode, payload);
    }
}

/* What a header alone can be refused for. 0 where it is good. */
static unsigned header_fault(const struct ws_stream *stream, const struct ws_frame_header *frame)
{
    const struct ws_assembly *assembly = stream->assembly;
    bool in_message = assembly && assembly->in_message;
    if (!frame->masked) {
        return WS_PROTOCOL_ERROR; /* section 5.1 */
    }
    if (is_control(frame)) {
        return 0;
    }
    if ((frame->opcode == WS_CONTINUATION) != in_message) {
        return WS_PROTOCOL_ERROR;
    }
    size_t had = in_message ? assembly->message.len : 0;
    return frame->length > stream->max_message - had ? WS_TOO_BIG : 0;
}

/* The whole frame is in the read buffer and is the whole message, or a control frame. */
static void on_whole_frame(struct ws_stream *stream, const struct ws_frame_header *frame,
                           struct str payload)
{
    if (is_control(frame)) {
        on_control(stream, frame->opcode, payload);
    } else if (frame->opcode == WS_TEXT && !utf8_valid(payload)) {
        fault(stream, WS_INVALID_DATA);
    } else {
        deliver(stream, frame->opcode, payload);
    }
}

static enum err begin_frame(struct ws_stream *stream, const struct ws_frame_header *frame)
{
    struct ws_assembly *assembly = assembly_of(stream);
    if (!assembly) {
        return ERR_NOMEM;
    }
    assembly->frame = *frame;
    assembly->taken = 0;
    assembly->head_len = 0;
    assembly->in_frame = true;
    if (!is_control(frame) && !assembly->in_message) {
        assembly->in_message = true;
        assembly->opcode = frame->opcode;
        assembly->utf8 = (struct utf8_state){0};
    }
    return OK;
}

static void end_message(struct ws_stream *stream)
{
    struct ws_assembly *assembly = stream->assembly;
    if (assembly->opcode == WS_TEXT && !utf8_complete(&assembly->utf8)) {
        fault(stream, WS_INVALID_DATA);
        return;
    }
    /* The stream is at rest already when the owner hears of it. */
    stream->assembly = NULL;
    deliver(stream, assembly->opcode, buf_str(&assembly->message));
    buf_fini(&assembly->message);
    free(assembly);
}

static void end_frame(struct ws_stream *stream)
{
    struct ws_assembly *assembly = stream->assembly;
    assembly->in_frame = false;
    if (is_control(&assembly->frame)) {
        char payload[WS_CONTROL_MAX];
        size_t len = (size_t)assembly->frame.length;
        memcpy(payload, assembly->control, len);
        on_control(stream, assembly->frame.opcode, str_range(payload, len));
    } else if (assembly->frame.fin) {
        end_message(stream);
    }
    assembly_rest(stream);
}

/* Unmasked bytes of the current frame. */
static enum err take_payload(struct ws_assembly *assembly, struct str piece)
{
    if (is_control(&assembly->frame)) {
        if (piece.len > 0) {
            memcpy(assembly->control + assembly->taken, piece.ptr, piece.len);
        }
    } else {
        if (assembly->opcode == WS_TEXT && !utf8_feed(&assembly->utf8, piece)) {
            return ERR_INVALID;
        }
        enum err err = piece.len > 0 ? buf_append(&assembly->message, piece) : OK;
        if (err) {
            return err;
        }
    }
    assembly->taken += piece.len;
    return OK;
}

static void fault_of(struct ws_stream *stream, enum err err)
{
    fault(stream, err == ERR_INVALID ? WS_INVALID_DATA
                  : err == ERR_LIMIT ? WS_TOO_BIG
                                     : WS_INTERNAL);
}

/* Bytes that the frame in progress takes. */
static size_t feed_payload(struct ws_stream *stream, char *bytes, size_t len)
{
    struct ws_assembly *assembly = stream->assembly;
    uint64_t wanted = assembly->frame.length - assembly->taken;
    size_t n = wanted < len ? (size_t)wanted : len;
    ws_unmask(bytes, n, assembly->frame.mask, assembly->taken);
    enum err err = take_payload(assembly, str_range(bytes, n));
    if (err) {
        fault_of(stream, err);
    } else if (assembly->taken == assembly->frame.length) {
        end_frame(stream);
    }
    return n;
}

/* A header is good: takes the whole frame at once where that is possible without a copy. */
static size_t start_frame(struct ws_stream *stream, const struct ws_frame_header *frame,
                          char *payload, size_t len)
{
    bool alone = is_control(frame) || (frame->fin && frame->opcode != WS_CONTINUATION);
    if (alone && frame->length <= len) {
        size_t n = (size_t)frame->length;
        ws_unmask(payload, n, frame->mask, 0);
        on_whole_frame(stream, frame, str_range(payload, n));
        return n;
    }
    enum err err = begin_frame(stream, frame);
    if (err) {
        fault_of(stream, err);
        return 0;
    }
    return len > 0 || frame->length == 0 ? feed_payload(stream, payload, len) : 0;
}

/* Keeps the beginning of a header. */
static size_t keep_head(struct ws_stream *stream, const char *bytes, size_t len)
{
    struct ws_assembly *assembly = assembly_of(stream);
    if (!assembly) {
        fault_of(stream, ERR_NOMEM);
        return len;
    }
    memcpy(assembly->head + assembly->head_len, bytes, len);
    assembly->head_len = (uint8_t)(assembly->head_len + len);
    return len;
}

/* Bytes taken from the front: a header, with what is there of its frame. */
static size_t feed_header(struct ws_stream *stream, char *bytes, size_t len)
{
    char head[WS_HEADER_MAX];
    size_t had = stream->assembly ? stream->assembly->head_len : 0;
    size_t more = len < sizeof head - had ? len : sizeof head - had;
    if (had > 0) {
        memcpy(head, stream->assembly->head, had);
    }
    memcpy(head + had, bytes, more);
    struct ws_frame_header frame;
    enum err err = ws_frame_parse(str_range(head, had + more), &frame);
    if (err == ERR_AGAIN) {
        return keep_head(stream, bytes, len);
    }
    unsigned wrong = err ? WS_PROTOCOL_ERROR : header_fault(stream, &frame);
    if (wrong) {
        fault(stream, wrong);
        return len;
    }
    if (stream->assembly) {
        stream->assembly->head_len = 0;
    }
    size_t used = frame.size - had;
    used += start_frame(stream, &frame, bytes + used, len - used);
    assembly_rest(stream);
    return used;
}

static void stream_on_read(struct net_conn *conn, struct str bytes)
{
    struct ws_stream *stream = net_conn_owner(conn);
    /* The read buffer is nobody's but the reader's until return: see net/conn.h. */
    char *at = (char *)bytes.ptr;
    size_t left = bytes.len;
    while (left > 0 && stream->conn && !net_conn_closing(conn)) {
        bool in_frame = stream->assembly && stream->assembly->in_frame;
        size_t n = in_frame ? feed_payload(stream, at, left) : feed_header(stream, at, left);
        at += n;
        left -= n;
    }
}

static void stream_on_drain(struct net_conn *conn)
{
    struct ws_stream *stream = net_conn_owner(conn);
    stream->pongs = 0;
    if (stream->ops->on_drain && !stream->closing) {
        stream->ops->on_drain(stream);
    }
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
    .on_drain = stream_on_drain,
    .on_close = stream_on_close,
};

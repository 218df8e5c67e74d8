/*
 * Bytes to frames, frames to messages. What is incomplete rests in an assembly until more arrives;
 * a frame that is there whole is taken from where it lies.
 */
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/utf8.h"
#include "websocket/internal.h"

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

void ws_reader_free(struct ws_stream *stream)
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
        ws_reader_free(stream);
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
        ws_stream_on_control(stream, frame->opcode, payload);
    } else if (frame->opcode == WS_TEXT && !utf8_valid(payload)) {
        ws_stream_fault(stream, WS_INVALID_DATA);
    } else {
        ws_stream_on_message(stream, frame->opcode, payload);
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
        ws_stream_fault(stream, WS_INVALID_DATA);
        return;
    }
    /* The stream is at rest already when the owner hears of it. */
    stream->assembly = NULL;
    ws_stream_on_message(stream, assembly->opcode, buf_str(&assembly->message));
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
        ws_stream_on_control(stream, assembly->frame.opcode, str_range(payload, len));
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
    ws_stream_fault(stream, err == ERR_INVALID ? WS_INVALID_DATA
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
        ws_stream_fault(stream, wrong);
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

void ws_reader_feed(struct ws_stream *stream, char *bytes, size_t len)
{
    const struct net_conn *conn = stream->conn;
    while (len > 0 && stream->conn && !net_conn_closing(conn)) {
        bool in_frame = stream->assembly && stream->assembly->in_frame;
        size_t n = in_frame ? feed_payload(stream, bytes, len) : feed_header(stream, bytes, len);
        bytes += n;
        len -= n;
    }
}

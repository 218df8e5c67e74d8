/* A client's bytes, cut by the first of them: text is always UTF-8, messages keep to their limit.
 */
#include <stdint.h>
#include <stdlib.h>

#include "fake_conn.h"
#include "util/utf8.h"
#include "websocket/stream.h"

enum { MAX_MESSAGE = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    (void)stream;
    if (payload.len > MAX_MESSAGE || (opcode == WS_TEXT && !utf8_valid(payload))) {
        abort();
    }
}

static void on_close(struct ws_stream *stream, unsigned code, enum net_close_reason reason)
{
    (void)reason;
    if (stream->conn || stream->assembly || code == 0) {
        abort();
    }
}

static const struct ws_stream_ops ops = {.on_message = on_message, .on_close = on_close};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t piece = data[0] ? data[0] : 1;
    struct net_conn *conn = fake_conn_new();
    struct ws_stream stream;
    ws_stream_init(&stream, conn, &ops, MAX_MESSAGE);
    net_conn_set_owner(conn, &ws_net_ops, &stream);
    for (size_t at = 1; at < size; at += piece) {
        size_t n = piece < size - at ? piece : size - at;
        fake_conn_feed(conn, str_range((const char *)data + at, n));
    }
    fake_conn_end(conn);
    return 0;
}

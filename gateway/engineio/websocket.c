/* WebSocket: one packet a message, straight into the connection's own queue. */
#include "engineio/internal.h"
#include "websocket/handshake.h"

static struct eio_session *session_of(struct ws_stream *stream)
{
    return container_of(stream, struct eio_session, ws);
}

static enum err packet_of(enum ws_opcode opcode, struct str payload, struct eio_packet *packet)
{
    if (opcode == WS_TEXT) {
        return eio_packet_parse(payload, packet);
    }
    *packet = (struct eio_packet){EIO_PACKET_MESSAGE, true, payload};
    return OK;
}

void eio_websocket_hear(struct eio_session *session, enum ws_opcode opcode, struct str payload)
{
    struct eio_packet packet;
    if (session->state == EIO_UPGRADING) {
        eio_upgrade_receive(session, opcode, payload);
    } else if (packet_of(opcode, payload, &packet)) {
        eio_session_end(session, EIO_CLOSE_PROTOCOL);
    } else {
        eio_session_receive(session, &packet);
    }
}

static void on_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    eio_websocket_hear(session_of(stream), opcode, payload);
}

static enum eio_close_reason reason_of(unsigned code, enum net_close_reason reason)
{
    if (reason == NET_CLOSED_SLOW) {
        return EIO_CLOSE_SLOW;
    }
    bool broken = code == WS_PROTOCOL_ERROR || code == WS_INVALID_DATA || code == WS_TOO_BIG;
    return broken && reason == NET_CLOSED_BY_US ? EIO_CLOSE_PROTOCOL : EIO_CLOSE_TRANSPORT;
}

static void on_close(struct ws_stream *stream, unsigned code, enum net_close_reason reason)
{
    struct eio_session *session = session_of(stream);
    if (!session->polled) {
        eio_session_end(session, reason_of(code, reason));
    } else {
        eio_upgrade_fail(session);
    }
}

static const struct ws_stream_ops stream_ops = {.on_message = on_message, .on_close = on_close};

static enum err send_frames(struct eio_session *session, struct rcbuf *frames)
{
    enum err err = ws_stream_send(&session->ws, frames);
    if (err) {
        eio_session_end(session, err == ERR_LIMIT ? EIO_CLOSE_SLOW : EIO_CLOSE_TRANSPORT);
    }
    return err;
}

static enum err websocket_send(struct eio_session *session, struct eio_batch *batch)
{
    struct rcbuf *frames = eio_batch_frames(batch);
    if (!frames) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
        return ERR_NOMEM;
    }
    return send_frames(session, frames);
}

/* On failure the session has ended, and nobody waits for this ping. */
static void websocket_ping(struct eio_session *session)
{
    if (send_frames(session, session->server->ping)) {
        return;
    }
}

static void websocket_close(struct eio_session *session)
{
    ws_stream_close(&session->ws, WS_NORMAL);
}

/* Where our close frame was sent before and not answered in time, there is nothing left to say. */
static void websocket_drop(struct eio_session *session)
{
    if (session->reason == EIO_CLOSE_PROTOCOL) {
        ws_stream_fail(&session->ws, WS_POLICY);
    } else if (session->reason == EIO_CLOSE_SLOW || session->reason == EIO_CLOSE_SERVER) {
        ws_stream_abort(&session->ws);
    } else {
        ws_stream_fail(&session->ws,
                       session->reason == EIO_CLOSE_DRAIN ? WS_GOING_AWAY : WS_NORMAL);
    }
}

/* The close frame goes behind all that is queued, and is not waited for: what is due to the client
 * from here on is what it comes back for. */
static void websocket_leave(struct eio_session *session)
{
    eio_session_end(session, EIO_CLOSE_DRAIN);
}

const struct eio_transport eio_websocket = {
    .name = "websocket",
    .send = websocket_send,
    .ping = websocket_ping,
    .close = websocket_close,
    .leave = websocket_leave,
    .drop = websocket_drop,
};

struct rcbuf *eio_websocket_accept(const struct http_request *request, unsigned *ret_status)
{
    struct buf response;
    buf_init(&response, 0);
    *ret_status = 503;
    enum err err = ws_handshake_accept(request, &response, ret_status);
    struct rcbuf *bytes = err ? NULL : rcbuf_copy(buf_str(&response));
    buf_fini(&response);
    return bytes;
}

static uint32_t max_message(const struct eio_session *session)
{
    uint64_t max = session->server->options->max_payload;
    return max < UINT32_MAX ? (uint32_t)max : UINT32_MAX;
}

enum err eio_websocket_begin(struct eio_session *session, struct http_exchange *exchange,
                             const struct http_request *request, unsigned *ret_status)
{
    struct net_conn *conn = http_exchange_conn(exchange);
    struct rcbuf *accept = eio_websocket_accept(request, ret_status);
    enum err err = accept ? net_conn_send(conn, accept) : ERR_PROTO;
    rcbuf_unref(&accept);
    if (!err) {
        ws_stream_init(&session->ws, conn, &stream_ops, max_message(session));
    }
    return err;
}

void eio_websocket_adopt(struct eio_session *session, struct ws_stream *stream)
{
    session->ws = *stream;
    session->ws.ops = &stream_ops;
    session->ws.max_message = max_message(session);
    net_conn_set_owner(session->ws.conn, &ws_net_ops, &session->ws);
}

void eio_websocket_take(struct eio_session *session, struct http_exchange *exchange)
{
    if (session->ws.conn) {
        http_upgrade(exchange, &ws_net_ops, &session->ws);
    } else { /* its first packets could not be queued */
        http_upgrade(exchange, &ws_ended_ops, NULL);
    }
}

void eio_websocket_send_queue(struct eio_session *session)
{
    struct rcbuf *packet;
    while ((packet = eio_queue_front(&session->queue)) && !send_frames(session, packet)) {
        eio_queue_pop(&session->queue);
    }
}

void eio_websocket_one_too_many(struct http_exchange *exchange, const struct http_request *request)
{
    unsigned status;
    struct rcbuf *accept = eio_websocket_accept(request, &status);
    if (accept) {
        eio_websocket_turn_away(exchange, accept);
    } else {
        eio_respond_ws_refusal(exchange, status);
    }
    rcbuf_unref(&accept);
}

static void ignore_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    (void)stream;
    (void)opcode;
    (void)payload;
}

static void ignore_close(struct ws_stream *stream, unsigned code, enum net_close_reason reason)
{
    (void)stream;
    (void)code;
    (void)reason;
}

void eio_websocket_turn_away(struct http_exchange *exchange, struct rcbuf *accept)
{
    static const struct ws_stream_ops ignore = {.on_message = ignore_message,
                                                .on_close = ignore_close};
    struct net_conn *conn = http_exchange_conn(exchange);
    struct ws_stream stream;
    if (net_conn_send(conn, accept)) {
        eio_respond_ws_refusal(exchange, 503);
        return;
    }
    ws_stream_init(&stream, conn, &ignore, 0);
    http_upgrade(exchange, &ws_net_ops, &stream);
    ws_stream_fail(&stream, WS_POLICY); /* from here on the connection knows it no more */
}

/*
 * From polling to WebSocket: the client probes the candidate, its polls are ended, it says `5`, and
 * from there on the candidate is the transport. Whatever goes wrong costs the candidate only.
 */
#include <stdlib.h>

#include "engineio/internal.h"

/* As often as the reference: a client may start another poll while it upgrades. */
enum { NOOP_MS = 100 };

struct eio_upgrade {
    struct eio_session *session;
    struct wheel_timer timer; /* the end of patience, or the next noop before it */
    uint64_t deadline_ms;
    bool probed;
};

bool eio_upgrade_probed(const struct eio_session *session)
{
    return session->upgrade && session->upgrade->probed;
}

static void set_timer(struct eio_upgrade *upgrade)
{
    struct loop *loop = upgrade->session->server->loop;
    uint64_t now = loop_now(loop);
    uint64_t left = upgrade->deadline_ms > now ? upgrade->deadline_ms - now : 0;
    loop_timer_set(loop, &upgrade->timer, upgrade->probed && left > NOOP_MS ? NOOP_MS : left);
}

/* What waits leaves by the poll; only without news it is ended by a noop. */
static void end_poll(struct eio_session *session)
{
    session->transport->flush(session);
    eio_polling_noop(session);
}

static void on_timer(struct wheel_timer *timer)
{
    struct eio_upgrade *upgrade = container_of(timer, struct eio_upgrade, timer);
    struct eio_session *session = upgrade->session;
    if (loop_now(session->server->loop) >= upgrade->deadline_ms) {
        eio_upgrade_fail(session);
        return;
    }
    set_timer(upgrade);
    end_poll(session);
}

/* The attempt is over, one way or the other. */
static void finish(struct eio_session *session)
{
    struct eio_upgrade *upgrade = session->upgrade;
    session->upgrade = NULL;
    loop_timer_cancel(session->server->loop, &upgrade->timer);
    free(upgrade);
    eio_session_move(session, EIO_OPEN);
}

void eio_upgrade_fail(struct eio_session *session)
{
    if (!session->upgrade) {
        return;
    }
    finish(session);
    ws_stream_fail(&session->ws, WS_POLICY);
    eio_heartbeat_release(session);
}

/* From here on by WebSocket alone: what a late poll took with it might arrive out of order. */
static void complete(struct eio_session *session)
{
    eio_polling_noop(session);
    finish(session);
    eio_session_set_transport(session, &eio_websocket);
    session->server->stats.upgraded++;
    eio_websocket_send_queue(session);
    if (session->state == EIO_OPEN) {
        eio_heartbeat_release(session);
    }
}

static void probe(struct eio_session *session)
{
    if (ws_stream_send(&session->ws, session->server->probe)) {
        eio_upgrade_fail(session);
        return;
    }
    session->upgrade->probed = true;
    eio_heartbeat_hold(session);
    set_timer(session->upgrade);
    end_poll(session);
}

void eio_upgrade_receive(struct eio_session *session, enum ws_opcode opcode, struct str payload)
{
    if (opcode == WS_TEXT && str_eq(payload, STR("2probe"))) {
        probe(session);
    } else if (opcode == WS_TEXT && str_eq(payload, STR("5")) && eio_upgrade_probed(session)) {
        complete(session);
    } else {
        eio_upgrade_fail(session);
    }
}

static struct eio_upgrade *upgrade_new(struct eio_session *session)
{
    struct eio_upgrade *upgrade = calloc(1, sizeof *upgrade);
    if (upgrade) {
        struct eio_server *server = session->server;
        upgrade->session = session;
        upgrade->deadline_ms = loop_now(server->loop) + server->options->upgrade_timeout_ms;
        wheel_timer_init(&upgrade->timer, on_timer);
    }
    return upgrade;
}

void eio_upgrade_start(struct eio_session *session, struct http_exchange *exchange,
                       const struct http_request *request)
{
    if (session->state != EIO_OPEN || session->ws.conn || session->leaving) {
        eio_websocket_turn_away(exchange, request);
        return;
    }
    struct eio_upgrade *upgrade = upgrade_new(session);
    unsigned status = 503;
    if (!upgrade || eio_websocket_begin(session, exchange, request, &status)) {
        free(upgrade);
        eio_respond_ws_refusal(exchange, status);
        return;
    }
    session->upgrade = upgrade;
    eio_session_move(session, EIO_UPGRADING);
    set_timer(upgrade);
    eio_websocket_take(session, exchange);
}

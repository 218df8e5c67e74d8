/*
 * From polling to WebSocket: the client probes the candidate, its polls are ended, it says `5`, and
 * from there on the candidate is the transport. Whatever goes wrong costs the candidate only.
 */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"

/* As often as the reference: a client may start another poll while it upgrades. */
enum { NOOP_MS = 100 };

/* Times RELAY_TIMEOUT, for two exchanges and what both gateways have to do between them. */
enum { MOVE_PATIENCE = 3 };

struct eio_upgrade {
    struct eio_session *session;
    struct wheel_timer timer; /* the end of patience, or the next noop before it */
    uint64_t deadline_ms;
    bool probed;
    bool is_away; /* the candidate is with another gateway: */
    char gateway[EIO_GATEWAY_ID_LEN];
    uint64_t number;
    uint64_t heartbeat_left_ms; /* of its phase, when the session began to leave */
};

bool eio_upgrade_probed(const struct eio_session *session)
{
    return session->state == EIO_UPGRADING && session->polled->upgrade->probed;
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
    eio_session_on(session)->flush(session);
    eio_polling_noop(session);
}

static void on_timer(struct wheel_timer *timer)
{
    struct eio_upgrade *upgrade = container_of(timer, struct eio_upgrade, timer);
    struct eio_session *session = upgrade->session;
    if (session->state == EIO_MOVING) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT); /* what became of it nobody knows */
        return;
    }
    if (loop_now(session->server->loop) >= upgrade->deadline_ms) {
        eio_upgrade_fail(session);
        return;
    }
    set_timer(upgrade);
    end_poll(session);
}

static void forget(struct eio_session *session)
{
    struct eio_upgrade *upgrade = session->polled->upgrade;
    session->polled->upgrade = NULL;
    loop_timer_cancel(session->server->loop, &upgrade->timer);
    free(upgrade);
}

/* The attempt is over, one way or the other. */
static void finish(struct eio_session *session)
{
    forget(session);
    eio_session_move(session, EIO_OPEN);
}

/* To the gateway that has the candidate. */
static void tell(struct eio_session *session, enum eio_outcome outcome, enum eio_error error,
                 struct str body)
{
    const struct eio_upgrade *upgrade = session->polled->upgrade;
    const struct eio_asker asker = {.gateway = str_range(upgrade->gateway, EIO_GATEWAY_ID_LEN),
                                    .number = upgrade->number,
                                    .sid = eio_session_sid(session)};
    if (outcome == EIO_REFUSED) {
        eio_answer_error(session->server, &asker, error);
    } else {
        eio_answer(session->server, &asker, outcome, body);
    }
}

void eio_upgrade_fail(struct eio_session *session)
{
    const struct eio_upgrade *upgrade = eio_session_upgrade(session);
    if (!upgrade) {
        return;
    }
    if (upgrade->is_away) {
        tell(session, EIO_REFUSED, EIO_ERROR_SID, STR(""));
    }
    if (session->state == EIO_MOVING) {
        forget(session);
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
    if (session->state != EIO_UPGRADING) {
        return; /* the poll's answer could not be sent */
    }
    eio_away_drop(session); /* a client that switches has had its answer */
    finish(session);
    eio_session_leave_polling(session);
    session->server->stats.upgraded++;
    eio_websocket_send_queue(session);
    if (session->state == EIO_OPEN) {
        eio_heartbeat_release(session);
    }
}

static void note_probe(struct eio_session *session)
{
    session->polled->upgrade->probed = true;
    eio_heartbeat_hold(session);
    set_timer(session->polled->upgrade);
    end_poll(session);
}

static void probe(struct eio_session *session)
{
    if (ws_stream_send(&session->ws, session->server->probe)) {
        eio_upgrade_fail(session);
    } else {
        note_probe(session);
    }
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
        eio_websocket_one_too_many(exchange, request);
        return;
    }
    struct eio_upgrade *upgrade = upgrade_new(session);
    unsigned status = 503;
    if (!upgrade || eio_websocket_begin(session, exchange, request, &status)) {
        free(upgrade);
        eio_respond_ws_refusal(exchange, status);
        return;
    }
    session->polled->upgrade = upgrade;
    eio_session_move(session, EIO_UPGRADING);
    set_timer(upgrade);
    eio_websocket_take(session, exchange);
}

/* --- With a candidate that another gateway has --- */

bool eio_upgrade_is_away(const struct eio_session *session, struct str gateway, uint64_t number)
{
    const struct eio_upgrade *upgrade = eio_session_upgrade(session);
    return upgrade && upgrade->is_away && upgrade->number == number &&
           str_eq(gateway, str_range(upgrade->gateway, EIO_GATEWAY_ID_LEN));
}

void eio_upgrade_start_away(struct eio_session *session, const struct eio_asker *asker)
{
    bool may = session->state == EIO_OPEN && !session->ws.conn && !session->leaving &&
               session->server->ops->on_move;
    struct eio_upgrade *upgrade = may ? upgrade_new(session) : NULL;
    if (!upgrade) {
        eio_answer(session->server, asker, may ? EIO_BUSY : EIO_ONE_TOO_MANY, STR(""));
        return;
    }
    upgrade->is_away = true;
    upgrade->number = asker->number;
    memcpy(upgrade->gateway, asker->gateway.ptr, EIO_GATEWAY_ID_LEN);
    session->polled->upgrade = upgrade;
    eio_session_move(session, EIO_UPGRADING);
    set_timer(upgrade);
    tell(session, EIO_WELCOME, EIO_NO_ERROR, STR(""));
}

void eio_upgrade_probed_away(struct eio_session *session)
{
    if (session->state == EIO_UPGRADING) {
        note_probe(session);
    }
}

/* As in complete(): what a late poll took with it might arrive out of order. */
void eio_upgrade_move(struct eio_session *session)
{
    if (session->state != EIO_UPGRADING) {
        return;
    }
    struct eio_server *server = session->server;
    eio_polling_noop(session);
    if (session->state != EIO_UPGRADING) {
        return; /* the poll's answer could not be sent */
    }
    eio_session_move(session, EIO_MOVING);
    session->polled->upgrade->heartbeat_left_ms = eio_heartbeat_stop(session);
    loop_timer_set(server->loop, &session->polled->upgrade->timer,
                   MOVE_PATIENCE * server->relay->options.timeout_ms);
    server->ops->on_move(session);
}

void eio_session_pack(struct eio_session *session, struct str state)
{
    struct buf body = {0};
    if (session->state != EIO_MOVING) {
        return;
    }
    if (!eio_relay_write_state(session->heartbeat, session->polled->upgrade->heartbeat_left_ms,
                               state, &body)) { /* without memory the patience of both ends */
        tell(session, EIO_STATE, EIO_NO_ERROR, buf_str(&body));
    }
    buf_fini(&body);
}

void eio_upgrade_place(struct eio_session *session, struct str place)
{
    if (session->state == EIO_MOVING) {
        session->server->ops->on_ask(session, place);
    }
}

static enum err write_rest(struct eio_session *session, struct str rest, struct buf *out)
{
    struct rcbuf *packet;
    enum err err = eio_relay_write_rest(rest, out);
    while (!err && (packet = eio_queue_front(&session->queue))) {
        err = eio_relay_write_packet(packet, out);
        eio_queue_pop(&session->queue);
    }
    return err;
}

void eio_session_hand_over(struct eio_session *session, struct str rest)
{
    struct buf body;
    if (session->state != EIO_MOVING) {
        return;
    }
    buf_init(&body, BUS_CONTROL_PAYLOAD_MAX / 2);
    if (write_rest(session, rest, &body)) {
        eio_session_end(session, EIO_CLOSE_SLOW); /* more is due to it than one message holds */
    } else {
        tell(session, EIO_REST, EIO_NO_ERROR, buf_str(&body));
        forget(session); /* with nothing said of failure */
        eio_relay_note_moved(session);
        eio_session_end(session, EIO_CLOSE_MOVED);
    }
    buf_fini(&body);
}

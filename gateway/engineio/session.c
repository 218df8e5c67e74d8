/* The life of a session: one table of states, one function that moves. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engineio/internal.h"
#include "log/log.h"
#include "util/rand.h"

enum {
    SID_RANDOM = 20,    /* characters: 120 random bits */
    DEADLINE_MS = 5000, /* for a client to take its last bytes and to answer a close frame */
};

#define TO(state) (1u << (state))
static const struct {
    const char *name;
    unsigned next; /* allowed */
} states[EIO_STATES] = {
    [EIO_OPENING] = {"opening", TO(EIO_OPEN) | TO(EIO_CLOSING)},
    [EIO_OPEN] = {"open", TO(EIO_UPGRADING) | TO(EIO_CLOSING)},
    [EIO_UPGRADING] = {"upgrading", TO(EIO_OPEN) | TO(EIO_MOVING)},
    [EIO_MOVING] = {"moving", TO(EIO_CLOSING)},
    [EIO_CLOSING] = {"closing", TO(EIO_CLOSED)},
    [EIO_CLOSED] = {"closed", 0},
};

void eio_session_move(struct eio_session *session, enum eio_state state)
{
    assert(states[session->state].next & TO(state));
    log_debug("engine.io session", LOG_CSTR("peer", eio_session_peer(session)),
              LOG_CSTR("from", states[session->state].name), LOG_CSTR("to", states[state].name));
    session->state = (uint8_t)state;
}

const char *eio_close_reason_name(enum eio_close_reason reason)
{
    static const char *const names[EIO_CLOSE_REASONS] = {
        [EIO_CLOSE_SERVER] = "server",
        [EIO_CLOSE_CLIENT] = "client",
        [EIO_CLOSE_TRANSPORT] = "transport",
        [EIO_CLOSE_PING_TIMEOUT] = "ping timeout",
        [EIO_CLOSE_PROTOCOL] = "protocol error",
        [EIO_CLOSE_SLOW] = "too slow",
        [EIO_CLOSE_DISPLACED] = "displaced",
        [EIO_CLOSE_MOVED] = "moved",
        [EIO_CLOSE_DRAIN] = "drain",
    };
    return reason < EIO_CLOSE_REASONS ? names[reason] : "unknown";
}

void *eio_session_room(struct eio_session *session)
{
    return session->room;
}

struct eio_session *eio_session_of_room(void *room)
{
    return container_of(room, struct eio_session, room);
}

void *eio_session_owner(const struct eio_session *session)
{
    return session->server->owner;
}

/* The sid, and the peer's address behind it. */
static char *text_of(const struct eio_session *session)
{
    return (char *)session->room + session->server->ops->room_size;
}

struct str eio_session_sid(const struct eio_session *session)
{
    return str_range(text_of(session), session->sid_len);
}

const char *eio_session_peer(const struct eio_session *session)
{
    char *text = session->server->peer;
    net_address_print((const unsigned char *)text_of(session) + session->sid_len, text);
    return text;
}

const char *eio_session_transport(const struct eio_session *session)
{
    return eio_session_on(session)->name;
}

static size_t *transport_count(struct eio_session *session)
{
    struct eio_server_stats *stats = &session->server->stats;
    return session->polled ? &stats->polling : &stats->websocket;
}

void eio_session_leave_polling(struct eio_session *session)
{
    --*transport_count(session);
    free(session->polled);
    session->polled = NULL;
    ++*transport_count(session);
}

static void on_deadline(struct wheel_timer *timer)
{
    struct eio_session *session = container_of(timer, struct eio_session, timer);
    eio_session_end(session, (enum eio_close_reason)session->reason);
}

static void session_free(struct eio_session *session)
{
    free(session->polled);
    free(session);
}

static struct eio_session *session_new(struct eio_server *server, struct net_conn *conn,
                                       const struct eio_transport *transport, struct str sid)
{
    unsigned char peer[NET_ADDRESS_MAX];
    size_t peer_size = net_conn_address(conn, peer);
    struct eio_session *session =
        calloc(1, sizeof *session + server->ops->room_size + sid.len + peer_size);
    if (!session) {
        return NULL;
    }
    session->server = server;
    session->sid_len = (uint8_t)sid.len;
    memcpy(text_of(session), sid.ptr, sid.len);
    memcpy(text_of(session) + sid.len, peer, peer_size);
    list_init(&session->due);
    wheel_timer_init(&session->timer, on_deadline);
    bool polls = transport == &eio_polling;
    session->polled = polls ? calloc(1, sizeof *session->polled) : NULL;
    if ((polls && !session->polled) || map_insert(&server->by_sid, &session->node)) {
        session_free(session);
        return NULL;
    }
    server->stats.sessions++;
    ++*transport_count(session);
    return session;
}

struct eio_session *eio_session_new(struct eio_server *server, struct net_conn *conn,
                                    const struct eio_transport *transport)
{
    char sid[EIO_GATEWAY_ID_LEN + SID_RANDOM];
    struct str owner = eio_server_gateway_id(server);
    memcpy(sid, owner.ptr, owner.len);
    rand_id(sid + owner.len, SID_RANDOM);
    return session_new(server, conn, transport, str_range(sid, owner.len + SID_RANDOM));
}

struct eio_session *eio_session_new_arriving(struct eio_server *server, struct net_conn *conn,
                                             struct str sid)
{
    return session_new(server, conn, &eio_websocket, sid);
}

static void reap(struct loop_reap *node)
{
    session_free(container_of(node, struct eio_session, reap));
}

/* The last reference in this room is gone. */
static void release(struct eio_session *session)
{
    list_remove(&session->due);
    eio_queue_clear(&session->queue);
    loop_reap(session->server->loop, &session->reap, reap);
}

static void forget(struct eio_session *session)
{
    eio_server_pass_over(session);
    map_remove(&session->server->by_sid, &session->node);
    session->server->stats.sessions--;
    session->server->stats.leaving -= session->leaving;
    --*transport_count(session);
}

void eio_session_discard(struct eio_session *session)
{
    forget(session);
    release(session);
}

void eio_session_opened(struct eio_session *session)
{
    eio_session_move(session, EIO_OPEN);
    eio_heartbeat_start(session);
    if (!session->polled) {
        eio_websocket_send_queue(session);
    }
    if (session->close_asked) {
        eio_session_close(session, (enum eio_close_reason)session->reason);
    }
}

void eio_session_touch(struct eio_session *session)
{
    if (!list_linked(&session->due)) {
        list_push_back(&session->server->due, &session->due);
        loop_defer(session->server->loop, &session->server->turn);
    }
}

static void set_deadline(struct eio_session *session)
{
    struct loop *loop = session->server->loop;
    loop_timer_cancel(loop, &session->timer);
    wheel_timer_init(&session->timer, on_deadline);
    loop_timer_set(loop, &session->timer, DEADLINE_MS);
}

/* In OPENING there is no transport to write to yet. Nothing is left out: it ends when it opens. */
static enum err queue_early(struct eio_session *session, const struct eio_batch *batch)
{
    enum err err = session->close_asked ? ERR_CLOSED : OK;
    for (size_t i = 0; i < batch->count && !err; i++) {
        err = eio_queue_push(&session->queue, batch->packets[i],
                             session->server->options->queue_bytes);
    }
    if (err && !session->close_asked) {
        session->close_asked = true;
        session->reason = EIO_CLOSE_SLOW;
    }
    return err;
}

enum err eio_session_send_batch(struct eio_session *session, struct eio_batch *batch)
{
    if (session->state == EIO_OPENING) {
        return queue_early(session, batch);
    }
    if (session->state >= EIO_CLOSING) {
        return ERR_CLOSED;
    }
    return eio_session_on(session)->send(session, batch);
}

enum err eio_session_send(struct eio_session *session, struct rcbuf *packet)
{
    struct eio_batch alone = {.packets = &packet, .count = 1}; /* which owns nothing */
    return eio_session_send_batch(session, &alone);
}

void eio_session_fetch(const struct eio_session *session)
{
    __builtin_prefetch(&session->server);
    __builtin_prefetch(&session->state);
}

void eio_session_fetch_conn(const struct eio_session *session)
{
    if (session->ws.conn) {
        net_conn_fetch(session->ws.conn);
    }
}

void eio_session_close(struct eio_session *session, enum eio_close_reason reason)
{
    if (session->state >= EIO_CLOSING) {
        return;
    }
    session->reason = (uint8_t)reason;
    if (session->state == EIO_OPENING && eio_guest_forget(session)) {
        eio_session_end(session, reason);
        return;
    }
    if (session->state == EIO_OPENING) {
        session->close_asked = true;
        return;
    }
    if (session->state == EIO_MOVING) {
        eio_session_end(session, reason);
        return;
    }
    eio_upgrade_fail(session);
    eio_session_move(session, EIO_CLOSING);
    set_deadline(session);
    eio_session_on(session)->close(session);
}

bool eio_session_leave(struct eio_session *session)
{
    if (session->state != EIO_OPEN || session->leaving) {
        return false;
    }
    session->leaving = true;
    session->server->stats.leaving++;
    eio_session_on(session)->leave(session);
    return true;
}

void eio_session_end(struct eio_session *session, enum eio_close_reason reason)
{
    if (session->state == EIO_CLOSED) {
        return;
    }
    if (session->state == EIO_OPENING) {
        (void)eio_guest_forget(session);
    }
    if (session->state != EIO_CLOSING) {
        eio_upgrade_fail(session);
        session->reason = (uint8_t)reason;
        eio_session_move(session, EIO_CLOSING);
    }
    eio_session_move(session, EIO_CLOSED);
    session->server->stats.closed[session->reason]++;
    forget(session);
    loop_timer_cancel(session->server->loop, &session->timer);
    eio_session_on(session)->drop(session);
    eio_away_drop(session);
    eio_queue_clear(&session->queue);
    list_remove(&session->due); /* it may have been waiting for others */
    eio_session_touch(session);
}

void eio_session_turn(struct eio_session *session)
{
    if (session->state == EIO_CLOSED) {
        session->server->ops->on_close(session, (enum eio_close_reason)session->reason);
        release(session);
    } else if (eio_session_on(session)->flush) {
        eio_session_on(session)->flush(session);
    }
}

static void message(struct eio_session *session, const struct eio_packet *packet)
{
    session->server->ops->on_message(session, packet->binary, packet->data);
}

void eio_session_receive(struct eio_session *session, const struct eio_packet *packet)
{
    if (session->state != EIO_OPEN && session->state != EIO_UPGRADING) {
        return;
    }
    switch (packet->type) {
    case EIO_PACKET_MESSAGE:
        message(session, packet);
        break;
    case EIO_PACKET_PONG:
        eio_heartbeat_pong(session);
        break;
    case EIO_PACKET_CLOSE:
        eio_session_end(session, EIO_CLOSE_CLIENT);
        break;
    case EIO_PACKET_PING: /* the wrong direction since protocol 4 */
        eio_session_end(session, EIO_CLOSE_PROTOCOL);
        break;
    case EIO_PACKET_OPEN:
    case EIO_PACKET_UPGRADE:
    case EIO_PACKET_NOOP:
        break;
    }
}

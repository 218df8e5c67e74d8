/*
 * A WebSocket here for a session that another gateway has: from its opening on, through the
 * client's probe and its `5`, until the session has arrived and the WebSocket is its transport.
 */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"
#include "log/log.h"

enum guest_state {
    GUEST_OPEN,     /* the client is to probe */
    GUEST_PROBED,   /* it has, and is to say `5` */
    GUEST_TAKING,   /* it did; the session's state is asked for */
    GUEST_ARRIVING, /* the session is here, and looks where it can go on */
    GUEST_ASKING,   /* it knows; the rest is asked for */
};

struct guest {
    struct map_node node;
    struct map_node by_sid; /* of relay->arriving, while there is a session */
    struct eio_relay *relay;
    struct ws_stream ws;         /* until the session arrives */
    struct eio_session *session; /* from then on */
    struct wheel_timer deadline;
    struct buf early;           /* what the client said behind its `5` */
    unsigned heartbeat;         /* the phase that the session was in, and … */
    uint64_t heartbeat_left_ms; /* … what was left of it */
    uint64_t number;
    enum guest_state state;
    struct loop_reap reap;
    char gateway[EIO_GATEWAY_ID_LEN];
    uint8_t sid_len;
    char sid[];
};

static struct str key_of(const struct map_node *node)
{
    const struct guest *guest = container_of(node, struct guest, node);
    return str_range((const char *)&guest->number, sizeof guest->number);
}

static struct str sid_of(const struct map_node *node)
{
    const struct guest *guest = container_of(node, struct guest, by_sid);
    return str_range(guest->sid, guest->sid_len);
}

/* Of a session that arrives; NULL for any other. */
static struct guest *of_session(const struct eio_session *session)
{
    struct eio_relay *relay = session->server->relay;
    struct map_node *node = relay ? map_find(&relay->arriving, eio_session_sid(session)) : NULL;
    return node ? container_of(node, struct guest, by_sid) : NULL;
}

/* They know nothing of each other any more. */
static void part_with_session(struct guest *guest)
{
    if (guest->session) {
        map_remove(&guest->relay->arriving, &guest->by_sid);
        guest->session = NULL;
    }
}

static struct guest *of_stream(struct ws_stream *stream)
{
    return container_of(stream, struct guest, ws);
}

static void reap(struct loop_reap *node)
{
    free(container_of(node, struct guest, reap));
}

/* Its stream may be reading further up the stack. */
static void guest_free(struct guest *guest)
{
    loop_timer_cancel(guest->relay->server->loop, &guest->deadline);
    map_remove(&guest->relay->guests, &guest->node);
    part_with_session(guest);
    buf_fini(&guest->early);
    loop_reap(guest->relay->server->loop, &guest->reap, reap);
}

/* Ends the attempt; the client comes back by itself where it has given up polling already. */
static void fail(struct guest *guest)
{
    struct eio_session *session = guest->session;
    ws_stream_fail(&guest->ws, WS_POLICY);
    guest_free(guest);
    if (session) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
    }
}

/* --- To the session's owner --- */

static void on_sent(void *context, const struct redisReply *reply);

static void say(struct guest *guest, enum eio_relay_verb verb, struct str body)
{
    struct eio_relay *relay = guest->relay;
    const struct eio_relay_request request = {
        .gateway = str_from(relay->options.gateway_id),
        .number = guest->number,
        .verb = verb,
        .sid = str_range(guest->sid, guest->sid_len),
        .body = body,
    };
    eio_relay_send(relay, str_range(guest->gateway, EIO_GATEWAY_ID_LEN), &request, on_sent,
                   relay); /* without memory the deadline ends it */
}

/* An owner that is gone answers nothing; the deadline, which is short, shows it as well. */
static void on_sent(void *context, const struct redisReply *reply)
{
    struct eio_relay *relay = context;
    relay->stats.gone += bus_control_sent(reply) == BUS_SENT_TO_NOBODY;
}

/* The owner is told, so that the session goes on by polling where it still can. */
static void give_up(struct guest *guest)
{
    say(guest, EIO_RELAY_FAIL, STR(""));
    fail(guest);
}

static void on_deadline(struct wheel_timer *timer)
{
    struct guest *guest = container_of(timer, struct guest, deadline);
    guest->relay->stats.overdue++;
    give_up(guest);
}

/* --- From the client --- */

static void take(struct guest *guest)
{
    struct eio_server *server = guest->relay->server;
    guest->state = GUEST_TAKING;
    net_conn_pause(guest->ws.conn);
    loop_timer_set(server->loop, &guest->deadline, 2 * guest->relay->options.timeout_ms);
    say(guest, EIO_RELAY_TAKE, STR(""));
}

static void probe(struct guest *guest)
{
    if (ws_stream_send(&guest->ws, guest->relay->server->probe)) {
        give_up(guest);
        return;
    }
    guest->state = GUEST_PROBED;
    say(guest, EIO_RELAY_PROBED, STR(""));
}

/* "<t or b> <bytes>\n" and the message. */
static enum err keep(struct buf *early, enum ws_opcode opcode, struct str payload)
{
    enum err err = buf_printf(early, "%c %zu\n", opcode == WS_TEXT ? 't' : 'b', payload.len);
    return err ? err : buf_append(early, payload);
}

static void on_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    struct guest *guest = of_stream(stream);
    bool is_text = opcode == WS_TEXT;
    if (guest->state >= GUEST_TAKING) {
        if (keep(&guest->early, opcode, payload)) {
            give_up(guest);
        }
    } else if (guest->state == GUEST_OPEN && is_text && str_eq(payload, STR("2probe"))) {
        probe(guest);
    } else if (guest->state == GUEST_PROBED && is_text && str_eq(payload, STR("5"))) {
        take(guest);
    } else {
        give_up(guest);
    }
}

static void on_close(struct ws_stream *stream, unsigned code, enum net_close_reason reason)
{
    (void)code;
    (void)reason;
    give_up(of_stream(stream));
}

static const struct ws_stream_ops stream_ops = {.on_message = on_message, .on_close = on_close};

/* --- From the owner --- */

static void arrive(struct guest *guest, struct str body)
{
    struct eio_server *server = guest->relay->server;
    struct str state;
    enum err err = eio_relay_read_state(body, &guest->heartbeat, &guest->heartbeat_left_ms, &state);
    struct eio_session *session =
        err ? NULL
            : eio_session_new_arriving(server, guest->ws.conn,
                                       str_range(guest->sid, guest->sid_len));
    if (!session) {
        give_up(guest);
        return;
    }
    if (map_insert(&guest->relay->arriving, &guest->by_sid)) {
        eio_session_discard(session);
        give_up(guest);
        return;
    }
    guest->session = session;
    guest->state = GUEST_ARRIVING;
    eio_websocket_adopt(session, &guest->ws);
    guest->ws.conn = NULL;
    if (server->ops->on_arrive(server->owner, session, state)) {
        part_with_session(guest);
        ws_stream_fail(&session->ws, WS_POLICY);
        eio_session_discard(session);
        give_up(guest);
    }
}

void eio_session_ask(struct eio_session *session, struct str place)
{
    struct guest *guest = of_session(session);
    if (guest) {
        guest->state = GUEST_ASKING;
        say(guest, EIO_RELAY_PLACE, place);
    }
}

static enum err queue_packets(struct eio_session *session, struct str packets)
{
    struct rcbuf *packet = NULL;
    enum err err;
    while (!(err = eio_relay_read_packet(&packets, &packet))) {
        err = eio_session_send(session, packet);
        rcbuf_unref(&packet);
        if (err) {
            return err;
        }
    }
    return err == ERR_AGAIN ? OK : err;
}

/* What the client said behind its `5`, as if it came now. */
static void hear(struct eio_session *session, struct str early)
{
    struct str payload;
    bool binary;
    while (!eio_relay_next_packet(&early, &binary, &payload)) {
        eio_websocket_hear(session, binary ? WS_BINARY : WS_TEXT, payload);
    }
}

static void arrived(struct guest *guest, struct str body)
{
    struct eio_session *session = guest->session;
    struct eio_server *server = guest->relay->server;
    struct str rest, packets;
    if (eio_relay_read_rest(body, &rest, &packets) || queue_packets(session, packets)) {
        fail(guest);
        return;
    }
    struct buf early = guest->early;
    unsigned heartbeat = guest->heartbeat;
    uint64_t left_ms = guest->heartbeat_left_ms;
    buf_init(&guest->early, 0);
    guest->relay->stats.moved_in++;
    server->stats.upgraded++;
    guest_free(guest);
    server->ops->on_arrived(session, rest);
    eio_session_opened(session);
    eio_heartbeat_resume(session, heartbeat, left_ms);
    hear(session, buf_str(&early));
    buf_fini(&early);
    if (session->ws.conn) {
        net_conn_resume(session->ws.conn);
    }
}

bool eio_guest_answered(struct eio_relay *relay, const struct eio_relay_answer *answer)
{
    struct map_node *node =
        map_find(&relay->guests, str_range((const char *)&answer->number, sizeof answer->number));
    struct guest *guest = node ? container_of(node, struct guest, node) : NULL;
    if (!guest) {
        return false;
    }
    if (answer->outcome == EIO_STATE && guest->state == GUEST_TAKING) {
        arrive(guest, answer->body);
    } else if (answer->outcome == EIO_REST && guest->state == GUEST_ASKING) {
        arrived(guest, answer->body);
    } else {
        fail(guest);
    }
    return true;
}

bool eio_guest_forget(struct eio_session *session)
{
    struct guest *guest = of_session(session);
    if (guest) {
        part_with_session(guest);
        give_up(guest);
    }
    return guest;
}

/* --- Birth and death --- */

static struct guest *guest_new(struct eio_relay *relay, uint64_t number, struct str gateway,
                               struct str sid)
{
    struct guest *guest = calloc(1, sizeof *guest + sid.len);
    if (!guest) {
        return NULL;
    }
    guest->relay = relay;
    guest->number = number;
    memcpy(guest->gateway, gateway.ptr, EIO_GATEWAY_ID_LEN);
    guest->sid_len = (uint8_t)sid.len;
    memcpy(guest->sid, sid.ptr, sid.len);
    buf_init(&guest->early, 2 * (size_t)relay->server->options->max_payload);
    wheel_timer_init(&guest->deadline, on_deadline);
    if (map_insert(&relay->guests, &guest->node)) {
        free(guest);
        return NULL;
    }
    return guest;
}

void eio_guest_begin(struct eio_relay *relay, struct http_exchange *exchange, uint64_t number,
                     struct str gateway, struct str sid, struct rcbuf *accept)
{
    struct eio_server *server = relay->server;
    struct net_conn *conn = http_exchange_conn(exchange);
    struct guest *guest = guest_new(relay, number, gateway, sid);
    if (!guest || net_conn_send(conn, accept)) {
        if (guest) {
            guest_free(guest);
        }
        eio_respond_ws_refusal(exchange, 503); /* the owner's patience ends by itself */
        return;
    }
    uint64_t max = server->options->max_payload;
    ws_stream_init(&guest->ws, conn, &stream_ops, max < UINT32_MAX ? (uint32_t)max : UINT32_MAX);
    loop_timer_set(server->loop, &guest->deadline, server->options->upgrade_timeout_ms);
    http_upgrade(exchange, &ws_net_ops, &guest->ws);
}

void eio_guests_init(struct eio_relay *relay)
{
    map_init(&relay->guests, key_of);
    map_init(&relay->arriving, sid_of);
}

void eio_guests_fini(struct eio_relay *relay)
{
    for (struct map_node *node; (node = map_next(&relay->guests, NULL));) {
        struct guest *guest = container_of(node, struct guest, node);
        ws_stream_abort(&guest->ws);
        guest_free(guest);
    }
    map_fini(&relay->guests);
    map_fini(&relay->arriving);
}

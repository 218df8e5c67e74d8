/* Requests of other gateways for sessions that are here. */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"
#include "log/log.h"

/* An answer on its way to a gateway. */
struct sending {
    struct eio_relay *relay;
    struct list node; /* of relay->sendings, until Redis has answered */
    size_t bytes;
    struct eio_away to;
    bool is_packets;
    uint8_t sid_len;
    char sid[];
};

static void sending_free(struct sending *sending)
{
    struct eio_relay *relay = sending->relay;
    list_remove(&sending->node);
    relay->stats.bytes -= sending->bytes;
    free(sending);
    eio_relay_unblock(relay);
}

/* The session whose poll that answers, where it is still not known to have reached the client. */
static struct eio_session *unconfirmed(const struct sending *sending)
{
    struct eio_session *session =
        eio_server_find(sending->relay->server, str_range(sending->sid, sending->sid_len));
    struct str gateway = str_range(sending->to.gateway, EIO_GATEWAY_ID_LEN);
    const struct eio_away *away = session ? eio_session_away(session) : NULL;
    return eio_away_is(away, gateway, sending->to.number) && away->given ? session : NULL;
}

/* A gateway that does not listen is gone, or asks again when it is back. */
static void on_sent(void *context, const struct redisReply *reply)
{
    struct sending *sending = context;
    bool lost = sending->is_packets && bus_control_sent(reply) == BUS_SENT_UNKNOWN;
    struct eio_session *session = lost ? unconfirmed(sending) : NULL;
    sending_free(sending);
    if (session) {
        eio_away_give_again(session);
    }
}

static struct sending *sending_new(struct eio_relay *relay, const struct eio_asker *asker,
                                   const struct eio_relay_answer *answer)
{
    struct str sid = asker->sid;
    struct sending *sending = malloc(sizeof *sending + sid.len);
    if (sending) {
        *sending = (struct sending){.relay = relay,
                                    .bytes = answer->body.len,
                                    .to = {.number = asker->number},
                                    .is_packets = answer->outcome == EIO_PACKETS,
                                    .sid_len = (uint8_t)sid.len};
        memcpy(sending->to.gateway, asker->gateway.ptr, EIO_GATEWAY_ID_LEN);
        memcpy(sending->sid, sid.ptr, sid.len);
        list_init(&sending->node);
        list_push_back(&relay->sendings, &sending->node);
        relay->stats.bytes += sending->bytes;
    }
    return sending;
}

static enum err send_answer(struct eio_relay *relay, struct str gateway, struct str head,
                            struct str body, struct sending *sending)
{
    struct buf channel = {0};
    const struct str pieces[] = {head, body};
    enum err err = bus_gateway_channel(relay->options.keys, gateway, &channel);
    if (!err && !bus_control_send(relay->store, buf_str(&channel), STR("relayed"), pieces,
                                  ARRAY_LEN(pieces), on_sent, sending)) {
        err = ERR_NOMEM;
    }
    buf_fini(&channel);
    return err;
}

/* Without memory the asking gateway waits in vain, until it is overdue. */
void eio_owner_answer(struct eio_server *server, const struct eio_asker *asker,
                      const struct eio_relay_answer *answer)
{
    struct eio_relay *relay = server->relay;
    struct buf head = {0};
    struct sending *sending = sending_new(relay, asker, answer);
    enum err err = sending ? eio_relay_write_answer(answer, &head) : ERR_NOMEM;
    err = err ? err : send_answer(relay, asker->gateway, buf_str(&head), answer->body, sending);
    buf_fini(&head);
    if (err && sending) {
        sending_free(sending);
    }
    struct eio_session *session =
        err && answer->outcome == EIO_PACKETS ? eio_server_find(server, asker->sid) : NULL;
    if (session) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
    }
}

void eio_owner_forget_answers(struct eio_relay *relay)
{
    for (struct list *node; (node = list_pop_front(&relay->sendings));) {
        free(list_entry(node, struct sending, node));
    }
}

/* --- What is asked --- */

static void abort_poll(struct eio_session *session, const struct eio_relay_request *request)
{
    if (eio_away_is(eio_session_away(session), request->gateway, request->number)) {
        eio_polling_abort(session);
    }
}

/* One that waits goes on waiting. */
static void poll_again(struct eio_session *session, const struct eio_relay_request *request,
                       const struct eio_asker *asker)
{
    if (!eio_away_is(eio_session_away(session), request->gateway, request->number)) {
        eio_answer_error(session->server, asker, EIO_ERROR_SID);
    } else if (session->polled->away->given) {
        eio_away_give_again(session);
    }
}

/* A step of an upgrade whose candidate the asking gateway has. */
static void step(struct eio_session *session, const struct eio_relay_request *request,
                 const struct eio_asker *asker)
{
    if (!eio_upgrade_is_away(session, request->gateway, request->number)) {
        eio_answer_error(session->server, asker, EIO_ERROR_SID);
    } else if (request->verb == EIO_RELAY_PROBED) {
        eio_upgrade_probed_away(session);
    } else if (request->verb == EIO_RELAY_TAKE) {
        eio_upgrade_move(session);
    } else if (request->verb == EIO_RELAY_PLACE) {
        eio_upgrade_place(session, request->body);
    } else if (session->state == EIO_MOVING) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
    } else {
        eio_upgrade_fail(session);
    }
}

static void perform(struct eio_session *session, const struct eio_relay_request *request,
                    const struct eio_asker *asker)
{
    switch (request->verb) {
    case EIO_RELAY_POLL:
        eio_polling_poll(session, asker);
        break;
    case EIO_RELAY_POLL_AGAIN:
        poll_again(session, request, asker);
        break;
    case EIO_RELAY_TAKEN:
        eio_away_taken(session, request->gateway, request->number);
        break;
    case EIO_RELAY_POST:
        eio_polling_post(session, asker, request->body);
        break;
    case EIO_RELAY_ABORT:
        abort_poll(session, request);
        break;
    case EIO_RELAY_UPGRADE:
        eio_upgrade_start_away(session, asker);
        break;
    default:
        step(session, request, asker);
    }
}

/* Of a client's; the others are about one that was. */
static bool is_request(enum eio_relay_verb verb)
{
    return verb == EIO_RELAY_POLL || verb == EIO_RELAY_POST || verb == EIO_RELAY_UPGRADE;
}

static bool is_step(enum eio_relay_verb verb)
{
    return verb >= EIO_RELAY_PROBED && verb < EIO_RELAY_VERBS;
}

static bool wants_answer(const struct eio_relay_request *request)
{
    return request->verb != EIO_RELAY_ABORT && request->verb != EIO_RELAY_FAIL &&
           request->verb != EIO_RELAY_TAKEN;
}

/* One that is here by WebSocket, or moves to one, or has moved. */
static bool has_websocket(const struct eio_server *server, const struct eio_session *session,
                          struct str sid)
{
    return session || eio_relay_error(server, sid) == EIO_ERROR_REQUEST;
}

void eio_owner_asked(struct eio_relay *relay, const struct eio_relay_request *request)
{
    struct eio_server *server = relay->server;
    struct eio_session *session = eio_server_find(server, request->sid);
    const struct eio_asker asker = {
        .gateway = request->gateway, .number = request->number, .sid = request->sid};
    relay->stats.answered += is_request(request->verb);
    bool fits = session && (is_step(request->verb) || eio_session_is_polling(session));
    if (fits) {
        perform(session, request, &asker);
    } else if (request->verb == EIO_RELAY_UPGRADE && has_websocket(server, session, request->sid)) {
        eio_answer(server, &asker, EIO_ONE_TOO_MANY, STR(""));
    } else if (wants_answer(request)) {
        eio_answer_error(server, &asker,
                         session ? EIO_ERROR_REQUEST : eio_relay_error(server, request->sid));
    }
}

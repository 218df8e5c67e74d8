/*
 * A second poll of a session whose first one waits with another gateway. That gateway may have been
 * killed, and whoever is between it and the client asks again elsewhere: then the first is nobody's
 * any more, and the second takes its place. Otherwise they are two polls at once.
 */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"

struct rival {
    struct list node; /* of relay->rivals */
    struct eio_relay *relay;
    struct bus_request *look;       /* whether the first one's gateway is there */
    struct http_exchange *exchange; /* the second one, or: */
    struct eio_away second;
    struct eio_away first;
    uint8_t sid_len;
    char sid[];
};

static struct str gateway_of(const struct eio_away *away)
{
    return str_range(away->gateway, EIO_GATEWAY_ID_LEN);
}

static void rival_free(struct rival *rival)
{
    list_remove(&rival->node);
    free(rival);
}

static void on_looked(void *context, const struct redisReply *reply)
{
    struct rival *rival = context;
    struct eio_server *server = rival->relay->server;
    struct eio_session *session = eio_server_find(server, str_range(rival->sid, rival->sid_len));
    const struct eio_asker asker = {.exchange = rival->exchange,
                                    .gateway = gateway_of(&rival->second),
                                    .number = rival->second.number,
                                    .sid = session ? eio_session_sid(session) : STR("")};
    size_t at = 0;
    struct str deaf;
    bool first_is_gone = bus_control_next_deaf(reply, &at, &deaf);
    if (session && first_is_gone &&
        eio_away_is(session->away, gateway_of(&rival->first), rival->first.number)) {
        free(session->away);
        session->away = NULL;
    }
    if (session && eio_session_is_polling(session)) {
        eio_polling_poll_at_last(session, &asker);
    } else {
        eio_answer_error(server, &asker, EIO_ERROR_SID);
    }
    rival_free(rival);
}

/* The client is gone, and nobody else can tell. */
static void on_abort(struct http_exchange *exchange)
{
    struct rival *rival = http_exchange_owner(exchange);
    struct eio_session *session =
        eio_server_find(rival->relay->server, str_range(rival->sid, rival->sid_len));
    bus_store_cancel(rival->look);
    rival_free(rival);
    if (session) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
    }
}

static struct rival *rival_new(const struct eio_session *session, const struct eio_asker *asker)
{
    struct eio_relay *relay = session->server->relay;
    struct str sid = eio_session_sid(session);
    struct rival *rival = calloc(1, sizeof *rival + sid.len);
    if (rival) {
        rival->relay = relay;
        rival->exchange = asker->exchange;
        rival->first = *session->away;
        if (!asker->exchange) {
            rival->second.number = asker->number;
            memcpy(rival->second.gateway, asker->gateway.ptr, EIO_GATEWAY_ID_LEN);
        }
        rival->sid_len = (uint8_t)sid.len;
        memcpy(rival->sid, sid.ptr, sid.len);
        list_init(&rival->node);
    }
    return rival;
}

static struct bus_request *look(struct rival *rival)
{
    struct buf channel = {0};
    struct bus_request *request = NULL;
    if (!bus_gateway_channel(rival->relay->options.keys, gateway_of(&rival->first), &channel)) {
        const struct str name = buf_str(&channel);
        request = bus_control_look(rival->relay->store, &name, 1, on_looked, rival);
    }
    buf_fini(&channel);
    return request;
}

bool eio_rival_poll(struct eio_session *session, const struct eio_asker *asker)
{
    if (!session->away || eio_away_is(session->away, asker->gateway, session->away->number)) {
        return false;
    }
    struct rival *rival = rival_new(session, asker);
    if (!rival || !(rival->look = look(rival))) {
        free(rival);
        return false;
    }
    list_push_back(&rival->relay->rivals, &rival->node);
    if (rival->exchange) {
        http_exchange_watch(rival->exchange, on_abort, rival);
    }
    return true;
}

void eio_rivals_fini(struct eio_relay *relay)
{
    for (struct list *node; (node = list_pop_front(&relay->rivals));) {
        struct rival *rival = list_entry(node, struct rival, node);
        bus_store_cancel(rival->look);
        if (rival->exchange) {
            eio_answer(relay->server, &(struct eio_asker){.exchange = rival->exchange}, EIO_BUSY,
                       STR(""));
        }
        free(rival);
    }
}

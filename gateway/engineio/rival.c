/*
 * A poll of a session whose poll before is with another gateway still: it waits there, or its
 * answer was not confirmed. That gateway may have been killed, and whoever is between it and the
 * client asks again elsewhere. So it is looked whether that gateway is there.
 *
 *     the one before    its gateway is gone             its gateway is there
 *     waits             this one takes its place        two polls at once: a broken client
 *     was answered      the session is unknown          this one waits for the confirmation
 */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"

enum { LOOK_MS = 200 };

struct rival {
    struct list node; /* of relay->rivals */
    struct eio_relay *relay;
    struct bus_request *look;       /* whether the first one's gateway is there */
    struct wheel_timer again;       /* until the next look */
    uint64_t until_ms;              /* then patience ends */
    struct http_exchange *exchange; /* the second poll, or: */
    struct eio_away second;
    struct eio_away first; /* its answer is not looked at */
    uint8_t sid_len;
    char sid[];
};

static struct str gateway_of(const struct eio_away *away)
{
    return str_range(away->gateway, EIO_GATEWAY_ID_LEN);
}

static struct str sid_of(const struct rival *rival)
{
    return str_range(rival->sid, rival->sid_len);
}

static struct eio_asker asker_of(const struct rival *rival, struct str sid)
{
    return (struct eio_asker){.exchange = rival->exchange,
                              .gateway = gateway_of(&rival->second),
                              .number = rival->second.number,
                              .sid = sid};
}

static void rival_free(struct rival *rival)
{
    bus_store_cancel(rival->look);
    loop_timer_cancel(rival->relay->server->loop, &rival->again);
    list_remove(&rival->node);
    free(rival);
}

/* --- What becomes of the second poll --- */

/* As any poll, now. */
static void go_on(struct rival *rival, struct eio_session *session)
{
    const struct eio_asker asker = asker_of(rival, eio_session_sid(session));
    eio_polling_poll_at_last(session, &asker);
    rival_free(rival);
}

static void refuse(struct rival *rival, struct eio_session *session)
{
    const struct eio_asker asker = asker_of(rival, sid_of(rival));
    eio_answer_error(rival->relay->server, &asker, EIO_ERROR_SID);
    rival_free(rival);
    if (session) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
    }
}

/* The client is gone, and nobody else can tell. */
static void on_abort(struct http_exchange *exchange)
{
    struct rival *rival = http_exchange_owner(exchange);
    struct eio_session *session = eio_server_find(rival->relay->server, sid_of(rival));
    rival_free(rival);
    if (session) {
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
    }
}

/* --- Looking --- */

static void on_looked(void *context, const struct redisReply *reply);

static enum err look(struct rival *rival)
{
    struct buf channel = {0};
    if (!bus_gateway_channel(rival->relay->options.keys, gateway_of(&rival->first), &channel)) {
        const struct str name = buf_str(&channel);
        rival->look = bus_control_look(rival->relay->store, &name, 1, on_looked, rival);
    }
    buf_fini(&channel);
    return rival->look ? OK : ERR_NOMEM;
}

static void on_again(struct wheel_timer *timer)
{
    struct rival *rival = container_of(timer, struct rival, again);
    if (look(rival)) {
        refuse(rival, eio_server_find(rival->relay->server, sid_of(rival)));
    }
}

static void judge(struct rival *rival, struct eio_session *session, bool first_is_gone)
{
    struct loop *loop = rival->relay->server->loop;
    bool answered = session->polled->away->given;
    if (answered && !first_is_gone && loop_now(loop) < rival->until_ms) {
        loop_timer_set(loop, &rival->again, LOOK_MS);
    } else if (answered) {
        refuse(rival, session);
    } else {
        if (first_is_gone) {
            eio_away_drop(session);
        }
        go_on(rival, session);
    }
}

static void on_looked(void *context, const struct redisReply *reply)
{
    struct rival *rival = context;
    struct eio_session *session = eio_server_find(rival->relay->server, sid_of(rival));
    size_t at = 0;
    struct str deaf;
    bool is_gone = bus_control_next_deaf(reply, &at, &deaf);
    rival->look = NULL;
    if (!session || !eio_session_is_polling(session)) {
        refuse(rival, NULL);
    } else if (eio_away_is(session->polled->away, gateway_of(&rival->first), rival->first.number)) {
        judge(rival, session, is_gone);
    } else {
        go_on(rival, session);
    }
}

/* --- Birth and death --- */

static struct rival *rival_new(const struct eio_session *session, const struct eio_asker *asker)
{
    struct eio_relay *relay = session->server->relay;
    struct str sid = eio_session_sid(session);
    struct rival *rival = calloc(1, sizeof *rival + sid.len);
    if (rival) {
        rival->relay = relay;
        rival->until_ms = loop_now(session->server->loop) + relay->options.timeout_ms;
        rival->exchange = asker->exchange;
        rival->first = *session->polled->away;
        if (!asker->exchange) {
            rival->second.number = asker->number;
            memcpy(rival->second.gateway, asker->gateway.ptr, EIO_GATEWAY_ID_LEN);
        }
        rival->sid_len = (uint8_t)sid.len;
        memcpy(rival->sid, sid.ptr, sid.len);
        wheel_timer_init(&rival->again, on_again);
        list_init(&rival->node);
    }
    return rival;
}

bool eio_rival_poll(struct eio_session *session, const struct eio_asker *asker)
{
    const struct eio_away *away = session->polled->away;
    bool elsewhere = away && (asker->exchange || !str_eq(asker->gateway, gateway_of(away)));
    if (!elsewhere && !(away && away->given)) {
        return false;
    }
    struct rival *rival = rival_new(session, asker);
    if (!rival || look(rival)) {
        free(rival);
        return false;
    }
    list_push_back(&rival->relay->rivals, &rival->node);
    if (rival->exchange) {
        http_exchange_watch(rival->exchange, on_abort, rival);
    }
    return true;
}

void eio_rivals_go_on(struct eio_session *session)
{
    LIST_FOR_EACH (node, next, &session->server->relay->rivals) {
        struct rival *rival = list_entry(node, struct rival, node);
        if (str_eq(sid_of(rival), eio_session_sid(session))) {
            go_on(rival, session);
            return;
        }
    }
}

void eio_rivals_fini(struct eio_relay *relay)
{
    for (struct list *node; (node = list_pop_front(&relay->rivals));) {
        struct rival *rival = list_entry(node, struct rival, node);
        if (rival->exchange) {
            eio_answer(relay->server, &(struct eio_asker){.exchange = rival->exchange}, EIO_BUSY,
                       STR(""));
        }
        rival_free(rival);
    }
}

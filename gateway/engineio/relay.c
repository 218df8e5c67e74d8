/*
 * Requests for sessions of other gateways: asked of their owners, answered here.
 *
 * An errand is one request of a client that waits for its session's owner. That an owner is gone
 * shows at once when it is asked (nobody listens on its channel), and within some seconds while it
 * is waited for.
 */
#include "engineio/relay.h"

#include <stdlib.h>
#include <string.h>

#include "log/log.h"

enum {
    WATCH_MS = 1000,    /* between two looks at the owners that are waited for */
    SETTLING_MS = 3000, /* after a loss of Redis others may not have come back to it yet */
};

/* A gateway that is asked something. */
struct peer {
    struct map_node node;
    struct list errands;
    char id[EIO_GATEWAY_ID_LEN];
};

struct errand {
    struct map_node node;
    struct list of_peer;
    struct eio_relay *relay;
    struct peer *peer;
    struct http_exchange *exchange;
    struct rcbuf *accept;        /* of an upgrade: the 101 */
    struct bus_request *sending; /* until Redis has taken it */
    struct wheel_timer deadline;
    uint64_t number;
    uint64_t stood; /* on which of the connections to Redis it was asked */
    size_t bytes;   /* counted in stats.bytes while it is being sent */
    enum eio_relay_verb verb;
    bool arrived; /* its owner may have it, and may have answered */
    uint8_t sid_len;
    char sid[];
};

static struct str errand_key(const struct map_node *node)
{
    const struct errand *errand = container_of(node, struct errand, node);
    return str_range((const char *)&errand->number, sizeof errand->number);
}

static struct str peer_key(const struct map_node *node)
{
    return str_range(container_of(node, struct peer, node)->id, EIO_GATEWAY_ID_LEN);
}

static struct str errand_sid(const struct errand *errand)
{
    return str_range(errand->sid, errand->sid_len);
}

/* --- What is on its way --- */

static bool is_full(const struct eio_relay *relay)
{
    return relay->stats.bytes >= relay->options.max_bytes;
}

bool eio_relay_holds_back(struct eio_session *session)
{
    struct eio_relay *relay = session->server->relay;
    if (!eio_session_away(session) || !is_full(relay)) {
        return false;
    }
    list_remove(
        &session->due); /* it may be asked for in the middle of a turn that it has work in */
    list_push_back(&relay->blocked, &session->due);
    return true;
}

void eio_relay_unblock(struct eio_relay *relay)
{
    if (!list_empty(&relay->blocked) && !is_full(relay)) {
        list_splice_back(&relay->server->due, &relay->blocked);
        loop_defer(relay->server->loop, &relay->server->turn);
    }
}

static void not_on_its_way(struct errand *errand)
{
    errand->sending = NULL;
    errand->relay->stats.bytes -= errand->bytes;
    errand->bytes = 0;
    eio_relay_unblock(errand->relay);
}

/* --- Peers --- */

static struct peer *peer_get(struct eio_relay *relay, struct str id)
{
    struct map_node *node = map_find(&relay->peers, id);
    if (node) {
        return container_of(node, struct peer, node);
    }
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        return NULL;
    }
    memcpy(peer->id, id.ptr, EIO_GATEWAY_ID_LEN);
    list_init(&peer->errands);
    if (map_insert(&relay->peers, &peer->node)) {
        free(peer);
        return NULL;
    }
    if (!wheel_timer_is_set(&relay->watch)) {
        loop_timer_set(relay->server->loop, &relay->watch, WATCH_MS);
    }
    return peer;
}

static void peer_settle(struct eio_relay *relay, struct peer *peer)
{
    if (list_empty(&peer->errands)) {
        map_remove(&relay->peers, &peer->node);
        free(peer);
    }
}

/* --- The end of an errand --- */

static void errand_free(struct errand *errand)
{
    struct eio_relay *relay = errand->relay;
    if (errand->sending) {
        bus_store_cancel(errand->sending);
        not_on_its_way(errand);
    }
    loop_timer_cancel(relay->server->loop, &errand->deadline);
    rcbuf_unref(&errand->accept);
    map_remove(&relay->errands, &errand->node);
    list_remove(&errand->of_peer);
    peer_settle(relay, errand->peer);
    relay->stats.waiting--;
    free(errand);
}

/* Of a poll or a POST, or the end of an upgrade that had not begun. */
static void respond(struct eio_server *server, struct http_exchange *exchange,
                    const struct eio_relay_answer *answer)
{
    const struct eio_asker asker = {.exchange = exchange};
    if (answer->outcome == EIO_REFUSED) {
        eio_answer_error(server, &asker, answer->error);
    } else {
        bool fits = answer->outcome < EIO_HTTP_OUTCOMES;
        eio_answer(server, &asker, fits ? answer->outcome : EIO_BUSY, answer->body);
    }
}

static void finish_upgrade(struct errand *errand, const struct eio_relay_answer *answer)
{
    struct eio_relay *relay = errand->relay;
    struct http_exchange *exchange = errand->exchange;
    if (answer->outcome == EIO_WELCOME) {
        eio_guest_begin(relay, exchange, errand->number, peer_key(&errand->peer->node),
                        errand_sid(errand), errand->accept);
    } else if (answer->outcome == EIO_ONE_TOO_MANY) {
        eio_websocket_turn_away(exchange, errand->accept);
    } else {
        http_exchange_close_after(exchange);
        respond(relay->server, exchange, answer);
    }
    errand_free(errand);
}

static void finish(struct errand *errand, const struct eio_relay_answer *answer)
{
    struct eio_server *server = errand->relay->server;
    struct http_exchange *exchange = errand->exchange;
    if (errand->verb == EIO_RELAY_UPGRADE) {
        finish_upgrade(errand, answer);
    } else {
        if (errand->verb == EIO_RELAY_POLL && answer->outcome == EIO_PACKETS) {
            eio_away_answered(errand->relay, peer_key(&errand->peer->node), errand->number,
                              errand_sid(errand), answer->body);
        }
        errand_free(errand);
        respond(server, exchange, answer);
    }
}

static void finish_gone(struct errand *errand)
{
    errand->relay->stats.gone++;
    finish(errand, &(struct eio_relay_answer){.outcome = EIO_REFUSED, .error = EIO_ERROR_SID});
}

static void finish_busy(struct errand *errand)
{
    finish(errand, &(struct eio_relay_answer){.outcome = EIO_BUSY});
}

/* --- Asking --- */

/* How often both connections have come to stand. */
static uint64_t stood(const struct eio_relay *relay)
{
    return bus_subscriber_stats(relay->options.subscriber)->stood;
}

/* Shortly after Redis was away an owner that does not listen may be about to. */
static bool is_settling(const struct eio_relay *relay)
{
    const struct bus_subscriber_stats *stats = bus_subscriber_stats(relay->options.subscriber);
    return !bus_subscriber_connected(relay->options.subscriber) ||
           (stats->stood > 1 && loop_now(relay->server->loop) - stats->stood_ms < SETTLING_MS);
}

/* A poll may be asked for again; of a POST nobody would know whether it was taken twice. */
static void on_sent(void *context, const struct redisReply *reply)
{
    struct errand *errand = context;
    enum bus_sent sent = bus_control_sent(reply);
    not_on_its_way(errand);
    errand->arrived |= sent != BUS_SENT_TO_NOBODY;
    if (sent == BUS_SENT_TO_NOBODY && !is_settling(errand->relay)) {
        finish_gone(errand);
    } else if (sent != BUS_SENT && errand->verb != EIO_RELAY_POLL) {
        finish_busy(errand);
    }
}

struct bus_request *eio_relay_send(struct eio_relay *relay, struct str gateway,
                                   const struct eio_relay_request *request, bus_answer_fn done,
                                   void *context)
{
    struct buf channel = {0}, head = {0};
    struct bus_request *sending = NULL;
    enum err err = bus_gateway_channel(relay->options.keys, gateway, &channel);
    err = err ? err : eio_relay_write_request(request, &head);
    if (!err) {
        const struct str pieces[] = {buf_str(&head), request->body};
        sending = bus_control_send(relay->store, buf_str(&channel), STR("relay"), pieces,
                                   ARRAY_LEN(pieces), done, context);
    }
    buf_fini(&channel);
    buf_fini(&head);
    return sending;
}

static enum err ask(struct errand *errand, struct str body)
{
    struct eio_relay *relay = errand->relay;
    const struct eio_relay_request request = {
        .gateway = str_from(relay->options.gateway_id),
        .number = errand->number,
        .verb = errand->arrived ? EIO_RELAY_POLL_AGAIN : errand->verb,
        .sid = errand_sid(errand),
        .body = body,
    };
    errand->sending =
        eio_relay_send(relay, peer_key(&errand->peer->node), &request, on_sent, errand);
    if (!errand->sending) {
        return ERR_NOMEM;
    }
    errand->stood = stood(relay);
    errand->bytes = body.len;
    relay->stats.bytes += body.len;
    return OK;
}

/* Nothing waits for it, and where it is lost the session, or the upgrade, times out. */
static void tell_abort(struct errand *errand)
{
    struct eio_relay *relay = errand->relay;
    const struct eio_relay_request request = {
        .gateway = str_from(relay->options.gateway_id),
        .number = errand->number,
        .verb = errand->verb == EIO_RELAY_UPGRADE ? EIO_RELAY_FAIL : EIO_RELAY_ABORT,
        .sid = errand_sid(errand),
    };
    if (errand->verb != EIO_RELAY_POST) {
        eio_relay_send(relay, peer_key(&errand->peer->node), &request, NULL, NULL);
    }
}

static void on_abort(struct http_exchange *exchange)
{
    struct errand *errand = http_exchange_owner(exchange);
    tell_abort(errand);
    errand_free(errand);
}

static void on_deadline(struct wheel_timer *timer)
{
    struct errand *errand = container_of(timer, struct errand, deadline);
    errand->relay->stats.overdue++;
    tell_abort(errand);
    finish_busy(errand);
}

/* An owner ends its session, and with it the poll, when a pong is overdue. */
static uint64_t patience(const struct eio_relay *relay, enum eio_relay_verb verb)
{
    const struct eio_server_options *options = relay->server->options;
    uint64_t poll =
        verb == EIO_RELAY_POLL ? options->ping_interval_ms + options->ping_timeout_ms : 0;
    return poll + relay->options.timeout_ms;
}

static struct errand *errand_new(struct eio_relay *relay, struct http_exchange *exchange,
                                 enum eio_relay_verb verb, struct str sid)
{
    struct errand *errand = calloc(1, sizeof *errand + sid.len);
    struct peer *peer = errand ? peer_get(relay, str_range(sid.ptr, EIO_GATEWAY_ID_LEN)) : NULL;
    if (!peer) {
        free(errand);
        return NULL;
    }
    errand->relay = relay;
    errand->peer = peer;
    errand->exchange = exchange;
    errand->verb = verb;
    errand->number = ++relay->last_number;
    errand->sid_len = (uint8_t)sid.len;
    memcpy(errand->sid, sid.ptr, sid.len);
    list_init(&errand->of_peer);
    wheel_timer_init(&errand->deadline, on_deadline);
    if (map_insert(&relay->errands, &errand->node)) {
        peer_settle(relay, peer);
        free(errand);
        return NULL;
    }
    list_push_back(&peer->errands, &errand->of_peer);
    relay->stats.waiting++;
    return errand;
}

/* `accept`: of an upgrade, else NULL; the reference is taken over. */
static void begin(struct eio_relay *relay, struct http_exchange *exchange, enum eio_relay_verb verb,
                  struct str sid, struct str body, struct rcbuf *accept)
{
    struct errand *errand = errand_new(relay, exchange, verb, sid);
    if (!errand) {
        rcbuf_unref(&accept);
        eio_answer(relay->server, &(struct eio_asker){.exchange = exchange}, EIO_BUSY, STR(""));
        return;
    }
    errand->accept = accept;
    http_exchange_watch(exchange, on_abort, errand);
    loop_timer_set(relay->server->loop, &errand->deadline, patience(relay, verb));
    if (ask(errand, body)) {
        finish_busy(errand);
    }
}

void eio_relay_upgrade(struct eio_server *server, struct http_exchange *exchange,
                       const struct http_request *request, struct str sid)
{
    unsigned status;
    struct rcbuf *accept = eio_websocket_accept(request, &status);
    server->relay->stats.asked++;
    if (accept) {
        begin(server->relay, exchange, EIO_RELAY_UPGRADE, sid, STR(""), accept);
    } else {
        eio_respond_ws_refusal(exchange, status);
    }
}

void eio_relay_request(struct eio_server *server, struct http_exchange *exchange,
                       const struct http_request *request, struct str sid)
{
    struct eio_relay *relay = server->relay;
    const struct eio_asker asker = {.exchange = exchange};
    relay->stats.asked++;
    if (request->method != HTTP_GET && request->method != HTTP_POST) {
        eio_answer_error(server, &asker, EIO_ERROR_REQUEST);
    } else if (request->body.len > server->options->max_payload ||
               request->body.len > BUS_CONTROL_PAYLOAD_MAX / 2) {
        eio_answer(server, &asker, EIO_TOO_LARGE, STR(""));
    } else if (request->method == HTTP_POST && is_full(relay)) {
        relay->stats.refused++;
        eio_answer(server, &asker, EIO_BUSY, STR(""));
    } else {
        bool is_post = request->method == HTTP_POST;
        /* The owner ends the session for an empty one, as it does for bytes. */
        struct str body = is_post && eio_polling_is_bytes(request) ? STR("") : request->body;
        begin(relay, exchange, is_post ? EIO_RELAY_POST : EIO_RELAY_POLL, sid, body, NULL);
    }
}

/* --- Answers --- */

static void on_answered(void *owner, struct str payload)
{
    struct eio_relay *relay = owner;
    struct eio_relay_answer answer;
    if (eio_relay_read_answer(payload, &answer)) {
        log_warn("another gateway's answer was not understood", LOG_U64("bytes", payload.len));
        return;
    }
    struct map_node *node =
        map_find(&relay->errands, str_range((const char *)&answer.number, sizeof answer.number));
    if (node) {
        finish(container_of(node, struct errand, node), &answer);
    } else if (!eio_guest_answered(relay, &answer)) {
        log_debug("an answer came too late", LOG_U64("number", answer.number));
    }
}

static void on_asked(void *owner, struct str payload)
{
    struct eio_relay *relay = owner;
    struct eio_relay_request request;
    if (eio_relay_read_request(payload, &request)) {
        log_warn("another gateway's request was not understood", LOG_U64("bytes", payload.len));
        return;
    }
    eio_owner_asked(relay, &request);
}

/* --- Watching those who are waited for --- */

static void peer_is_gone(struct eio_relay *relay, struct str id)
{
    struct map_node *node = map_find(&relay->peers, id);
    if (!node) {
        return;
    }
    struct peer *peer = container_of(node, struct peer, node);
    size_t count = 0;
    LIST_FOR_EACH (errand, next, &peer->errands) {
        count++;
    }
    log_info("gateway gone", LOG_STR("gateway", id), LOG_U64("requests", count));
    for (; count > 0; count--) { /* the last one takes the peer along */
        finish_gone(list_entry(peer->errands.next, struct errand, of_peer));
    }
}

static void on_looked(void *context, const struct redisReply *reply)
{
    struct eio_relay *relay = context;
    struct str channel;
    for (size_t at = 0; !is_settling(relay) && bus_control_next_deaf(reply, &at, &channel);) {
        if (channel.len > EIO_GATEWAY_ID_LEN) {
            peer_is_gone(relay, str_skip(channel, channel.len - EIO_GATEWAY_ID_LEN));
        }
    }
}

/* At some channels, whose names are in `names`, one behind the other and all of one length. */
static void look_at(struct eio_relay *relay, struct buf *names, size_t count)
{
    struct str channels[BUS_CONTROL_LOOK_MAX];
    size_t len = count > 0 ? names->len / count : 0;
    for (size_t i = 0; i < count; i++) {
        channels[i] = str_range(names->data + i * len, len);
    }
    if (count > 0) { /* without memory there is a next time */
        bus_control_look(relay->store, channels, count, on_looked, relay);
    }
    buf_clear(names);
}

static void look_at_all(struct eio_relay *relay)
{
    struct buf names = {0};
    size_t count = 0;
    for (struct map_node *node = NULL; (node = map_next(&relay->peers, node));) {
        if (bus_gateway_channel(relay->options.keys, peer_key(node), &names)) {
            break; /* the next time */
        }
        if (++count == BUS_CONTROL_LOOK_MAX) {
            look_at(relay, &names, count);
            count = 0;
        }
    }
    look_at(relay, &names, count);
    buf_fini(&names);
}

/* After a loss of Redis the question may be lost, or its answer: the owner knows. */
static bool may_be_lost(const struct errand *errand)
{
    return errand->verb == EIO_RELAY_POLL && !errand->sending &&
           (!errand->arrived || errand->stood != stood(errand->relay));
}

static void ask_again(struct eio_relay *relay)
{
    for (struct map_node *node = NULL; (node = map_next(&relay->errands, node));) {
        struct errand *errand = container_of(node, struct errand, node);
        if (may_be_lost(errand) && ask(errand, STR(""))) {
            return; /* its deadline ends it */
        }
    }
}

static void on_watch(struct wheel_timer *timer)
{
    struct eio_relay *relay = container_of(timer, struct eio_relay, watch);
    if (relay->peers.count == 0) {
        return;
    }
    loop_timer_set(relay->server->loop, &relay->watch, WATCH_MS);
    if (!is_settling(relay)) {
        look_at_all(relay);
    } else if (bus_subscriber_connected(relay->options.subscriber)) {
        ask_again(relay);
    }
}

/* --- Birth and death --- */

enum err eio_server_join_fleet(struct eio_server *server, const struct eio_fleet_options *options)
{
    struct eio_relay *relay = calloc(1, sizeof *relay);
    if (!relay) {
        return ERR_NOMEM;
    }
    *relay = (struct eio_relay){
        .server = server,
        .options = *options,
        .store = bus_subscriber_store(options->subscriber),
        .asked = {.event = STR("relay"), .on_message = on_asked, .owner = relay},
        .answered = {.event = STR("relayed"), .on_message = on_answered, .owner = relay},
    };
    map_init(&relay->errands, errand_key);
    map_init(&relay->peers, peer_key);
    eio_guests_init(relay);
    eio_moved_init(relay);
    list_init(&relay->rivals);
    eio_away_init(relay);
    list_init(&relay->sendings);
    list_init(&relay->blocked);
    wheel_timer_init(&relay->watch, on_watch);
    bus_subscriber_listen(options->subscriber, &relay->asked);
    bus_subscriber_listen(options->subscriber, &relay->answered);
    server->relay = relay;
    return OK;
}

void eio_relay_free(struct eio_relay *relay)
{
    if (!relay) {
        return;
    }
    for (struct map_node *node; (node = map_next(&relay->errands, NULL));) {
        finish_busy(container_of(node, struct errand, node));
    }
    eio_rivals_fini(relay);
    eio_away_fini(relay);
    eio_owner_forget_answers(relay);
    eio_guests_fini(relay);
    eio_moved_fini(relay);
    bus_subscriber_ignore(&relay->asked);
    bus_subscriber_ignore(&relay->answered);
    loop_timer_cancel(relay->server->loop, &relay->watch);
    map_fini(&relay->errands);
    map_fini(&relay->peers);
    free(relay);
}

const struct eio_fleet_stats *eio_server_fleet_stats(const struct eio_server *server)
{
    return server->relay ? &server->relay->stats : NULL;
}

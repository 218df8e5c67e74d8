/* HTTP long-polling: packets leave with the GET that waits for them and arrive with POSTs. */
#include "engineio/internal.h"
#include "engineio/payload.h"
#include "util/base64.h"

enum { SCRATCH_KEEP = 64 * 1024 };

static bool is_polled(const struct eio_session *session)
{
    return eio_session_poll(session) || eio_away_waits(session);
}

/* Where the answer can't be kept for another gateway, the session ends from inside. */
static void respond_poll(struct eio_session *session, enum eio_outcome outcome, struct str body)
{
    const struct eio_asker asker = {.exchange = session->polled->poll,
                                    .sid = eio_session_sid(session)};
    if (!asker.exchange) {
        eio_away_give(session, outcome, body);
        return;
    }
    session->polled->poll = NULL;
    eio_answer(session->server, &asker, outcome, body);
}

/* The peer gave its poll up: nobody is there any more. */
void eio_polling_abort(struct eio_session *session)
{
    session->polled->poll = NULL;
    eio_away_drop(session);
    eio_session_end(session, EIO_CLOSE_TRANSPORT);
}

static void on_abort(struct http_exchange *exchange)
{
    eio_polling_abort(http_exchange_owner(exchange));
}

void eio_polling_noop(struct eio_session *session)
{
    if (is_polled(session)) {
        respond_poll(session, EIO_PACKETS, STR("6"));
    }
}

static void wait_for_packets(struct eio_session *session, const struct eio_asker *asker)
{
    session->polled->poll = asker->exchange;
    if (asker->exchange) {
        http_exchange_watch(asker->exchange, on_abort, session);
    } else if (eio_away_wait(session, asker)) {
        eio_answer(session->server, asker, EIO_BUSY, STR(""));
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
        return;
    }
    eio_session_touch(session);
}

void eio_polling_poll(struct eio_session *session, const struct eio_asker *asker)
{
    if (is_polled(session) && eio_upgrade_probed(session)) {
        eio_polling_noop(session);
    }
    if (!eio_rival_poll(session, asker)) {
        eio_polling_poll_at_last(session, asker);
    }
}

/*
 * Two polls at once are a broken client, save while it upgrades: it may have started the second
 * before the first was answered.
 */
void eio_polling_poll_at_last(struct eio_session *session, const struct eio_asker *asker)
{
    if (is_polled(session) || eio_session_away(session) || session->state == EIO_CLOSED) {
        eio_answer_error(session->server, asker, EIO_ERROR_REQUEST);
        eio_session_end(session, EIO_CLOSE_PROTOCOL);
        return;
    }
    wait_for_packets(session, asker);
}

/* Packets of a body, one after the other, until the session has enough of it. */
static enum err receive_all(struct eio_session *session, struct str body)
{
    struct buf scratch;
    struct eio_packet packet;
    enum err err = OK;
    buf_init(&scratch, 0);
    while (session->state < EIO_CLOSING && eio_payload_next(&body, &scratch, &packet, &err)) {
        eio_session_receive(session, &packet);
        buf_clear(&scratch);
    }
    buf_fini(&scratch);
    return err;
}

bool eio_polling_is_bytes(const struct http_request *request)
{
    struct str type = http_request_header(request, STR("Content-Type"));
    struct str media;
    return str_split(&type, ';', &media) &&
           str_eq_nocase(str_trim(media), STR("application/octet-stream"));
}

static enum err receive_body(struct eio_session *session, struct str body)
{
    size_t max = session->server->options->max_packets_per_post;
    bool fits = body.len > 0 && eio_payload_count(body) <= max;
    return fits ? receive_all(session, body) : ERR_PROTO;
}

/* Two POSTs at once are a broken client: nothing would tell whose packets come first. */
void eio_polling_post(struct eio_session *session, const struct eio_asker *asker, struct str body)
{
    struct eio_server *server = session->server;
    if (session->posting) {
        eio_answer_error(server, asker, EIO_ERROR_REQUEST);
        eio_session_end(session, EIO_CLOSE_PROTOCOL);
        return;
    }
    if (body.len > server->options->max_payload) {
        eio_answer(server, asker, EIO_TOO_LARGE, STR(""));
        return;
    }
    enum err err = receive_body(session, body);
    if (err) {
        eio_session_end(session, err == ERR_PROTO ? EIO_CLOSE_PROTOCOL : EIO_CLOSE_TRANSPORT);
    }
    if (err == ERR_PROTO) {
        eio_answer_error(server, asker, EIO_ERROR_REQUEST);
    } else {
        eio_answer(server, asker, err ? EIO_BUSY : EIO_TAKEN, STR(""));
    }
}

static enum err queue(struct eio_session *session, struct rcbuf *packet)
{
    enum err err = eio_queue_push(&session->queue, packet, session->server->options->queue_bytes);
    if (err) {
        eio_session_end(session, EIO_CLOSE_SLOW);
    } else if (is_polled(session)) {
        eio_session_touch(session);
    }
    return err;
}

static enum err polling_send(struct eio_session *session, struct eio_batch *batch)
{
    enum err err = OK;
    for (size_t i = 0; i < batch->count && !err; i++) {
        err = queue(session, batch->packets[i]);
    }
    return err;
}

static void polling_ping(struct eio_session *session)
{
    session->ping_due = true;
    if (is_polled(session)) {
        eio_session_touch(session);
    }
}

/* Moves the next packet into the body. False: it stays for the next poll. */
static bool take_packet(struct eio_session *session, struct buf *body, size_t count)
{
    struct rcbuf *packet = eio_queue_front(&session->queue);
    if (!packet || count >= EIO_PAYLOAD_PACKETS_MAX) {
        return false;
    }
    size_t size = body->len + 1 + eio_payload_size(packet);
    if (body->len > 0 && size > session->server->options->max_payload) {
        return false;
    }
    if (eio_payload_append(body, packet)) {
        return false;
    }
    eio_queue_pop(&session->queue);
    return true;
}

static size_t take_ping(struct eio_session *session, struct buf *body)
{
    if (!session->ping_due || eio_payload_append(body, session->server->ping)) {
        return 0;
    }
    session->ping_due = false;
    return 1;
}

/* The close packet is the last one of a session that is CLOSING. */
static bool take_close(struct eio_session *session, struct buf *body, size_t count)
{
    if (session->state != EIO_CLOSING || !eio_queue_empty(&session->queue) ||
        count >= EIO_PAYLOAD_PACKETS_MAX) {
        return false;
    }
    return !buf_append(body, body->len > 0 ? STR("\x1e"
                                                 "1")
                                           : STR("1"));
}

static bool something_to_send(const struct eio_session *session)
{
    return session->ping_due || !eio_queue_empty(&session->queue) || session->state == EIO_CLOSING;
}

static void give_scratch_back(struct buf *body)
{
    if (body->cap > SCRATCH_KEEP) {
        buf_fini(body);
    }
    buf_clear(body);
}

static void answer(struct eio_session *session, struct buf *body)
{
    size_t count = take_ping(session, body);
    while (take_packet(session, body, count)) {
        count++;
    }
    bool last = take_close(session, body, count);
    if (body->len == 0) { /* no memory for as much as one packet */
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
        return;
    }
    respond_poll(session, EIO_PACKETS, buf_str(body));
    if (last) {
        eio_session_end(session, (enum eio_close_reason)session->reason);
    }
}

/*
 * Its poll fails, as if the gateway were gone: after a close packet the Python client would not
 * come back by itself.
 */
static void part(struct eio_session *session)
{
    struct http_exchange *poll = session->polled->poll;
    if (poll) {
        session->polled->poll = NULL;
        eio_respond_busy(poll, EIO_REFUSAL_LEAVING);
    } else {
        respond_poll(session, EIO_BUSY, STR(""));
    }
    eio_session_end(session, EIO_CLOSE_DRAIN);
}

static void polling_flush(struct eio_session *session)
{
    if (!is_polled(session)) {
        return;
    }
    if (session->leaving && session->state == EIO_OPEN && eio_queue_empty(&session->queue)) {
        part(session);
    } else if (something_to_send(session) && !eio_relay_holds_back(session)) {
        answer(session, &session->server->scratch);
        give_scratch_back(&session->server->scratch);
    }
}

/* Without a poll to say so, the next one is waited for, until the deadline. */
static void polling_close(struct eio_session *session)
{
    if (is_polled(session)) {
        eio_session_touch(session);
    }
}

/* Without a poll to answer, the next one is waited for, for as long as the session lives. */
static void polling_leave(struct eio_session *session)
{
    if (session->polled->poll) {
        eio_session_touch(session);
    }
}

/* As the reference has it: a client that said good-bye itself gets a noop on its poll. */
static void polling_drop(struct eio_session *session)
{
    if (is_polled(session)) {
        respond_poll(session, EIO_PACKETS,
                     session->reason == EIO_CLOSE_CLIENT ? STR("6") : STR("1"));
    }
}

const struct eio_transport eio_polling = {
    .name = "polling",
    .send = polling_send,
    .ping = polling_ping,
    .flush = polling_flush,
    .close = polling_close,
    .leave = polling_leave,
    .drop = polling_drop,
};

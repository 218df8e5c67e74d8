/*
 * The poll of a session here that another gateway has from the client. Its answer stays with the
 * session until that gateway says that the client's connection has taken it: an answer that Redis
 * lost is sent again, and one whose gateway died with it makes the session unknown, since nobody
 * can tell whether the client has it.
 */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"

bool eio_away_is(const struct eio_away *away, struct str gateway, uint64_t number)
{
    return away && away->number == number &&
           str_eq(gateway, str_range(away->gateway, EIO_GATEWAY_ID_LEN));
}

bool eio_away_waits(const struct eio_session *session)
{
    const struct eio_away *away = eio_session_away(session);
    return away && !away->given;
}

enum err eio_away_wait(struct eio_session *session, const struct eio_asker *asker)
{
    struct eio_away *away = calloc(1, sizeof *away);
    if (!away) {
        return ERR_NOMEM;
    }
    away->number = asker->number;
    memcpy(away->gateway, asker->gateway.ptr, EIO_GATEWAY_ID_LEN);
    session->polled->away = away;
    return OK;
}

void eio_away_drop(struct eio_session *session)
{
    struct eio_away *away = eio_session_away(session);
    if (away) {
        rcbuf_unref(&away->given);
        free(away);
        session->polled->away = NULL;
    }
}

static struct eio_asker asker_of(const struct eio_session *session)
{
    const struct eio_away *away = session->polled->away;
    return (struct eio_asker){.gateway = str_range(away->gateway, EIO_GATEWAY_ID_LEN),
                              .number = away->number,
                              .sid = eio_session_sid(session)};
}

/* What a lost one costs: nothing. */
static bool is_noop(struct str body)
{
    return str_eq(body, STR("6"));
}

void eio_away_give(struct eio_session *session, enum eio_outcome outcome, struct str body)
{
    const struct eio_asker asker = asker_of(session);
    bool keep = outcome == EIO_PACKETS && !is_noop(body) && session->state != EIO_CLOSED;
    struct eio_away *away = session->polled->away;
    away->given = keep ? rcbuf_copy(body) : NULL;
    if (keep && !away->given) {
        eio_away_drop(session);
        eio_session_end(session, EIO_CLOSE_TRANSPORT);
        return;
    }
    eio_answer(session->server, &asker, outcome, body);
    if (!keep) {
        eio_away_drop(session);
    }
}

void eio_away_give_again(struct eio_session *session)
{
    const struct eio_asker asker = asker_of(session);
    eio_answer(session->server, &asker, EIO_PACKETS, rcbuf_str(session->polled->away->given));
}

void eio_away_taken(struct eio_session *session, struct str gateway, uint64_t number)
{
    const struct eio_away *away = eio_session_away(session);
    if (eio_away_is(away, gateway, number) && away->given) {
        eio_away_drop(session);
        eio_rivals_go_on(session);
    }
}

/* --- With the gateway that has the client --- */

/* An answer that is in the connection's queue, and leaves at the end of the turn. */
struct taken {
    struct list node;
    uint64_t number;
    char gateway[EIO_GATEWAY_ID_LEN];
    uint8_t sid_len;
    char sid[];
};

static void tell(struct eio_relay *relay, const struct taken *taken)
{
    const struct eio_relay_request request = {
        .gateway = str_from(relay->options.gateway_id),
        .number = taken->number,
        .verb = EIO_RELAY_TAKEN,
        .sid = str_range(taken->sid, taken->sid_len),
    };
    eio_relay_send(relay, str_range(taken->gateway, EIO_GATEWAY_ID_LEN), &request, NULL, NULL);
}

/* Behind the pass that has written to the connections. */
static void on_written(struct loop_task *task)
{
    struct eio_relay *relay = container_of(task, struct eio_relay, written);
    for (struct list *node; (node = list_pop_front(&relay->taken));) {
        struct taken *taken = list_entry(node, struct taken, node);
        tell(relay, taken);
        free(taken);
    }
}

/* Without memory the owner is not told, and the session ends with the next poll. */
void eio_away_answered(struct eio_relay *relay, struct str gateway, uint64_t number, struct str sid,
                       struct str body)
{
    struct taken *taken = is_noop(body) ? NULL : malloc(sizeof *taken + sid.len);
    if (!taken) {
        return;
    }
    *taken = (struct taken){.number = number, .sid_len = (uint8_t)sid.len};
    memcpy(taken->gateway, gateway.ptr, EIO_GATEWAY_ID_LEN);
    memcpy(taken->sid, sid.ptr, sid.len);
    list_init(&taken->node);
    list_push_back(&relay->taken, &taken->node);
    loop_defer(relay->server->loop, &relay->written);
}

void eio_away_init(struct eio_relay *relay)
{
    list_init(&relay->taken);
    loop_task_init(&relay->written, on_written);
}

void eio_away_fini(struct eio_relay *relay)
{
    loop_task_cancel(&relay->written);
    for (struct list *node; (node = list_pop_front(&relay->taken));) {
        free(list_entry(node, struct taken, node));
    }
}

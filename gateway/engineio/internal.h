/* What the files of this room share and nobody else sees. */
#ifndef ENGINEIO_INTERNAL_H
#define ENGINEIO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engineio/fleet.h"
#include "engineio/handshake.h"
#include "engineio/queue.h"
#include "engineio/relay_message.h"
#include "engineio/server.h"
#include "engineio/session.h"
#include "engineio/transport.h"
#include "http/server.h"
#include "loop/loop.h"
#include "util/bucket.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/map.h"
#include "websocket/stream.h"

enum eio_state {
    EIO_OPENING,   /* handshake not answered, or not all here yet; everything is queued */
    EIO_OPEN,      /* one current transport */
    EIO_UPGRADING, /* polling is current, the candidate is `ws`, or with another gateway */
    EIO_MOVING,    /* for the candidate's gateway; nothing comes from the client any more */
    EIO_CLOSING,   /* what is queued is leaving */
    EIO_CLOSED,    /* out of the sid table; on_close at the end of the turn */
    EIO_STATES,
};

enum eio_heartbeat {
    EIO_HEARTBEAT_IDLE, /* the timer runs until the next ping */
    EIO_HEARTBEAT_PONG, /* a ping was queued, the timer runs until its pong is overdue */
    EIO_HEARTBEAT_HELD, /* a ping waits for the end of an upgrade; no timer */
};

/* What only a session on polling has, and one that leaves it. */
struct eio_polled {
    struct eio_upgrade *upgrade; /* owned; while UPGRADING and MOVING */
    /* The request that waits for packets, here or with another gateway: one of both, or none. */
    struct http_exchange *poll;
    struct eio_away *away; /* owned; also one that was answered, until it is confirmed */
};

struct eio_session {
    struct map_node node; /* in server->by_sid until CLOSED */
    struct list due;      /* on server->due while the end of a turn has work for it */
    struct eio_server *server;
    struct eio_polled *polled; /* owned; NULL on WebSocket */
    struct eio_queue queue;    /* what waits for a poll, or for the handshake's end */
    struct ws_stream ws;       /* the transport, or the candidate; conn NULL where there is none */
    union {
        struct wheel_timer timer; /* heartbeat; in CLOSING the deadline */
        struct loop_reap reap;    /* after on_close */
    };
    uint8_t state;     /* enum eio_state, changed by eio_session_move alone */
    uint8_t heartbeat; /* enum eio_heartbeat */
    uint8_t reason;    /* enum eio_close_reason, once closing */
    uint8_t sid_len;
    bool ping_due : 1;    /* polling: a ping leaves before anything else */
    bool close_asked : 1; /* in OPENING */
    bool posting : 1;     /* the body of a POST is on its way */
    bool leaving : 1;     /* ends as soon as nothing waits for the client */
    /* ops->room_size bytes for whoever is above; sid; the peer's address (net/address.h). */
    max_align_t room[];
};

/* There is one for each idle connection: what is rare, or short, is elsewhere. */
_Static_assert(sizeof(struct eio_session) <= 128, "a session grew");

/* A poll that another gateway has from the client (away.c). */
struct eio_away {
    uint64_t number;     /* by which that gateway knows it */
    struct rcbuf *given; /* its answer, until that has reached the client; NULL: it waits */
    char gateway[EIO_GATEWAY_ID_LEN];
};

struct eio_relay;

struct eio_server {
    struct loop *loop;
    const struct eio_server_options *options;
    const struct eio_session_ops *ops;
    void *owner;
    struct eio_relay *relay;        /* NULL: there is no fleet */
    const struct http_server *http; /* whose CORS policy decides; NULL: all origins are welcome */
    struct map by_sid;
    struct list due; /* sessions with work at the end of this turn */
    struct loop_task turn;
    struct rcbuf *ping, *probe;      /* encoded once */
    struct buf scratch;              /* body of a poll's answer */
    char peer[NET_ADDRESS_TEXT_MAX]; /* what eio_session_peer has said last */
    struct bucket handshakes;
    struct map_node *next; /* where eio_server_next goes on; NULL: at the beginning */
    bool leaving;          /* no handshakes any more */
    struct eio_server_stats stats;
};

/* Who asked, and gets the answer: a request here, or one of another gateway's. */
struct eio_asker {
    struct http_exchange *exchange; /* NULL: the other fields say where to */
    struct str gateway;
    uint64_t number;
    struct str sid; /* that was asked for */
};

/* answer.c */

/* `body`: of PACKETS, copied. For REFUSED there is eio_answer_error. Ends the exchange. */
void eio_answer(struct eio_server *server, const struct eio_asker *asker, enum eio_outcome outcome,
                struct str body);
void eio_answer_error(struct eio_server *server, const struct eio_asker *asker,
                      enum eio_error error);

/* away.c */

/* Whether it is this poll. */
bool eio_away_is(const struct eio_away *away, struct str gateway, uint64_t number);
/* Whether a poll that another gateway has is to be answered. */
bool eio_away_waits(const struct eio_session *session);
/* The asker's poll waits. There must be no other. NOMEM. */
MUST_CHECK enum err eio_away_wait(struct eio_session *session, const struct eio_asker *asker);
/* Answers it. Without memory the session ends. */
void eio_away_give(struct eio_session *session, enum eio_outcome outcome, struct str body);
/* The same again: the answer was lost on the way. */
void eio_away_give_again(struct eio_session *session);
/* The answer has reached the client. */
void eio_away_taken(struct eio_session *session, struct str gateway, uint64_t number);
/* Forgets it. Idempotent. */
void eio_away_drop(struct eio_session *session);

/* rival.c */

/* Whether the poll has to wait for what becomes of the one before, which another gateway has. */
bool eio_rival_poll(struct eio_session *session, const struct eio_asker *asker);
/* The one before has its answer. */
void eio_rivals_go_on(struct eio_session *session);

/* guest.c */

/* A session that arrives ends before it is there; false for any other. */
bool eio_guest_forget(struct eio_session *session);

/* relay.c */

/* Asks the owner of a session that is not here. */
void eio_relay_request(struct eio_server *server, struct http_exchange *exchange,
                       const struct http_request *request, struct str sid);
void eio_relay_free(struct eio_relay *relay);
/* The same for a WebSocket handshake: an upgrade. */
void eio_relay_upgrade(struct eio_server *server, struct http_exchange *exchange,
                       const struct http_request *request, struct str sid);
/* What to say of a session that is not here and is no other gateway's. */
enum eio_error eio_relay_error(const struct eio_server *server, struct str sid);
/* Whether an answer to another gateway has to wait; the session's turn comes again then. */
bool eio_relay_holds_back(struct eio_session *session);

/* owner.c */

/* To another gateway; packets are sent again where Redis was lost meanwhile. */
void eio_owner_answer(struct eio_server *server, const struct eio_asker *asker,
                      const struct eio_relay_answer *answer);

/* session.c */

/* The current one. */
static inline const struct eio_transport *eio_session_on(const struct eio_session *session)
{
    return session->polled ? &eio_polling : &eio_websocket;
}
/* Whether polls and POSTs may come. */
static inline bool eio_session_is_polling(const struct eio_session *session)
{
    return session->polled && session->state != EIO_MOVING;
}
/* What of struct eio_polled it has; NULL where it has not. */
static inline struct http_exchange *eio_session_poll(const struct eio_session *session)
{
    return session->polled ? session->polled->poll : NULL;
}
static inline struct eio_away *eio_session_away(const struct eio_session *session)
{
    return session->polled ? session->polled->away : NULL;
}
static inline struct eio_upgrade *eio_session_upgrade(const struct eio_session *session)
{
    return session->polled ? session->polled->upgrade : NULL;
}
/* One that arrives from another gateway: in OPENING, its sid as given. NULL without memory. */
struct eio_session *eio_session_new_arriving(struct eio_server *server, struct net_conn *conn,
                                             struct str sid);
/* In OPENING, in the sid table. NULL without memory. */
struct eio_session *eio_session_new(struct eio_server *server, struct net_conn *conn,
                                    const struct eio_transport *transport);
/* Refused in OPENING: as if it never was. */
void eio_session_discard(struct eio_session *session);
void eio_session_move(struct eio_session *session, enum eio_state state);
/* OPENING is over: heartbeats begin, and a close that was asked for meanwhile. */
void eio_session_opened(struct eio_session *session);
/* From polling to WebSocket; nothing of struct eio_polled is left. */
void eio_session_leave_polling(struct eio_session *session);
/* A packet from the current transport. */
void eio_session_receive(struct eio_session *session, const struct eio_packet *packet);
/* See transport->leave. False: it is not open, being upgraded, or leaving already. */
bool eio_session_leave(struct eio_session *session);
/* CLOSED at once; on_close follows at the end of the turn. Idempotent; the first reason counts. */
void eio_session_end(struct eio_session *session, enum eio_close_reason reason);
/* Work at the end of the turn. Idempotent. */
void eio_session_touch(struct eio_session *session);
/* That work. */
void eio_session_turn(struct eio_session *session);

/* polling.c */
void eio_polling_poll(struct eio_session *session, const struct eio_asker *asker);
/* The same where nothing speaks for a second one. */
void eio_polling_poll_at_last(struct eio_session *session, const struct eio_asker *asker);
void eio_polling_post(struct eio_session *session, const struct eio_asker *asker, struct str body);
/* The client gave its poll up. */
void eio_polling_abort(struct eio_session *session);
/* Whether a body claims to be bytes, which no client of this protocol sends. */
bool eio_polling_is_bytes(const struct http_request *request);
/* Ends a waiting poll without news, if there is one. */
void eio_polling_noop(struct eio_session *session);

/* websocket.c */

/* Queues the 101 and makes `ws` ready; eio_websocket_take then hands the connection over. */
MUST_CHECK enum err eio_websocket_begin(struct eio_session *session, struct http_exchange *exchange,
                                        const struct http_request *request, unsigned *ret_status);
/* May deliver bytes that came behind the request: last thing in a handler. */
void eio_websocket_take(struct eio_session *session, struct http_exchange *exchange);
/* Everything that waits for a poll leaves by WebSocket. */
void eio_websocket_send_queue(struct eio_session *session);
/* Accepts a WebSocket and closes it: one too many for its session. */
void eio_websocket_turn_away(struct http_exchange *exchange, struct rcbuf *accept);
/* The same from a handshake. */
void eio_websocket_one_too_many(struct http_exchange *exchange, const struct http_request *request);

/* The 101 for a WebSocket handshake. NULL with *ret_status: 400 or 426, or 503 without memory. */
struct rcbuf *eio_websocket_accept(const struct http_request *request, unsigned *ret_status);
/* A message of the session's stream. */
void eio_websocket_hear(struct eio_session *session, enum ws_opcode opcode, struct str payload);
/* A stream whose messages went elsewhere until now becomes the session's. */
void eio_websocket_adopt(struct eio_session *session, struct ws_stream *stream);

/* upgrade.c */
void eio_upgrade_start(struct eio_session *session, struct http_exchange *exchange,
                       const struct http_request *request);
/* A message on the candidate. */
void eio_upgrade_receive(struct eio_session *session, enum ws_opcode opcode, struct str payload);
/* Gives the candidate up; the session stays on polling. Nothing where none is going on. */
void eio_upgrade_fail(struct eio_session *session);
/* The same for a candidate that another gateway has, step by step. */
void eio_upgrade_start_away(struct eio_session *session, const struct eio_asker *asker);
void eio_upgrade_probed_away(struct eio_session *session);
void eio_upgrade_move(struct eio_session *session);
void eio_upgrade_place(struct eio_session *session, struct str place);
/* Whether it is that gateway's, under that number. */
bool eio_upgrade_is_away(const struct eio_session *session, struct str gateway, uint64_t number);
/* Whether the client has probed, so that polls are to end soon. */
bool eio_upgrade_probed(const struct eio_session *session);

/* heartbeat.c */
void eio_heartbeat_start(struct eio_session *session);
void eio_heartbeat_pong(struct eio_session *session);
/* Milliseconds that were left of its phase. */
uint64_t eio_heartbeat_stop(struct eio_session *session);
/* Goes on in a phase (enum eio_heartbeat) with what was left of it; of an unknown one, anew. */
void eio_heartbeat_resume(struct eio_session *session, unsigned phase, uint64_t left_ms);
/* No ping leaves between hold and release. */
void eio_heartbeat_hold(struct eio_session *session);
void eio_heartbeat_release(struct eio_session *session);

/* leave.c */

/* One session after the other, around and around; NULL where there is none. */
struct eio_session *eio_server_next(struct eio_server *server);
/* The session is about to leave the sid table. */
void eio_server_pass_over(struct eio_session *session);

/* server.c */

/* What its sessions' ids begin with: empty where there is no fleet. */
struct str eio_server_gateway_id(const struct eio_server *server);
/* The session of that id that is here; NULL where there is none. */
struct eio_session *eio_server_find(const struct eio_server *server, struct str sid);
void eio_respond_error(struct http_exchange *exchange, enum eio_error error);
/* 503, and soon the client may try again, here or elsewhere. */
void eio_respond_busy(struct http_exchange *exchange, enum eio_refusal refusal);
/* A WebSocket handshake that failed with `status`: 400, 426 or 503. */
void eio_respond_ws_refusal(struct http_exchange *exchange, unsigned status);

#endif

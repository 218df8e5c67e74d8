/*
 * The relay of one gateway: what it asks of others (relay.c) and what others ask of it (owner.c).
 * For the files of this room.
 */
#ifndef ENGINEIO_RELAY_H
#define ENGINEIO_RELAY_H

#include "bus/control.h"
#include "engineio/fleet.h"
#include "engineio/internal.h"
#include "engineio/relay_message.h"

struct eio_relay {
    struct eio_server *server;
    struct eio_fleet_options options;
    struct bus_store *store;
    struct bus_listener asked, answered;
    struct map errands; /* what we ask, by number */
    struct map peers;   /* gateways that are asked something, by id */
    struct list taken;  /* answers that the owners are to be told of (away.c) */
    struct loop_task written;
    struct list rivals;      /* second polls that wait (rival.c) */
    struct list sendings;    /* answers of ours that Redis has not confirmed */
    struct map guests;       /* WebSockets for sessions that are on their way here, by number */
    struct map arriving;     /* those of them whose sessions have begun to arrive, by sid */
    struct map moved;        /* sessions that went to another gateway, by sid */
    struct list moved_first; /* those that went longest ago in front */
    struct list blocked;     /* sessions whose answer waits until less is on its way */
    uint64_t last_number;
    struct wheel_timer watch; /* while there are peers */
    struct eio_fleet_stats stats;
};

/* owner.c */

/* Another gateway asks. */
void eio_owner_asked(struct eio_relay *relay, const struct eio_relay_request *request);
/* Nobody will hear what Redis says to answers that are on their way. */
void eio_owner_forget_answers(struct eio_relay *relay);

/* guest.c */

/* The owner of a session would have it taken over: opens the WebSocket of that request. */
void eio_guest_begin(struct eio_relay *relay, struct http_exchange *exchange, uint64_t number,
                     struct str gateway, struct str sid, struct rcbuf *accept);
/* What a session's owner answers; false where the number is no guest's. */
bool eio_guest_answered(struct eio_relay *relay, const struct eio_relay_answer *answer);
void eio_guests_init(struct eio_relay *relay);
/* All sessions have ended. */
void eio_guests_fini(struct eio_relay *relay);

/* away.c */

/* A poll's answer is in the connection's queue: its owner is told when it has left. */
void eio_away_answered(struct eio_relay *relay, struct str gateway, uint64_t number, struct str sid,
                       struct str body);
void eio_away_init(struct eio_relay *relay);
void eio_away_fini(struct eio_relay *relay);

/* rival.c */

void eio_rivals_fini(struct eio_relay *relay);

/* moved.c */

/* Remembers a session that leaves, for late requests. */
void eio_relay_note_moved(const struct eio_session *session);
void eio_moved_init(struct eio_relay *relay);
void eio_moved_fini(struct eio_relay *relay);

/* relay.c */

/* To another gateway. NULL without memory. */
struct bus_request *eio_relay_send(struct eio_relay *relay, struct str gateway,
                                   const struct eio_relay_request *request, bus_answer_fn done,
                                   void *context);

/* Lets those go on who waited until less was on its way. */
void eio_relay_unblock(struct eio_relay *relay);

#endif

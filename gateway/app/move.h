/*
 * A member whose session moves to another gateway, because its client's WebSocket is there.
 *
 * There (the gateway that it leaves) events go on into the session's queue. Here the member enters
 * its rooms and keeps what comes, from where each was entered on; then the two agree on a place in
 * the order of events: up to it the client has, or has in the queue that comes along, what is due
 * to it from there, and behind it from here. Nothing of it needs a log.
 *
 * Texts, see socketio/server.h:
 *     state   "<pid or -> <the token's exp, or 0> <1: it was told of that> <iat, or 0> <token id>
 *             <when it connected>\n" (app/member.h), and a session as in bus/session.h
 *     place   "<partition> <id>\n", for each that one of the rooms is in
 *     rest    "<id of the last event that was sent>\n", then as in place
 */
#ifndef APP_MOVE_H
#define APP_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/event.h"
#include "app/join.h"
#include "app/member.h"
#include "socketio/server.h"
#include "util/str.h"

struct app;

/* The calls of struct sio_namespace_ops. */
void app_move_begin(struct sio_socket *socket);
void app_move_arrive(void *owner, struct sio_socket *socket, struct str state);
void app_move_ask(struct sio_socket *socket, struct str place);
void app_move_arrived(struct sio_socket *socket, struct str rest);

/* One more of an arriving member's rooms is entered, or can't be. */
void app_move_joined(struct app_member *member, bool entered);
/* bus_subscriber_passed has moved. */
void app_move_passed(struct app *app);
/* Whether what comes for the member has to be kept. */
bool app_move_is_arriving(const struct app_member *member);
/* Whether the member has the event from the gateway that it came from. */
bool app_move_brought(const struct app_member *member, const struct app_room *room,
                      const struct app_event *event);
/* Keeps it; the room is the one that it came for. */
void app_move_hold(struct app_member *member, const struct app_room *room, struct app_event *event);
/* The member goes. NULL is fine. */
void app_move_free(struct app_move *move);

#endif

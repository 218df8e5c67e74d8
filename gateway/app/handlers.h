/* What clients may ask: subscribe, unsubscribe, getRooms, ping, authenticate. */
#ifndef APP_HANDLERS_H
#define APP_HANDLERS_H

#include "app/join.h"
#include "app/member.h"
#include "socketio/server.h"

/* Handles one event of a member; unknown ones and wrong arguments change nothing. */
void app_handle_event(struct app_member *member, const struct sio_event *event);
/* A client that can't be told must not wait for ever: it is disconnected, and comes back. */
void app_send_ack(struct sio_socket *socket, uint64_t ack_id, struct str answer);
/* Acknowledges a `subscribe` whose join has ended. */
void app_answer_join(const struct app_join *join, enum app_join_result result);

#endif

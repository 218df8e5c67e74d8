/* What clients may ask: subscribe, unsubscribe, getRooms, ping. */
#ifndef APP_HANDLERS_H
#define APP_HANDLERS_H

#include "app/join.h"
#include "app/member.h"
#include "socketio/server.h"

/* Handles one event of a member; unknown ones and wrong arguments change nothing. */
void app_handle_event(struct app_member *member, const struct sio_event *event);
/* Acknowledges a `subscribe` whose join has ended. */
void app_answer_join(const struct app_join *join, enum app_join_result result);

#endif

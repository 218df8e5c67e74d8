/*
 * Connection state recovery: from a pid and the id of the last event that a client has, to its
 * rooms and what it missed there. The client is not accepted before all of that is here and its
 * token, its user and the permission for every room were checked again; what happens meanwhile in
 * rooms that it is in already waits with what it missed.
 */
#ifndef APP_RECOVERY_H
#define APP_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/auth.h"
#include "app/event.h"
#include "app/join.h"
#include "app/member.h"
#include "bus/session.h"
#include "util/str.h"

struct app;

struct app_recovery_stats {
    uint64_t recovered; /* since the start, as are the following */
    uint64_t unknown;   /* pids of no session, or of somebody else's */
    uint64_t gone;      /* what was missed is not all there any more */
};

/* What a client says it had. */
struct app_recovery_request {
    char pid[BUS_PID_LEN];
    uint64_t offset;
};

/* False: the client's CONNECT asks for no recovery. */
bool app_recovery_read(struct str auth, struct app_recovery_request *ret_request);
/* The client is accepted later, as the one that it was or as a new one. */
void app_recovery_begin(struct app *app, struct sio_socket *socket,
                        const struct app_identity *identity,
                        const struct app_recovery_request *request);
/* One more of the rooms is entered, and what was missed there is in memory. */
void app_recovery_joined(struct app_member *member, const struct app_join *join, bool entered);
/* Nothing speaks against the client's coming back (app/permit.h). */
void app_recovery_permitted(struct app_member *member);
/* bus_subscriber_passed has moved. */
void app_recovery_passed(struct app *app);
/* An event that came for a member that is not accepted yet. */
void app_recovery_hold(struct app_member *member, struct app_event *event);
/* The member goes. NULL is fine. */
void app_recovery_free(struct app_recovery *recovery);

#endif

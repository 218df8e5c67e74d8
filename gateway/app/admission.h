/*
 * Who comes in: from CONNECT and a token to a member in its own rooms, and out again.
 */
#ifndef APP_ADMISSION_H
#define APP_ADMISSION_H

#include <stdbool.h>

#include "app/auth.h"
#include "app/join.h"
#include "app/member.h"
#include "socketio/server.h"
#include "util/str.h"

struct app;

/* CONNECT: accepts the client as a new one or as the one that it was, or turns it away. */
void app_admit(struct app *app, struct sio_socket *socket, struct str auth,
               const struct sio_handshake *handshake);
/* A new client, its token was good. `recovers`: it gets a session. */
void app_welcome(struct app *app, struct sio_socket *socket, const struct app_identity *identity,
                 bool recovers);
/* Nothing speaks against it (app/permit.h): it is let into its own rooms, or its recovery goes on.
 */
void app_let_in(struct app_member *member);
/*
 * The member goes for good: its client is told why, by an event `error` with this argument unless
 * it is empty, and disconnected so that it does not come back by itself. Nothing of it stays for a
 * recovery.
 */
void app_dismiss(struct app_member *member, struct str error);
/* One of the rooms that belong to connecting, or to a recovery, is entered or will not be. */
void app_automatic_end(const struct app_join *join, enum app_join_result result);

/* A member for the client of the socket, one that `recovers` or not; NULL without memory. */
struct app_member *app_member_begin(struct app *app, struct sio_socket *socket,
                                    const struct app_identity *identity, bool recovers);
/* The member goes, and the client with it or as another one. */
void app_member_end(struct app_member *member, bool comes_back);

/*
 * The member's token is now that of `auth`, {"token":…}: NULL. Otherwise why it is not, for people,
 * and nothing has changed. After a refusal nothing is looked at until the next second.
 */
const char *app_renew(struct app_member *member, struct str auth);
/* Sends `token:expiring`. */
void app_tell_expiring(struct app_member *member, int64_t now_ms);

/* Sends `connected` as soon as the member's session is kept. */
void app_promise_greeting(struct app_member *member);
/* Sends it now. */
void app_greet(struct app_member *member);

#endif

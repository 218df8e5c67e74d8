/*
 * One authenticated client: its socket, who it is, and the rooms it is in.
 */
#ifndef APP_MEMBER_H
#define APP_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "app/auth.h"
#include "app/rooms.h"
#include "socketio/server.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/rcbuf.h"

struct app;
struct app_event;
struct app_move;
struct app_permit;
struct app_recovery;
struct app_session;

struct app_membership {
    struct app_room *room;
    uint64_t since; /* the room's last event when it was entered: nothing up to it is due */
    uint32_t index; /* of this member among the room's */
    bool visible;   /* shown by getRooms; the room of a `sub` beside an address is not */
};

enum { APP_MEMBERSHIPS_EMBEDDED = 3 }; /* user by address, user by sub, global */

struct app_member {
    struct app *app;
    struct sio_socket *socket;
    uint64_t last_id;              /* of the event that was delivered last; 0 before the first */
    struct app_session *session;   /* NULL: it can't recover, and gets events without their ids */
    struct app_recovery *recovery; /* while it is being recovered */
    struct app_move *move;         /* while it goes to, or comes from, another gateway */
    struct app_permit *permit;     /* while it waits to be let in */
    struct list all;               /* of app->walks */
    uint64_t token_id;             /* of its token, as is issued_s: see app/auth.h */
    int64_t connected_ms;          /* since 1970 */
    uint32_t issued_s;
    struct list joins;                  /* struct app_join by of_member */
    struct app_membership *memberships; /* in the order of entering; `embedded` or on the heap */
    struct app_membership embedded[APP_MEMBERSHIPS_EMBEDDED];
    uint32_t expires_s;       /* seconds since 1970; 0: never, or after 2106. See app/expiry.h */
    uint32_t expiry_place;    /* private to app/expiry.c, as is the next */
    uint32_t warn_ms;         /* it is to be told so long before the end; 0: no more */
    uint16_t count, capacity; /* of memberships */
    uint16_t visible;         /* of them */
    uint16_t refused_s;       /* when `authenticate` was refused last, by loop_now; cut off */
    uint8_t automatic;        /* joins still missing before `connected` can be sent */
    bool permitted;           /* nothing speaks against letting it in */
    bool accepted;            /* CONNECT was answered */
    bool recovers;            /* it is to get a session */
    uint8_t sub_len, address_len;
    char user[]; /* sub, then the canonical address; not terminated */
};

/* NULL without memory. */
struct app_member *app_member_new(struct app *app, struct sio_socket *socket,
                                  const struct app_identity *identity);
/* Leaves every room. Its joins must have been cancelled, its session, recovery and move ended. */
void app_member_free(struct app_member *member);

struct str app_member_sub(const struct app_member *member);
/* Empty where the token had none. */
struct str app_member_address(const struct app_member *member);
/* Whether a `user:` room is this member's own. */
bool app_member_owns(const struct app_member *member, const struct room_name *room);
/* Whether it is the room of its address: the one that goes together with that of its sub. */
bool app_member_is_address(const struct app_member *member, const struct room_name *room);
/* Whether it is the room of its sub. */
bool app_member_is_sub(const struct app_member *member, const struct room_name *room);

/* Whether it may be in a room of that name, and which that is. */
bool app_member_may_enter(const struct app_member *member, struct str room,
                          struct room_name *ret_name);

/* NULL where the member is not in the room. */
struct app_membership *app_member_in(struct app_member *member, const struct app_room *room);
/* Whether getRooms shows the room. */
bool app_member_sees(struct app_member *member, const struct app_room *room);
/*
 * Idempotent; a visible entry makes a hidden one visible. `since` is where a new membership begins.
 * NOMEM.
 */
MUST_CHECK enum err app_member_enter(struct app_member *member, struct app_room *room, bool visible,
                                     uint64_t since);
/* Stays in, without seeing it. Idempotent; nothing where it is not in. */
void app_member_hide(struct app_member *member, struct app_room *room);
/* Idempotent. The room may be idle afterwards. */
void app_member_leave(struct app_member *member, struct app_room *room);

#endif

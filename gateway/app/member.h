/*
 * One authenticated client: its socket, who it is, and the rooms it is in.
 */
#ifndef APP_MEMBER_H
#define APP_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "app/auth.h"
#include "app/rooms.h"
#include "app/session.h"
#include "socketio/server.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/rcbuf.h"

struct app;
struct app_event;
struct app_keeping;
struct app_move;
struct app_permit;
struct app_recovery;

struct app_membership {
    struct app_room *room;
    uint64_t since;       /* the room's last event when it was entered: nothing up to it is due */
    uint32_t index : 31;  /* of this member among the room's */
    uint32_t visible : 1; /* shown by getRooms; the room of a `sub` beside an address is not */
} PACKED_TO_4;

enum { APP_MEMBERSHIPS_EMBEDDED = 3 }; /* user by address, user by sub, global */

/* What a member has only while something of it is under way. */
struct app_transit {
    struct app_recovery *recovery; /* while it is being recovered */
    struct app_move *move;         /* while it goes to, or comes from, another gateway */
    struct app_permit *permit;     /* while it waits to be let in */
    struct app_keeping *keeping;   /* while its session is being kept */
    struct list joins;             /* struct app_join by of_member */
};

struct app_member {
    struct app *app;
    struct sio_socket *socket;
    uint64_t last_id;            /* of the event that was delivered last; 0 before the first */
    struct app_transit *transit; /* owned; NULL at rest */
    struct list all;             /* of app->walks */
    uint64_t token_id;           /* of its token, as is issued_s: see app/auth.h */
    int64_t connected_ms;        /* since 1970 */
    union {
        struct app_membership embedded[APP_MEMBERSHIPS_EMBEDDED]; /* up to that capacity */
        struct app_membership *on_heap;                           /* above it */
    } memberships;
    uint32_t issued_s;
    uint32_t expires_s;       /* seconds since 1970; 0: never, or after 2106. See app/expiry.h */
    uint32_t expiry_place;    /* private to app/expiry.c, as is the next */
    uint32_t warn_ms;         /* it is to be told so long before the end; 0: no more */
    uint16_t count, capacity; /* of memberships */
    uint16_t visible;         /* of them */
    uint16_t refused_s;       /* when `authenticate` was refused last, see app_renew; 0: never */
    uint8_t sub_len, address_len;
    uint8_t automatic;    /* joins still missing before `connected` can be sent */
    bool permitted : 1;   /* nothing speaks against letting it in */
    bool accepted : 1;    /* CONNECT was answered */
    bool recovers : 1;    /* there is room for a session */
    bool has_session : 1; /* false: it can't recover, and gets events without their ids */
    /* One where it recovers; then sub, and the canonical address, not terminated. */
    struct app_session session[];
};

/* There is one for each idle connection: what is rare is in struct app_transit. */
_Static_assert(sizeof(struct app_member) <= 160, "a member grew");

/* NULL without memory. */
struct app_member *app_member_new(struct app *app, struct sio_socket *socket,
                                  const struct app_identity *identity, bool recovers);
/* Leaves every room. Its joins must have been cancelled, its session, recovery and move ended. */
void app_member_free(struct app_member *member);

/* Makes `transit` if need be. NOMEM. */
MUST_CHECK enum err app_member_need_transit(struct app_member *member);
/* Lets go of it when there is nothing in it any more. */
void app_member_tidy(struct app_member *member);
/* What of it there is; NULL where it has not. */
static inline struct app_recovery *app_member_recovery(const struct app_member *member)
{
    return member->transit ? member->transit->recovery : NULL;
}
static inline struct app_move *app_member_move(const struct app_member *member)
{
    return member->transit ? member->transit->move : NULL;
}
static inline struct app_permit *app_member_permit(const struct app_member *member)
{
    return member->transit ? member->transit->permit : NULL;
}
static inline struct app_keeping *app_member_keeping(const struct app_member *member)
{
    return member->transit ? member->transit->keeping : NULL;
}
/* Its session; NULL without. */
static inline struct app_session *app_member_session(struct app_member *member)
{
    return member->has_session ? member->session : NULL;
}
/* In the order of entering, member->count of them; valid until it enters or leaves a room. */
static inline const struct app_membership *app_member_memberships(const struct app_member *member)
{
    return member->capacity > APP_MEMBERSHIPS_EMBEDDED ? member->memberships.on_heap
                                                       : member->memberships.embedded;
}

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

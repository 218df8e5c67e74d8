/*
 * Joins: members that wait for a room's subscription to be confirmed, so that what they are told is
 * true: from the acknowledgement on, every event of the room reaches them.
 */
#ifndef APP_JOIN_H
#define APP_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/history.h"
#include "app/member.h"
#include "util/attr.h"
#include "util/err.h"

/* How a join ended. */
enum app_join_result {
    APP_JOIN_DONE,      /* the member is in the room, and the room is live */
    APP_JOIN_TIMEOUT,   /* Redis did not confirm in time */
    APP_JOIN_CANCELLED, /* the member left the room meanwhile */
    APP_JOIN_FAILED,    /* no memory */
};

struct app_join {
    struct list of_room, of_member, by_time; /* private */
    struct app_room *room;
    struct app_member *member;
    uint64_t started_ms;
    uint64_t ack_id;
    bool wants_ack;
    bool automatic;   /* part of connecting: waits however long, `connected` follows the last */
    bool visible;     /* to be shown by getRooms */
    bool counts;      /* one room more than the member has, or waits for already */
    bool wants_past;  /* it ends when the room's events past a position are in memory, too */
    uint64_t entered; /* where the membership began, for one that was interrupted; 0: now */
    /* Only there where it wants it. Position and most; the rest is private but for `complete`. */
    struct app_history_wait past;
};

struct app_joins {
    struct loop *loop;
    struct app_history *history;
    uint64_t timeout_ms;
    struct list by_time; /* those that can time out, oldest first */
    struct wheel_timer timer;
    /* Called once for each join that ends, except when its member goes; the join is freed after. */
    void (*on_end)(struct app_join *join, enum app_join_result result);
};

void app_joins_init(struct app_joins *joins, struct loop *loop, struct app_history *history,
                    uint64_t timeout_ms,
                    void (*on_end)(struct app_join *join, enum app_join_result result));
void app_joins_fini(struct app_joins *joins);

/*
 * Joins the room of that name as `wanted` says (its member, ack, automatic, visible, past). on_end
 * follows: at once when the room is live and nothing of its past is wanted, or has to be read.
 * NOMEM: nothing was begun.
 */
MUST_CHECK enum err app_join_begin(struct app_joins *joins, const struct room_name *name,
                                   const struct app_join *wanted);
/* The room is live: all who wait are in. */
void app_joins_room_live(struct app_joins *joins, struct app_room *room);
/* The member's joins of that room end as CANCELLED. */
void app_joins_cancel(struct app_joins *joins, struct app_member *member, struct app_room *room);
/* The member goes: its joins end without a word. */
void app_joins_forget(struct app_joins *joins, struct app_member *member);
/* What the member waits for. */
struct app_joins_pending {
    size_t joins;
    size_t rooms; /* that it will see when they have ended well, and does not see yet */
    bool room;    /* among them the one that was asked about */
};
struct app_joins_pending app_joins_pending(const struct app_member *member,
                                           const struct app_room *room);

#endif

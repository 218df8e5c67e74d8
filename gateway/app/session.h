/*
 * The sessions of those members that can recover: kept in Redis under the member's pid before
 * anything is promised to it, and again often enough that they outlast the member's gateway by
 * RECOVERY_WINDOW, however that ends.
 */
#ifndef APP_SESSION_H
#define APP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/session.h"
#include "bus/subscriber.h"
#include "loop/loop.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/list.h"
#include "util/map.h"
#include "util/rcbuf.h"

struct app_member;

struct app_sessions {
    struct loop *loop;
    struct bus_subscriber *subscriber;
    const struct bus_subscriber_options *bus;
    uint64_t window_ms; /* 0: nobody can recover */
    struct map by_pid;
    struct list by_age;  /* those that were asked for longest ago in front */
    struct rcbuf *epoch; /* the last that was seen: all sessions since share it */
    uint8_t round;       /* goes on where all are to be kept again */
    struct wheel_timer timer;
    struct loop_task renewal;           /* of those that are due, a share of the turn */
    uint64_t kept, refused, taken_over; /* since the start */
};

/* What a member is told once it is kept: an acknowledgement, or `connected`. */
struct app_promise {
    struct list node; /* private */
    bool greeting;
    uint64_t ack_id;
    struct buf answer;
};

/* Lies in its member: see app/member.h. */
struct app_session {
    struct map_node by_pid;
    struct list by_age;
    struct rcbuf *epoch; /* of the Redis that the member's events came from; NULL: not known yet */
    char pid[BUS_PID_LEN];
    uint32_t asked_ms; /* when it was to be kept last, by loop_now; cut off */
    uint8_t round;     /* of its sessions, then */
    bool claimed;      /* it was kept once by this gateway */
    bool taken;        /* another connection has the client: nothing is kept of this one any more */
};

/* There is one for nearly each idle connection. */
_Static_assert(sizeof(struct app_session) <= 72, "a session grew");

void app_sessions_init(struct app_sessions *sessions, struct loop *loop,
                       struct bus_subscriber *subscriber, const struct bus_subscriber_options *bus,
                       uint64_t window_ms);
/* All sessions are gone. */
void app_sessions_fini(struct app_sessions *sessions);
/* Whether this gateway can give sessions at all: one order of all events is needed. */
bool app_sessions_enabled(const struct app_sessions *sessions);
/* Keeps all again: another Redis than before may not have what was kept last. */
void app_sessions_renew(struct app_sessions *sessions);
/* NULL where nobody here has that pid. */
struct app_session *app_sessions_find(const struct app_sessions *sessions, struct str pid);

/* The member, which recovers, gets one: with this pid, or a new one where it is empty. NOMEM. */
MUST_CHECK enum err app_session_begin(struct app_member *member, struct str pid);
struct str app_session_pid(const struct app_session *session);
/* A member as it stands in Redis, with ids of that epoch. LIMIT, NOMEM. */
MUST_CHECK enum err app_session_describe(const struct app_member *member, struct str epoch,
                                         struct buf *out);
/*
 * Keeps the member as it is now; then it is told what was promised. Takes the promise (NULL: none).
 * Where Redis refuses, the member is told all the same, and can not recover.
 */
void app_session_keep(struct app_session *session, struct app_promise *promise);
/* The client has another connection: this one is closed, and leaves no trace. */
void app_session_take(struct app_session *session);
/* The member, if it has one, went to another gateway, which keeps it from now on. */
void app_session_forget(struct app_member *member);
/* The member, if it has one, goes: to come back within the window, or for good. */
void app_session_end(struct app_member *member, bool comes_back);

/* NULL without memory. */
struct app_promise *app_promise_new(bool greeting);

#endif

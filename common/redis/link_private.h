/*
 * Inside of a redis_link, shared by its three files: link.c (life, death, time), link_open.c (from
 * nothing to UP) and link_io.c (bytes). Whatever may end in on_down returns nothing; its caller
 * looks at the phase before it goes on, for the owner may have freed the link.
 */
#ifndef REDIS_LINK_PRIVATE_H
#define REDIS_LINK_PRIVATE_H

#include <event2/event_struct.h>

#include "redis/dial.h"
#include "redis/hello.h"
#include "redis/link.h"
#include "redis/outbox.h"
#include "redis/pending.h"
#include "redis/replies.h"
#include "redis/topology.h"
#include "stream/stream.h"

enum {
    LINK_READ_CAP = 64 * 1024, /* one read */
    LINK_WHY_MAX = 512,
};

enum link_phase {
    LINK_DOWN,      /* nothing stands; the timer, if set, starts the next attempt */
    LINK_LOCATING,  /* where is the primary? */
    LINK_DIALING,   /* name look-up and TCP */
    LINK_HANDSHAKE, /* TLS */
    LINK_HELLO,     /* AUTH and so on are under way */
    LINK_UP,
    LINK_FREED, /* the owner is gone; the memory goes at the end of the turn */
};

struct redis_link {
    struct loop *loop;
    const struct redis_link_options *options;
    const struct redis_link_ops *ops;
    void *owner;
    enum link_phase phase;
    struct redis_topology topology;
    struct redis_dial dial;
    struct stream stream;
    struct event readable, writable; /* of the stream, from HANDSHAKE on */
    bool paused;                     /* UP: nothing is read until redis_link_resume */
    bool full;                       /* the socket takes no more until it is writable */
    struct redis_replies replies;
    struct redis_outbox outbox;
    struct redis_pending pending;
    struct loop_task flush;     /* what this turn queued */
    struct loop_task read_more; /* what the bound of the last turn left */
    struct wheel_timer
        timer; /* DOWN: next attempt. Until UP: time limit. UP: look at the silence */
    enum redis_hello_step hello; /* HELLO: the step whose answer is due */
    bool pushes;                 /* SUBSCRIBE was sent */
    bool awaiting;               /* an answer is due since waiting_ms */
    uint64_t waiting_ms;
    uint64_t located_ms;  /* when the present address was told */
    bool slow;            /* the last that answered did so too late to be believed */
    uint64_t deadline_ms; /* of the attempt */
    uint64_t heard_ms;    /* when the last byte came */
    uint64_t backoff_ms;  /* the next, before jitter */
    uint64_t epoch;
    char why[LINK_WHY_MAX];
    struct loop_reap reap;
    char bytes[LINK_READ_CAP];
};

/* link.c: closes the connection, answers what waits with CLOSED, plans the next attempt, tells the
 * owner. */
void link_go_down(struct redis_link *link, enum err err);
/* The same with words; link_go_down takes those in link->why. */
void link_fail(struct redis_link *link, enum err err, const char *why);
/* Of a handshake, a read or a write: finds the words itself. */
void link_fail_tls(struct redis_link *link, enum err err);
void link_fail_stream(struct redis_link *link, enum err err);
/* Plans the next attempt, where there is to be one. */
void link_schedule_retry(struct redis_link *link);
/* The first look at the silence of a link that came up; the others follow. */
void link_schedule_check(struct redis_link *link);

/* link_open.c: the next attempt, from DOWN. */
void link_attempt(struct redis_link *link);
/* The time for the attempt is over. */
void link_time_out(struct redis_link *link);
void link_open_init(struct redis_link *link);
void link_go_on_with_handshake(struct redis_link *link);

/* link_io.c */
void link_io_init(struct redis_link *link);
/* Begins to watch the stream's descriptor. NOMEM. */
MUST_CHECK enum err link_io_start(struct redis_link *link);
/* Queues in any phase that has a stream. `answered`: a reply will come, for `reply` if it is not
 * NULL. */
MUST_CHECK enum err link_enqueue(struct redis_link *link, const struct str *args, size_t count,
                                 redis_reply_fn reply, void *context, bool answered);
/* Reads what there is, up to the bound of a turn. */
void link_read_all(struct redis_link *link);
/* After AGAIN: waits for writability if it is that. */
void link_watch_writable(struct redis_link *link);

#endif

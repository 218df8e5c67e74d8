/*
 * Inside of a bus_subscriber, shared by its files: subscriber.c (channels and what comes on
 * them), catch_up.c (what was missed) and probe.c (whether the two connections lead to one Redis
 * that delivers), control.c (messages that are no events).
 */
#ifndef BUS_SUBSCRIBER_PRIVATE_H
#define BUS_SUBSCRIBER_PRIVATE_H

#include "bus/log.h"
#include "bus/subscriber.h"

/* Messages that wait until all rooms are caught up with, to be handed on in the order of their ids.
 */
struct bus_hold {
    struct bus_held **items;
    size_t count, cap;
    size_t next; /* those before it were handed on */
    size_t bytes;
    bool sorted;
};

/*
 * Redis confirms each requested channel once, in the order of the requests: so they are numbered,
 * and the n-th confirmation is for the n-th request of this connection. That tells the confirmation
 * of a channel that was dropped meanwhile from that of the same room wanted again.
 */
struct bus_subscriber {
    struct loop *loop;
    const struct bus_subscriber_ops *ops;
    void *owner;
    const struct bus_subscriber_options *options;
    struct bus_keys keys;
    struct redis_link *link; /* subscriptions */
    struct bus_store *store; /* everything else */
    struct map wanted;       /* channels not IDLE, by room */
    struct list queued;      /* those in QUEUED */
    struct buf dropped;      /* names of rooms to unsubscribe: a length byte and the room, each */
    uint32_t requested;      /* channels named in SUBSCRIBE and UNSUBSCRIBE on this connection */
    uint32_t confirmed;
    struct bus_channel *delivering; /* whose message is with the owner, NULL when it dropped it */
    bool handed_on;                 /* a message, and on_rest is due */
    struct loop_task send_batches;
    struct wheel_timer retry;
    struct buf names; /* scratch: channel names of one batch */
    struct str *args; /* scratch: the command and its channels */
    bool paused;
    uint64_t bytes_passed;
    struct bus_place *passed; /* by partition, see bus_subscriber_passed */
    struct bus_place *seen;   /* the same for what has been received, held or not */

    struct list unstamped; /* STAMPING, not asked for yet */
    struct list stamps;    /* questions under way */
    struct list reads;     /* likewise */
    struct list caught_up; /* CAUGHT_UP */
    size_t behind;         /* known channels that are not read yet since the connection was lost */
    struct bus_hold hold;
    struct loop_task stamp, drain;
    uint64_t barrier; /* the probe that has to come before the held may go on; 0: none */

    struct buf inbox, control; /* names of the channels of messages to us, and to all gateways */
    struct list listeners;     /* struct bus_listener */
    char epoch[BUS_EPOCH_LEN];
    bool epoch_known;
    uint64_t probe_sent, probe_seen; /* numbers */
    uint64_t probe_round;            /* of the last that was sent to be judged by */
    uint64_t probe_before;           /* of the last that was sent before these connections stood */
    bool probe_refused;
    unsigned probes_missed; /* in a row */
    uint64_t probe_seen_ms; /* 0: none yet */
    struct wheel_timer probe_timer;

    struct bus_subscriber_stats stats;
    struct loop_reap reap;
};

/* subscriber.c */

/* Before the owner is told anything but a message, and when no more of them follow at once. */
void bus_subscriber_rest(struct bus_subscriber *subscriber);
/* Hands one message on, unless it was before. False: the channel has fallen behind, keep it. */
bool bus_subscriber_pass(struct bus_subscriber *subscriber, struct bus_channel *channel,
                         const struct bus_envelope *envelope, size_t bytes);
/* The owner hears of a gap; false when it has dropped the channel. */
bool bus_subscriber_tell_gap(struct bus_subscriber *subscriber, struct bus_channel *channel);

/* There was no memory: has what could not be asked asked in a moment. */
void bus_subscriber_retry(struct bus_subscriber *subscriber);

/* catch_up.c */

void bus_catch_up_init(struct bus_subscriber *subscriber);
void bus_catch_up_fini(struct bus_subscriber *subscriber);
/* A subscription holds: asks for the channel's place, or reads its log. */
void bus_catch_up_confirmed(struct bus_subscriber *subscriber, struct bus_channel *channel);
/* A LIVE channel has missed something. */
void bus_catch_up_break(struct bus_subscriber *subscriber, struct bus_channel *channel);
/* Before a channel that is not IDLE is forgotten. */
void bus_catch_up_forget(struct bus_subscriber *subscriber, struct bus_channel *channel);
/* The connection is lost: of every known channel something may be missed from now on. */
void bus_catch_up_lost_connection(struct bus_subscriber *subscriber);
/* Whether messages have to wait. */
bool bus_catch_up_holding(const struct bus_subscriber *subscriber);
/* Copies a message, to be handed on behind those with a smaller id and those held before. */
void bus_catch_up_hold(struct bus_subscriber *subscriber, struct str room, uint64_t id,
                       struct str message);
/* Sends what the barrier waits for. */
void bus_catch_up_send_barrier(struct bus_subscriber *subscriber);
/* The barrier was reached, or can't be. */
void bus_catch_up_go_on(struct bus_subscriber *subscriber);
/* Gives up on everything missed: on_lost, and every room begins anew. */
void bus_catch_up_start_over(struct bus_subscriber *subscriber, const char *why);

/* probe.c */

void bus_probe_init(struct bus_subscriber *subscriber);
void bus_probe_fini(struct bus_subscriber *subscriber);
/* The store's connection stands: learns whether Redis still holds what it held. */
void bus_probe_store_up(struct bus_subscriber *subscriber);
/* One of the connections is lost: what has come back until now says nothing any more. */
void bus_probe_distrust(struct bus_subscriber *subscriber);
/* Both connections stand. */
void bus_probe_begin(struct bus_subscriber *subscriber);
/* Publishes to ourselves, under the next number. NOMEM. */
MUST_CHECK enum err bus_probe_send(struct bus_subscriber *subscriber, unsigned partition);
/* A probe came back. */
void bus_probe_take(struct bus_subscriber *subscriber, struct str text);

/* control.c */

/* Names the channels of messages to us. NOMEM. */
MUST_CHECK enum err bus_control_init(struct bus_subscriber *subscriber);
void bus_control_fini(struct bus_subscriber *subscriber);
/* Subscribes to them; two requests. As redis_link_send. */
MUST_CHECK enum err bus_control_subscribe(struct bus_subscriber *subscriber);
/* Takes what came on one of them; false for another channel. */
bool bus_control_take(struct bus_subscriber *subscriber, struct str channel, struct str message);

#endif

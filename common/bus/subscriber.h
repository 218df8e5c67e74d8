/*
 * The reading side of the bus: the channels of the rooms that somebody here is in, without a gap.
 *
 * The owner of a room embeds a bus_channel. Wanting it sends SUBSCRIBE (batched with the others of
 * this turn); on_live comes when Redis has confirmed and the room's place in the order of events is
 * known: of the events published after it, each arrives by on_message once, in the order of ids
 * over all rooms of a partition, for as long as the channel is wanted. While Redis is away nobody
 * is told; when it is back everything wanted is subscribed again, in batches, what was missed is
 * read from the logs and handed on before anything new, and on_live comes again. See
 * docs/decisions/0008-catching-up.md.
 */
#ifndef BUS_SUBSCRIBER_H
#define BUS_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/control.h"
#include "bus/envelope.h"
#include "bus/history.h"
#include "bus/keys.h"
#include "bus/store.h"
#include "loop/loop.h"
#include "redis/link.h"
#include "schema/room.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/map.h"

struct bus_subscriber;

enum { BUS_EPOCH_LEN = 20 };

enum bus_channel_state {
    BUS_CHANNEL_IDLE,      /* not wanted: unknown to the subscriber, may be freed */
    BUS_CHANNEL_QUEUED,    /* wanted, SUBSCRIBE to be sent with the next batch */
    BUS_CHANNEL_ASKED,     /* SUBSCRIBE sent, not confirmed */
    BUS_CHANNEL_STAMPING,  /* confirmed for the first time; its place in the order is asked for */
    BUS_CHANNEL_BEHIND,    /* confirmed; its log is being read */
    BUS_CHANNEL_CAUGHT_UP, /* read; other rooms are not yet */
    BUS_CHANNEL_LIVE,
};

struct bus_channel {
    struct map_node by_room; /* private */
    struct list batch;       /* private: linked while QUEUED, STAMPING, CAUGHT_UP */
    /*
     * While LIVE: every event of the room with a larger id will arrive, and none up to it: the last
     * that was handed on, or where the room was entered. In on_message still of the one before.
     */
    uint64_t last_id;
    uint64_t read_to;    /* private: what its log does not hold up to here is gone; 0: not read */
    uint32_t asked;      /* private: which of the connection's requests was the SUBSCRIBE */
    bool known;          /* private: last_id says what was missed since */
    unsigned char state; /* enum bus_channel_state */
    unsigned char room_at, room_len; /* private: the canonical name, in the embedder */
};

/* There is one for each room, and most rooms are one user's. */
_Static_assert(sizeof(struct bus_channel) <= 56, "a channel grew");

struct bus_subscriber_ops {
    /* The subscription holds from here on. May want or drop channels. */
    void (*on_live)(void *owner, struct bus_channel *channel);
    /*
     * A message with a well-formed header that names the channel's room; everything in it is
     * borrowed. It may be malformed beyond its header. May want or drop channels.
     */
    void (*on_message)(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope);
    /*
     * Messages were handed on, and something else comes next: another of these calls, a message
     * that is no event, or the turn's other work. Who gathers messages stops here. NULL: nobody.
     */
    void (*on_rest)(void *owner);
    /*
     * Events of the room may be missing before the next one: its log did not reach back. In
     * on_lost, of any room. Whoever relies on them has to be told. May drop channels.
     */
    void (*on_gap)(void *owner, struct bus_channel *channel);
    void (*on_lost)(void *owner, const char *why);
    /* bus_subscriber_passed has moved: a probe has come back, or all rooms are caught up with. */
    void (*on_passed)(void *owner);
    /* Something came on a channel of ours that is no message; counted and logged by the owner. */
    void (*on_garbage)(void *owner, struct str channel, enum err err);
    /* A connection stands (both, then), or was lost or refused (why: in words). For logs. */
    void (*on_up)(void *owner);
    void (*on_down)(void *owner, enum err err, const char *why);
    /* Redis refuses what a gateway needs, in its words: rights are missing, or memory. For logs. */
    void (*on_refused)(void *owner, struct str why);
};

struct bus_subscriber_options {
    struct bus_keys keys;
    const struct redis_link_options *redis;
    unsigned batch;             /* channels in one SUBSCRIBE or UNSUBSCRIBE command; 512 is good */
    const char *gateway_id;     /* names the channel that messages to this gateway come on */
    uint64_t probe_interval_ms; /* 0: probes only when a connection stands, and to catch up */
    struct bus_history history[ROOM_KINDS]; /* what publishers keep */
};

/* Borrows loop and options for its lifetime and connects at once. NULL without memory. */
struct bus_subscriber *bus_subscriber_new(struct loop *loop,
                                          const struct bus_subscriber_options *options,
                                          const struct bus_subscriber_ops *ops, void *owner);
/* All channels must have been dropped. NULL is fine. */
void bus_subscriber_free(struct bus_subscriber *subscriber);

/* `room` lies in the embedder, too: it begins less than 256 bytes behind the channel's beginning.
 */
void bus_channel_init(struct bus_channel *channel, struct str room);
static inline struct str bus_channel_room_name(const struct bus_channel *channel)
{
    return (struct str){(const char *)channel + channel->room_at, channel->room_len};
}

/* From IDLE only; no other channel of that room may be wanted. NOMEM. */
MUST_CHECK enum err bus_subscriber_want(struct bus_subscriber *subscriber,
                                        struct bus_channel *channel);
/* Back to IDLE at once; UNSUBSCRIBE follows in a batch. Idempotent. No callback comes any more. */
void bus_subscriber_drop(struct bus_subscriber *subscriber, struct bus_channel *channel);
/* The wanted channel of a room, NULL where there is none. */
struct bus_channel *bus_subscriber_find(struct bus_subscriber *subscriber, struct str room);
/*
 * Walks the wanted channels in no order: start with NULL, stop at NULL. None may be wanted or
 * dropped meanwhile.
 */
struct bus_channel *bus_subscriber_next(const struct bus_subscriber *subscriber,
                                        const struct bus_channel *channel);
/* Wanted channels. */
size_t bus_subscriber_count(const struct bus_subscriber *subscriber);
/*
 * Lets messages wait with Redis until resumed, or until the connection is lost. Idempotent; what
 * was read already still comes.
 */
void bus_subscriber_pause(struct bus_subscriber *subscriber);
void bus_subscriber_resume(struct bus_subscriber *subscriber);
/* Bytes of messages handed on, since the start. */
uint64_t bus_subscriber_bytes_passed(const struct bus_subscriber *subscriber);
/* Whether both connections to Redis stand, and what is published to this gateway would come. */
bool bus_subscriber_connected(const struct bus_subscriber *subscriber);

/* Whether what is published arrives: the last probe by these connections came back, and lately. */
enum bus_readiness {
    BUS_READY,
    BUS_NOT_CONNECTED,
    BUS_PROBES_REFUSED, /* by Redis; on_refused was told why */
    BUS_NO_PROBE_YET,
    BUS_PROBES_MISSED,
    BUS_PROBE_OVERDUE, /* none came back for too long */
};
enum bus_readiness bus_subscriber_readiness(const struct bus_subscriber *subscriber);
bool bus_subscriber_ready(const struct bus_subscriber *subscriber);
/* Milliseconds since a probe came back; UINT64_MAX: none did yet. */
uint64_t bus_subscriber_probe_age_ms(const struct bus_subscriber *subscriber);

/* A probe out of turn, so that bus_subscriber_passed moves soon; where it can't be sent, later. */
void bus_subscriber_probe(struct bus_subscriber *subscriber);

/* For requests of the owner's own. */
struct bus_store *bus_subscriber_store(const struct bus_subscriber *subscriber);
/* What was published in a partition up to here has been handed on, where it was wanted by then. */
struct bus_place {
    uint64_t id;   /* of an event; 0: nothing is known yet */
    uint64_t time; /* by Redis' clock, in microseconds since 1970: later than the id, mostly */
};
struct bus_place bus_subscriber_passed(const struct bus_subscriber *subscriber, unsigned partition);
/* Changes when Redis has lost what it kept; empty while unknown. */
struct str bus_subscriber_epoch(const struct bus_subscriber *subscriber);
/* About when that was, in microseconds since 1970: of older events nothing can be told. */
uint64_t bus_subscriber_epoch_began(const struct bus_subscriber *subscriber);

struct bus_subscriber_stats {
    uint64_t caught_up; /* rooms whose logs were read after a loss of the connection, or a break */
    uint64_t recovered; /* events that came from there */
    uint64_t breaks;    /* of the chain of ids, on a connection that stood */
    uint64_t gaps;      /* rooms whose log did not reach back */
    uint64_t lost;      /* times that Redis had lost everything, or too much was waiting */
    uint64_t probes, probes_missed;
    uint64_t ups, downs; /* of the connection that subscribes */
    uint64_t stood;      /* times that both connections came to stand */
    uint64_t stood_ms;   /* by the loop's clock: the last of them; 0: none yet */
    size_t behind;       /* rooms that are being caught up with, now */
    size_t held_bytes;   /* messages that wait for that, now */
};
const struct bus_subscriber_stats *bus_subscriber_stats(struct bus_subscriber *subscriber);

#endif

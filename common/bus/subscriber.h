/*
 * The reading side of the bus: the channels of the rooms that somebody here is in.
 *
 * The owner of a room embeds a bus_channel. Wanting it sends SUBSCRIBE (batched with the others of
 * this turn); on_live comes when Redis has confirmed, in the order of the messages on that
 * connection: every event published after it arrives by on_message. While Redis is away channels
 * are not live and nobody is told; when it is back everything wanted is subscribed again, in
 * batches, and on_live comes again.
 */
#ifndef BUS_SUBSCRIBER_H
#define BUS_SUBSCRIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/envelope.h"
#include "bus/keys.h"
#include "loop/loop.h"
#include "redis/link.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/map.h"

struct bus_subscriber;

enum bus_channel_state {
    BUS_CHANNEL_IDLE,   /* not wanted: unknown to the subscriber, may be freed */
    BUS_CHANNEL_QUEUED, /* wanted, SUBSCRIBE to be sent with the next batch */
    BUS_CHANNEL_ASKED,  /* SUBSCRIBE sent, not confirmed */
    BUS_CHANNEL_LIVE,   /* confirmed */
};

struct bus_channel {
    struct map_node by_room; /* private */
    struct list batch;       /* private: linked while QUEUED */
    /* Of the last message with an id, 0 before the first; in on_message still of the one before. */
    uint64_t last_id;
    const char *room; /* canonical name, not terminated, owned by the embedder */
    unsigned char room_len;
    unsigned char state; /* enum bus_channel_state */
    uint32_t asked;      /* private: which of the connection's requests was the SUBSCRIBE */
};

struct bus_subscriber_ops {
    /* The subscription holds from here on. May want or drop channels. */
    void (*on_live)(void *owner, struct bus_channel *channel);
    /*
     * A message with a well-formed header that names the channel's room; everything in it is
     * borrowed. It may be malformed beyond its header. May want or drop channels.
     */
    void (*on_message)(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope);
    /* Something came on a channel of ours that is no message; counted and logged by the owner. */
    void (*on_garbage)(void *owner, struct str channel, enum err err);
    /* The connection stands, or was lost or refused (why: in words). For logs and health; NULL: not
     * wanted. */
    void (*on_up)(void *owner);
    void (*on_down)(void *owner, enum err err, const char *why);
};

struct bus_subscriber_options {
    struct bus_keys keys;
    const struct redis_link_options *redis;
    unsigned batch; /* channels in one SUBSCRIBE or UNSUBSCRIBE command; 512 is good */
};

/* Borrows loop and options for its lifetime and connects at once. NULL without memory. */
struct bus_subscriber *bus_subscriber_new(struct loop *loop,
                                          const struct bus_subscriber_options *options,
                                          const struct bus_subscriber_ops *ops, void *owner);
/* All channels must have been dropped. NULL is fine. */
void bus_subscriber_free(struct bus_subscriber *subscriber);

/* `room` stays the embedder's and must live as long as the channel. */
void bus_channel_init(struct bus_channel *channel, struct str room);
static inline struct str bus_channel_room_name(const struct bus_channel *channel)
{
    return (struct str){channel->room, channel->room_len};
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
/* From Redis, since the start. */
uint64_t bus_subscriber_bytes_read(const struct bus_subscriber *subscriber);
/* Whether the connection to Redis stands. */
bool bus_subscriber_connected(const struct bus_subscriber *subscriber);

#endif

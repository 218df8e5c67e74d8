/*
 * Names of our keys and channels in Redis. What belongs together lives under one hash tag {k},
 * k = CRC-16 of the room's name (the CRC of Redis Cluster) modulo the number of partitions.
 */
#ifndef BUS_KEYS_H
#define BUS_KEYS_H

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct bus_keys {
    struct str prefix;   /* "guesslyfe:"; borrowed for the lifetime of the keys */
    unsigned partitions; /* 1 … 1024 */
};

unsigned bus_partition(const struct bus_keys *keys, struct str room);
/* Each appends one name to `out`. */
MUST_CHECK enum err bus_channel_name(const struct bus_keys *keys, struct str room, struct buf *out);
MUST_CHECK enum err bus_log_key(const struct bus_keys *keys, struct str room, struct buf *out);
MUST_CHECK enum err bus_clock_key(const struct bus_keys *keys, unsigned partition, struct buf *out);
MUST_CHECK enum err bus_once_key(const struct bus_keys *keys, unsigned partition, struct str once,
                                 struct buf *out);
/* Tells whether Redis still holds what it held: set once, by whichever gateway finds none. */
MUST_CHECK enum err bus_epoch_key(const struct bus_keys *keys, struct buf *out);
MUST_CHECK enum err bus_session_key(const struct bus_keys *keys, struct str pid, struct buf *out);
/* The channel of messages to one gateway. */
MUST_CHECK enum err bus_gateway_channel(const struct bus_keys *keys, struct str gateway,
                                        struct buf *out);
/* The channel of messages to all gateways. */
MUST_CHECK enum err bus_control_channel(const struct bus_keys *keys, struct buf *out);
/* The channel of answers to whoever sent one of those and named himself `asker`. */
MUST_CHECK enum err bus_answer_channel(const struct bus_keys *keys, struct str asker,
                                       struct buf *out);
/* A gateway's entry in the registry; an empty id: what all of these keys begin with. */
MUST_CHECK enum err bus_gateway_key(const struct bus_keys *keys, struct str gateway,
                                    struct buf *out);
/* The set of all gateways, by when they were heard of last. */
MUST_CHECK enum err bus_gateways_key(const struct bus_keys *keys, struct buf *out);
/* Whose tokens are not good any more. */
MUST_CHECK enum err bus_revoked_key(const struct bus_keys *keys, struct buf *out);
/* How many clients each gateway has of one user (its `sub`). */
MUST_CHECK enum err bus_connections_key(const struct bus_keys *keys, struct str sub,
                                        struct buf *out);
/* The room that a channel of ours belongs to; an empty view for a channel that is not ours. */
struct str bus_channel_room(const struct bus_keys *keys, struct str channel);

#endif

/*
 * The event that is fanned out: a market:trade of the catalogue whose tradeId is a sequence number,
 * so that a client can tell what it has got, missed or got twice. What Redis carries of it depends
 * on who is to hear it.
 */
#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"

enum { EVENT_MAX = 1024, EVENT_CHANNEL_MAX = 64 };

enum event_form {
    EVENT_PLAIN,    /* header line with id 0 and payload: for the gateway, and whoever reads that */
    EVENT_SOCKETIO, /* MessagePack, as the Redis adapter of Socket.IO on Node reads it */
};

/* The room market:<room>'s channel; NUL-terminated. */
void event_channel(enum event_form form, unsigned room, char out[EVENT_CHANNEL_MAX]);
/* What PUBLISH carries; once it is a client's frame, it has some 330 bytes. Its length. */
size_t event_encode(enum event_form form, unsigned room, uint32_t seq, char out[EVENT_MAX]);

/* The number in a Socket.IO packet. INVALID where it is not such an event. */
MUST_CHECK enum err event_parse(const char *packet, size_t len, uint32_t *ret_seq);

#endif

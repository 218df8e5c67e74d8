/*
 * The event that is fanned out: a market:trade of the catalogue whose tradeId is a sequence number,
 * so that a client can tell what it has got, missed or got twice.
 */
#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"

enum { EVENT_MAX = 512 };

/*
 * Into `out` what PUBLISH carries: header line with id 0 and payload (about 300 bytes once it is a
 * client's frame). Its length.
 */
size_t event_encode(const char *market, uint32_t seq, char out[EVENT_MAX]);

/* The number in a Socket.IO packet. INVALID where it is not such an event. */
MUST_CHECK enum err event_parse(const char *packet, size_t len, uint32_t *ret_seq);

#endif

/*
 * Plain PUBLISH over a socket of its own (RESP2, pipelined). Commands are collected and go out
 * together in publisher_flush(), so that events due at the same time reach Redis in one piece.
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct publisher {
    int fd;
    struct buf out;
    char *channel;
    uint64_t pending; /* commands without a reply so far */
    uint64_t unheard; /* replies that said: nobody listens on the channel */
    char line[64];    /* private: the reply that is arriving */
    size_t line_len;
};

/* A fixed address, "127.0.0.1". IO, INVALID, NOMEM. */
MUST_CHECK enum err publisher_open(struct publisher *publisher, const char *host, unsigned port,
                                   const char *channel);
void publisher_close(struct publisher *publisher);

MUST_CHECK enum err publisher_add(struct publisher *publisher, struct str message);
/* Writes everything that was added; waits where the socket is full. IO. */
MUST_CHECK enum err publisher_flush(struct publisher *publisher);
/* Reads the replies that have arrived, without waiting. PROTO for an error reply, CLOSED, IO. */
MUST_CHECK enum err publisher_poll(struct publisher *publisher);

#endif

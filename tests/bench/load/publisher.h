/*
 * Publishes over a socket of its own (RESP2, pipelined): plain PUBLISH, or the gateway's script
 * where a room has to have a log. Commands are collected and go out together in publisher_flush(),
 * so that events due at the same time reach Redis in one piece.
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum { PUBLISHER_SHA_LEN = 40 };

struct publisher {
    int fd;
    struct buf out;
    uint64_t pending;                   /* commands without a reply so far */
    uint64_t unheard;                   /* replies that said: nobody listens on the channel */
    char script[PUBLISHER_SHA_LEN + 1]; /* that keeps events, by name; empty where there is none */
    char line[64];                      /* private: the reply that is arriving, by lines */
    size_t line_len;
    unsigned skip; /* lines that are still to come of it */
};

/* To the Redis on 127.0.0.1. IO. */
MUST_CHECK enum err publisher_open(struct publisher *publisher, unsigned port);
/* Has Redis load common/bus/publish.lua from the file. IO, LIMIT, NOMEM, PROTO. */
MUST_CHECK enum err publisher_load(struct publisher *publisher, const char *file);
void publisher_close(struct publisher *publisher);

/* NOMEM. */
MUST_CHECK enum err publisher_add(struct publisher *publisher, const char *channel,
                                  struct str message);
/* An event of market:<room> that its log keeps; publisher_load went well before. NOMEM. */
MUST_CHECK enum err publisher_keep(struct publisher *publisher, unsigned room, struct str payload);
/* Writes everything that was added; waits where the socket is full. IO. */
MUST_CHECK enum err publisher_flush(struct publisher *publisher);
/* Reads the replies that have arrived, without waiting. PROTO for an error reply, CLOSED, IO. */
MUST_CHECK enum err publisher_poll(struct publisher *publisher);

#endif

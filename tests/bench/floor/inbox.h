/* The floor's ear: one Redis channel, read with the least that RESP2 needs. */
#ifndef BENCH_INBOX_H
#define BENCH_INBOX_H

#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"

enum { INBOX_SIZE = 1 << 20 };

struct inbox {
    int fd; /* for the caller's loop; inbox_read does not wait */
    size_t len;
    char bytes[INBOX_SIZE];
};

/* Connects to 127.0.0.1 and asks for the channel; the confirmation is awaited. IO, LIMIT. */
MUST_CHECK enum err inbox_open(struct inbox *inbox, unsigned port, const char *channel);
/* Reads what has arrived; the messages are borrowed. AGAIN where nothing did, PROTO, CLOSED, IO. */
MUST_CHECK enum err inbox_read(struct inbox *inbox,
                               void (*on_message)(void *arg, const char *message, size_t len),
                               void *arg);

#endif

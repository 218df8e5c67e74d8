/*
 * One end of the socket pair between the supervisor and a worker. Frames go both ways: questions
 * of operators to the worker, its answers back.
 */
#ifndef WORKERS_CHANNEL_H
#define WORKERS_CHANNEL_H

#include <stdint.h>

#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct channel;

/* On the wire as it is in memory: both ends are the same program on the same machine. */
struct channel_frame {
    uint32_t serial;   /* of a question, and of its answer; 0: the worker has begun to serve */
    uint32_t question; /* enum ops_question */
    uint32_t status;   /* of an answer, as in HTTP */
    uint32_t len;      /* bytes of the body behind */
};

struct channel_ops {
    /* The body is borrowed until it returns. May close the channel. */
    void (*on_frame)(void *owner, const struct channel_frame *frame, struct str body);
    /* The other end is gone or wrote what is no frame; the callee closes the channel. */
    void (*on_end)(void *owner);
};

/* Takes the descriptor, also where it fails: NULL without memory. Borrows loop and ops. */
struct channel *channel_open(struct loop *loop, int fd, const struct channel_ops *ops, void *owner);
/* NULL is fine. */
void channel_close(struct channel *channel);

/* Queues the frame; `len` is filled in. NOMEM: nothing of it was. */
MUST_CHECK enum err channel_send(struct channel *channel, struct channel_frame frame,
                                 struct str body);

#endif

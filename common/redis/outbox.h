/* Commands on their way out: RESP text, written in as few system calls as the socket allows. */
#ifndef REDIS_OUTBOX_H
#define REDIS_OUTBOX_H

#include <stddef.h>

#include "stream/stream.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum { REDIS_OUTBOX_MAX = 64 * 1024 * 1024 };

struct redis_outbox {
    struct buf bytes;
    size_t written; /* of bytes, by the socket already */
};

void redis_outbox_init(struct redis_outbox *outbox);
void redis_outbox_fini(struct redis_outbox *outbox);
/* Formats one command behind the others, all or nothing. LIMIT, NOMEM. */
MUST_CHECK enum err redis_outbox_add(struct redis_outbox *outbox, const struct str *args,
                                     size_t count);
/* OK: all is written. AGAIN: the socket is full. CLOSED, IO. */
MUST_CHECK enum err redis_outbox_flush(struct redis_outbox *outbox, struct stream *stream);
static inline size_t redis_outbox_len(const struct redis_outbox *outbox)
{
    return outbox->bytes.len - outbox->written;
}

#endif

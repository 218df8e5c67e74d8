/*
 * A binary packet whose attachments have not all come: bounded in bytes and time, and gone as soon
 * as it is complete.
 */
#ifndef SOCKETIO_BINARY_H
#define SOCKETIO_BINARY_H

#include "loop/wheel.h"
#include "socketio/private.h"
#include "util/buf.h"

struct sio_binary {
    struct wheel_timer timer;
    struct sio_client *client;
    struct buf bytes; /* the packet's text, then the attachments */
    size_t text_len;
    size_t expected, received;
    size_t ends[SIO_ATTACHMENTS_MAX]; /* of the attachments, in bytes */
};

/* Begins to wait: client->rare->binary is set. NOMEM, LIMIT. */
MUST_CHECK enum err sio_binary_begin(struct sio_client *client, struct str text,
                                     size_t attachments);
/* Takes the next attachment. AGAIN: more are due. NOMEM, LIMIT. */
MUST_CHECK enum err sio_binary_take(struct sio_binary *binary, struct str attachment);
struct str sio_binary_text(const struct sio_binary *binary);
/* Views of what was received, into the packet's own bytes. */
void sio_binary_attachments(const struct sio_binary *binary, struct str out[SIO_ATTACHMENTS_MAX]);
/* NULL is fine. */
void sio_binary_free(struct sio_binary *binary);

#endif

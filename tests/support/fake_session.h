/*
 * An eio_session without a connection, for what sits on one: a place for the object above it, and
 * written down what it is given. Zeroed it is open. Link it instead of the room `engineio`.
 */
#ifndef SUPPORT_FAKE_SESSION_H
#define SUPPORT_FAKE_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "engineio/session.h"
#include "util/buf.h"

enum { FAKE_SESSION_ROOM = 256 };

struct eio_session {
    max_align_t room[FAKE_SESSION_ROOM / sizeof(max_align_t)];
    void *owner;                  /* as of eio_server_new */
    struct buf sent;              /* packets, a line each */
    struct buf handed;            /* the last text for the other gateway */
    unsigned hands;               /* how many there were */
    bool closed;                  /* it was asked to */
    enum eio_close_reason reason; /* and why, the first time */
};

void fake_session_fini(struct eio_session *session);

#endif

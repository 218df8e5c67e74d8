/*
 * What a session asks of the transport it is on. The two tables are in polling.c and websocket.c.
 */
#ifndef ENGINEIO_TRANSPORT_H
#define ENGINEIO_TRANSPORT_H

#include "util/err.h"

struct eio_batch;
struct eio_session;

struct eio_transport {
    const char *name; /* as in the query */
    /* Queues encoded packets. LIMIT, CLOSED, NOMEM; the session ends itself then. */
    enum err (*send)(struct eio_session *session, struct eio_batch *batch);
    /* A heartbeat ping is due to the client. */
    void (*ping)(struct eio_session *session);
    /* The end of a turn in which the session was touched. May end it. NULL: nothing to do. */
    void (*flush)(struct eio_session *session);
    /* The session is CLOSING: says so to the client behind all that is queued, then ends it. */
    void (*close)(struct eio_session *session);
    /* The session ends, as EIO_CLOSE_DRAIN, as soon as nothing waits for the client; until then it
     * lives on. */
    void (*leave)(struct eio_session *session);
    /* The session has ended: lets go of requests and connections. Calls nobody back at once. */
    void (*drop)(struct eio_session *session);
};

extern const struct eio_transport eio_polling;
extern const struct eio_transport eio_websocket;

#endif

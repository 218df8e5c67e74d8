/*
 * Engine.IO session: one client, one sid, one current transport.
 *
 * Lives longer than any HTTP request, ends exactly once. The server's sid table owns it; everybody
 * else borrows it until on_close. States and who may follow whom: session.c.
 */
#ifndef ENGINEIO_SESSION_H
#define ENGINEIO_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engineio/packet.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

struct eio_session;
struct http_request;

/* Counted and logged by name. */
enum eio_close_reason {
    EIO_CLOSE_SERVER,    /* the application asked */
    EIO_CLOSE_CLIENT,    /* close packet */
    EIO_CLOSE_TRANSPORT, /* the connection ended, or a poll was given up */
    EIO_CLOSE_PING_TIMEOUT,
    EIO_CLOSE_PROTOCOL,  /* the client broke the protocol */
    EIO_CLOSE_SLOW,      /* too much was due to it */
    EIO_CLOSE_DISPLACED, /* its place was needed, and nobody had connected on it */
    EIO_CLOSE_MOVED,     /* it goes on with another gateway */
    EIO_CLOSE_DRAIN,     /* the process is going; the client is to come back, elsewhere */
    EIO_CLOSE_REASONS,
};
const char *eio_close_reason_name(enum eio_close_reason reason);

/* What happens to sessions, to whoever is above. */
struct eio_session_ops {
    /* Bytes that each session has for the object of the layer above: eio_session_room. */
    size_t room_size;
    /*
     * A new session. `request` (for its headers) is borrowed. The callee may send or close. NOMEM
     * or DENIED refuse it: the session ends with no further call.
     */
    enum err (*on_open)(void *owner, struct eio_session *session,
                        const struct http_request *request);
    /* A message packet arrived; its bytes are borrowed until return. `binary`: raw bytes, else
     * text. */
    void (*on_message)(struct eio_session *session, bool binary, struct str data);
    /* Last call for this session, never from inside a call of the callee's. */
    void (*on_close)(struct eio_session *session, enum eio_close_reason reason);
    /*
     * There are as many sessions as may be, and a newcomer at the door: the session that may be
     * ended for it at once (on_close follows), or NULL to turn the newcomer away. NULL: always
     * that.
     */
    struct eio_session *(*spare)(void *owner);

    /*
     * The client has a WebSocket with another gateway of the fleet, and its session goes on there.
     * The layers above of both gateways say what the other needs: four texts, each called for by a
     * call here and given, now or later, by the function named with it. The texts are borrowed
     * until return. Whoever can't go on closes the session instead. The
     * callbacks are NULL, all four, where sessions do not move.
     */
    /* There: the session leaves; no message comes any more. -> eio_session_pack */
    void (*on_move)(struct eio_session *session);
    /* Here: it arrives. As on_open otherwise; nothing may be sent yet. -> eio_session_ask */
    enum err (*on_arrive)(void *owner, struct eio_session *session, struct str state);
    /* There: -> eio_session_hand_over, the last that is done for it; on_close (MOVED) follows. */
    void (*on_ask)(struct eio_session *session, struct str place);
    /* Here: it is a session like any other from now on. */
    void (*on_arrived)(struct eio_session *session, struct str rest);
};

/* See above; the session must be one that was asked for it. */
void eio_session_pack(struct eio_session *session, struct str state);
void eio_session_ask(struct eio_session *session, struct str place);
void eio_session_hand_over(struct eio_session *session, struct str rest);

/*
 * Room for the object that the layer above has for the session: ops->room_size bytes, aligned for
 * anything, zero at first, there until on_close has returned. And the session that a room is of.
 */
void *eio_session_room(struct eio_session *session);
struct eio_session *eio_session_of_room(void *room);
/* The `owner` of eio_server_new. */
void *eio_session_owner(const struct eio_session *session);

/*
 * Queues packets made by eio_encode_*; takes a reference of its own. They leave at the end of the
 * turn in one write, in order. LIMIT: the client reads too slowly and is being closed. CLOSED,
 * NOMEM.
 */
MUST_CHECK enum err eio_session_send(struct eio_session *session, struct rcbuf *packet);
MUST_CHECK enum err eio_session_send_batch(struct eio_session *session, struct eio_batch *batch);

/*
 * Sending is near: has the session brought into the processor's cache meanwhile; and, once it is
 * there, its connection.
 */
void eio_session_fetch(const struct eio_session *session);
void eio_session_fetch_conn(const struct eio_session *session);

/*
 * Ends the session after what is queued has been sent. Idempotent, from anywhere. Over WebSocket
 * the connection is closed; a poll is answered with a close packet.
 */
void eio_session_close(struct eio_session *session, enum eio_close_reason reason);

/* 20 characters or more of the URL-safe base64 alphabet; secret. */
struct str eio_session_sid(const struct eio_session *session);
const char *eio_session_transport(const struct eio_session *session); /* "polling", "websocket" */
/* For log lines: the peer's address at the handshake's time. Valid until the next call. */
const char *eio_session_peer(const struct eio_session *session);

#endif

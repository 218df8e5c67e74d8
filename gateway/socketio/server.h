/*
 * Socket.IO 5 over Engine.IO: namespaces, sockets, events and acknowledgements.
 *
 * An application gives a table of namespaces; per namespace a client has one socket. Events are
 * views of JSON text: the arguments behind the event's name, untouched, with their binary
 * attachments.
 */
#ifndef SOCKETIO_SERVER_H
#define SOCKETIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engineio/server.h"
#include "engineio/session.h"
#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

struct sio_server;
struct sio_socket;

enum { SIO_SID_LEN = 20, SIO_ATTACHMENTS_MAX = 10 };

/* What was received in one EVENT or BINARY_EVENT; all borrowed until return. */
struct sio_event {
    struct str name; /* unescaped; a number as it was written */
    struct str args; /* JSON text of the arguments behind the name: "1,{\"a\":2}"; empty for none */
    size_t arg_count;
    bool wants_ack;
    uint64_t ack_id;               /* if wants_ack */
    const struct str *attachments; /* that {"_placeholder":true,"num":n} in args refer to */
    size_t attachment_count;
};

/* What is known of the request that opened a client's session; borrowed until return. */
struct sio_handshake {
    struct str authorization; /* value of the header; empty without */
    bool has_origin;          /* it came from a web page */
};

enum sio_disconnect_reason {
    SIO_DISCONNECT_CLIENT,    /* DISCONNECT packet */
    SIO_DISCONNECT_SERVER,    /* sio_socket_disconnect */
    SIO_DISCONNECT_TRANSPORT, /* the session ended; see eio_close_reason */
};

struct sio_namespace_ops {
    /*
     * CONNECT arrived. `auth` is its JSON object as text, empty without. The callee answers now or
     * later with sio_socket_accept or sio_socket_refuse, or the session ends first (on_disconnect).
     */
    void (*on_connect)(void *owner, struct sio_socket *socket, struct str auth,
                       const struct sio_handshake *handshake);
    /* Only for accepted sockets. */
    void (*on_event)(struct sio_socket *socket, const struct sio_event *event);
    /* Last call for this socket; the callee forgets it. Comes for every on_connect that was not
     * refused. */
    void (*on_disconnect)(struct sio_socket *socket, enum sio_disconnect_reason reason,
                          enum eio_close_reason session_reason);

    /*
     * The client's session moves to another gateway of the fleet (see engineio/session.h). What
     * each gateway has to say to the other it gives, now or later, by sio_socket_hand; whoever
     * can't closes the session. NULL, all four: there is nothing to say.
     */
    /* There: the socket leaves. -> its state, once it is accepted and nothing is under way */
    void (*on_move)(struct sio_socket *socket);
    /* Here: it has arrived, accepted as it was; nothing may be sent yet. -> from where it goes on
     */
    void (*on_arrive)(void *owner, struct sio_socket *socket, struct str state);
    /* There: -> the rest; on_disconnect with EIO_CLOSE_MOVED follows. */
    void (*on_ask)(struct sio_socket *socket, struct str place);
    /* Here: it is a socket like any other from now on. */
    void (*on_arrived)(struct sio_socket *socket, struct str rest);
};

struct sio_namespace {
    struct str name; /* "/" or "/custom" */
    const struct sio_namespace_ops *ops;
    void *owner;
};

struct sio_server_options {
    uint64_t connect_timeout_ms; /* how long a session may be without a connected socket */
    /* After so long without a connected socket a session's place may be taken by a newcomer. */
    uint64_t spare_after_ms;
    uint64_t attachment_timeout_ms; /* from a binary packet's header to its last attachment */
    size_t max_attachments;         /* at most SIO_ATTACHMENTS_MAX */
    size_t max_payload;             /* bytes of a binary packet and its attachments together */
    unsigned max_depth;             /* nesting of JSON from clients, at most 256 */
};

/* Borrows everything for its lifetime. NULL without memory. */
struct sio_server *sio_server_new(struct loop *loop, const struct sio_server_options *options,
                                  const struct sio_namespace *namespaces, size_t count);
void sio_server_free(struct sio_server *server);
/* For eio_server_new: the table, and `server` as its owner. */
const struct eio_session_ops *sio_server_session_ops(void);

/* The application's own object. */
void sio_socket_attach(struct sio_socket *socket, void *user);
void *sio_socket_user(const struct sio_socket *socket);
void *sio_socket_namespace_owner(const struct sio_socket *socket);
struct eio_session *sio_socket_session(const struct sio_socket *socket);
/* The public id, SIO_SID_LEN characters. */
struct str sio_socket_id(const struct sio_socket *socket);

/* To the other gateway, while the session moves. */
void sio_socket_hand(struct sio_socket *socket, struct str text);

/* Answers CONNECT: {"sid":…}. NOMEM, LIMIT, CLOSED: the session is ending. */
MUST_CHECK enum err sio_socket_accept(struct sio_socket *socket);
/* The same with the private id of connection state recovery: {"sid":…,"pid":…}. */
MUST_CHECK enum err sio_socket_accept_with_pid(struct sio_socket *socket, struct str pid);
/* The same for a client that has come back: `sid` (SIO_SID_LEN characters) is its id of before. */
MUST_CHECK enum err sio_socket_accept_again(struct sio_socket *socket, struct str sid,
                                            struct str pid);
/* Answers CONNECT_ERROR {"message":…} (and "data", JSON text, unless empty); the socket is gone. */
void sio_socket_refuse(struct sio_socket *socket, struct str message, struct str data);

/*
 * Encodes one EVENT of the namespace, for any number of sockets of it: `args` is JSON text as in
 * sio_event, empty for none. NULL without memory. Send with sio_socket_send.
 */
struct rcbuf *sio_encode_event(struct str namespace_name, struct str event, struct str args);
/*
 * Also before the socket is accepted: clients hand on such events together, before they tell their
 * program that it is connected. CLOSED after sio_socket_disconnect; else as eio_session_send.
 */
MUST_CHECK enum err sio_socket_send(struct sio_socket *socket, struct rcbuf *packet);
MUST_CHECK enum err sio_socket_send_batch(struct sio_socket *socket, struct eio_batch *batch);
/*
 * One event to one socket, with attachments where args has placeholders. INVALID: more than
 * SIO_ATTACHMENTS_MAX.
 */
MUST_CHECK enum err sio_socket_emit(struct sio_socket *socket, struct str event, struct str args,
                                    const struct str *attachments, size_t attachment_count);
/* Answers an event that wanted it. */
MUST_CHECK enum err sio_socket_ack(struct sio_socket *socket, uint64_t ack_id, struct str args,
                                   const struct str *attachments, size_t attachment_count);
/*
 * Sends DISCONNECT (the client does not come back by itself); on_disconnect follows, never from
 * inside this call. The session stays. Idempotent.
 */
void sio_socket_disconnect(struct sio_socket *socket);

#endif

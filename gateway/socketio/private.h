/*
 * What the files of this room share: server, client (one per Engine.IO session) and socket (one per
 * client and namespace). For nobody else.
 *
 * A socket that the application ended is told of it, and freed, at the end of the turn or before
 * the client's next packet: never while the application that ended it is still on the stack.
 */
#ifndef SOCKETIO_PRIVATE_H
#define SOCKETIO_PRIVATE_H

#include "socketio/packet.h"
#include "socketio/server.h"
#include "util/list.h"

struct sio_binary;
struct sio_move;
struct sio_client;

struct sio_server {
    struct loop *loop;
    const struct sio_server_options *options;
    const struct sio_namespace *namespaces;
    size_t namespace_count;
    struct list ended;   /* struct sio_rare by ended: clients that have sockets to be swept */
    struct list waiting; /* struct sio_rare by waiting, whose deadline was set first in front */
    struct loop_task sweep;
};

enum sio_socket_state {
    SIO_SOCKET_FREE,       /* only the one inside the client: not in use */
    SIO_SOCKET_CONNECTING, /* on_connect was called and not answered yet */
    SIO_SOCKET_CONNECTED,
    SIO_SOCKET_ENDING,  /* disconnected by us; on_disconnect is due */
    SIO_SOCKET_REFUSED, /* the application has forgotten it already */
};

struct sio_socket {
    struct sio_client *client;
    const struct sio_namespace *of;
    struct sio_socket *next; /* of the client */
    void *user;
    char id[SIO_SID_LEN];
    uint8_t state; /* enum sio_socket_state */
};

/* What most clients have for a moment only, or never. */
struct sio_rare {
    struct sio_client *client;
    struct list waiting;         /* node of server->waiting, while it has no socket connected: */
    struct wheel_timer deadline; /* the time in which it has to have one, … */
    uint64_t since_ms;           /* … and its beginning */
    struct list ended;           /* node of server->ended */
    struct sio_move *move;       /* while the session goes to, or comes from, another gateway */
    struct sio_binary *binary;   /* a packet whose attachments are due */
    struct rcbuf *authorization; /* the request header's value; NULL without */
};

/* Lies in its session's room. */
struct sio_client {
    struct sio_socket *sockets;
    struct sio_rare *rare;   /* owned; NULL when there is nothing in it */
    bool has_origin;         /* its request had the header */
    bool closing;            /* the session has been asked to close */
    bool dismissed;          /* a socket was ended by us, so packets for it may be on their way */
    struct sio_socket first; /* most clients have one */
};

/* There is one for each idle connection: what is rare is in struct sio_rare. */
_Static_assert(sizeof(struct sio_client) <= 80, "a client grew");

static inline struct eio_session *sio_client_session(const struct sio_client *client)
{
    return eio_session_of_room((void *)client);
}
static inline struct sio_server *sio_client_server(const struct sio_client *client)
{
    return eio_session_owner(sio_client_session(client));
}
/* What of struct sio_rare it has; NULL or empty where it has not. */
static inline struct sio_move *sio_client_move(const struct sio_client *client)
{
    return client->rare ? client->rare->move : NULL;
}
static inline struct sio_binary *sio_client_binary(const struct sio_client *client)
{
    return client->rare ? client->rare->binary : NULL;
}
static inline struct str sio_client_authorization(const struct sio_client *client)
{
    return client->rare && client->rare->authorization ? rcbuf_str(client->rare->authorization)
                                                       : STR("");
}
/* Makes `rare` if need be. NOMEM. */
MUST_CHECK enum err sio_client_need_rare(struct sio_client *client);
/* Lets go of it when there is nothing in it any more. */
void sio_client_tidy(struct sio_client *client);

/* Ends the session because of `err`; the one place that logs it. */
void sio_client_fail(struct sio_client *client, enum err err);
/* Sets or drops the deadline, as the client has a connected socket or not. */
void sio_client_watch(struct sio_client *client);
/* Tells the application of sockets that it ended, and frees them. */
void sio_client_sweep(struct sio_client *client);
/* Has the sweep done at the end of the turn; without memory the session ends instead. */
void sio_client_sweep_later(struct sio_client *client);

/* A client of a session that is open; NULL without memory. */
struct sio_client *sio_client_new(struct eio_session *session, struct str authorization,
                                  bool has_origin);

/* One whose sockets the application does not know. */
void sio_client_discard(struct sio_client *client);

/* move.c: what becomes of a session that moves, for the table of sio_server_session_ops. */
void sio_move_begin(struct eio_session *session);
MUST_CHECK enum err sio_move_arrive(void *owner, struct eio_session *session, struct str state);
void sio_move_ask(struct eio_session *session, struct str place);
void sio_move_arrived(struct eio_session *session, struct str rest);
/* NULL is fine. */
void sio_move_free(struct sio_move *move);

/* A namespace of the server's; NULL where there is none of that name. */
const struct sio_namespace *sio_server_namespace(const struct sio_server *server, struct str name);
/* The client's socket in a namespace; NULL where it has none. */
struct sio_socket *sio_client_socket(const struct sio_client *client, struct str name);

/* A socket in state CONNECTING, the client's; NULL without memory. */
struct sio_socket *sio_socket_new(struct sio_client *client, const struct sio_namespace *of);
/* Whether packets may still go out for it. */
static inline bool sio_socket_is_open(const struct sio_socket *socket)
{
    return socket->state == SIO_SOCKET_CONNECTING || socket->state == SIO_SOCKET_CONNECTED;
}
/* Takes it from the client and calls on_disconnect, unless it was refused. */
void sio_socket_end(struct sio_socket *socket, enum sio_disconnect_reason reason,
                    enum eio_close_reason session_reason);

#endif

/* One client's place in a namespace: the verbs that the application has. */
#include <stdlib.h>
#include <string.h>

#include "socketio/private.h"
#include "util/jtext.h"
#include "util/rand.h"

struct sio_socket *sio_socket_new(struct sio_client *client, const struct sio_namespace *of)
{
    struct sio_socket *socket = &client->first;
    if (socket->state != SIO_SOCKET_FREE) {
        socket = malloc(sizeof *socket);
        if (!socket) {
            return NULL;
        }
    }
    *socket = (struct sio_socket){
        .client = client,
        .of = of,
        .next = client->sockets,
        .state = SIO_SOCKET_CONNECTING,
    };
    rand_id(socket->id, SIO_SID_LEN);
    client->sockets = socket;
    return socket;
}

static void unlink_socket(struct sio_socket *socket)
{
    struct sio_socket **link = &socket->client->sockets;
    while (*link != socket) {
        link = &(*link)->next;
    }
    *link = socket->next;
}

void sio_socket_end(struct sio_socket *socket, enum sio_disconnect_reason reason,
                    enum eio_close_reason session_reason)
{
    bool known = socket->state != SIO_SOCKET_REFUSED;
    unlink_socket(socket);
    socket->state = SIO_SOCKET_ENDING;
    if (sio_client_move(socket->client)) { /* the other gateway would not know */
        eio_session_close(sio_client_session(socket->client), EIO_CLOSE_SERVER);
    }
    if (known) {
        socket->of->ops->on_disconnect(socket, reason, session_reason);
    }
    if (socket == &socket->client->first) {
        socket->state = SIO_SOCKET_FREE;
    } else {
        free(socket);
    }
}

void sio_socket_attach(struct sio_socket *socket, void *user)
{
    socket->user = user;
}

void *sio_socket_user(const struct sio_socket *socket)
{
    return socket->user;
}

void *sio_socket_namespace_owner(const struct sio_socket *socket)
{
    return socket->of->owner;
}

struct eio_session *sio_socket_session(const struct sio_socket *socket)
{
    return sio_client_session(socket->client);
}

struct str sio_socket_id(const struct sio_socket *socket)
{
    return str_range(socket->id, SIO_SID_LEN);
}

/* Sends the packet whose text was made under `err`; without one the session has to end. */
static enum err send_text(struct sio_socket *socket, enum err err, struct buf *text)
{
    struct rcbuf *packet = err ? NULL : eio_encode_text(buf_str(text));
    buf_fini(text);
    err = packet ? eio_session_send(sio_client_session(socket->client), packet) : ERR_NOMEM;
    rcbuf_unref(&packet);
    if (err == ERR_NOMEM) {
        sio_client_fail(socket->client, err);
    }
    return err;
}

enum err sio_socket_accept_with_pid(struct sio_socket *socket, struct str pid)
{
    if (socket->state != SIO_SOCKET_CONNECTING) {
        return ERR_CLOSED;
    }
    struct buf text;
    buf_init(&text, 0);
    enum err err = sio_packet_begin(SIO_CONNECT, 0, socket->of->name, NULL, &text);
    err = err ? err : buf_append(&text, STR("{\"sid\":"));
    err = err ? err : jtext_quote(sio_socket_id(socket), &text);
    if (pid.len > 0) {
        err = err ? err : buf_append(&text, STR(",\"pid\":"));
        err = err ? err : jtext_quote(pid, &text);
    }
    err = err ? err : buf_append_char(&text, '}');
    socket->state = SIO_SOCKET_CONNECTED;
    sio_client_watch(socket->client);
    return send_text(socket, err, &text);
}

enum err sio_socket_accept_again(struct sio_socket *socket, struct str sid, struct str pid)
{
    if (socket->state != SIO_SOCKET_CONNECTING || sid.len != SIO_SID_LEN) {
        return ERR_CLOSED;
    }
    memcpy(socket->id, sid.ptr, SIO_SID_LEN);
    return sio_socket_accept_with_pid(socket, pid);
}

enum err sio_socket_accept(struct sio_socket *socket)
{
    return sio_socket_accept_with_pid(socket, STR(""));
}

void sio_socket_refuse(struct sio_socket *socket, struct str message, struct str data)
{
    if (socket->state != SIO_SOCKET_CONNECTING) {
        return;
    }
    struct buf text;
    buf_init(&text, 0);
    enum err err = sio_packet_begin(SIO_CONNECT_ERROR, 0, socket->of->name, NULL, &text);
    err = err ? err : buf_append(&text, STR("{\"message\":"));
    err = err ? err : jtext_quote(message, &text);
    if (data.len > 0) {
        err = err ? err : buf_append(&text, STR(",\"data\":"));
        err = err ? err : buf_append(&text, data);
    }
    err = err ? err : buf_append_char(&text, '}');
    socket->state = SIO_SOCKET_REFUSED;
    sio_client_sweep_later(socket->client);
    err = send_text(socket, err, &text);
    (void)err; /* the session is ending then, and the socket is gone either way */
}

void sio_socket_disconnect(struct sio_socket *socket)
{
    if (!sio_socket_is_open(socket)) {
        return;
    }
    struct buf text;
    buf_init(&text, 0);
    enum err err = sio_packet_begin(SIO_DISCONNECT, 0, socket->of->name, NULL, &text);
    socket->state = SIO_SOCKET_ENDING;
    sio_client_sweep_later(socket->client);
    err = send_text(socket, err, &text);
    (void)err; /* as above */
}

enum err sio_socket_send(struct sio_socket *socket, struct rcbuf *packet)
{
    return sio_socket_is_open(socket) ? eio_session_send(sio_client_session(socket->client), packet)
                                      : ERR_CLOSED;
}

enum err sio_socket_send_batch(struct sio_socket *socket, struct eio_batch *batch)
{
    return sio_socket_is_open(socket)
               ? eio_session_send_batch(sio_client_session(socket->client), batch)
               : ERR_CLOSED;
}

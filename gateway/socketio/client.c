/* One client: what happens on its session, and to whom its packets go. */
#include <stdlib.h>

#include "http/server.h"
#include "log/log.h"
#include "socketio/binary.h"
#include "socketio/private.h"
#include "util/jtext.h"

void sio_client_fail(struct sio_client *client, enum err err)
{
    if (client->closing) {
        return;
    }
    client->closing = true;
    log_debug("socket.io client closed",
              LOG_CSTR("peer", eio_session_peer(sio_client_session(client))), LOG_ERR(err));
    eio_session_close(sio_client_session(client),
                      err == ERR_NOMEM ? EIO_CLOSE_SERVER : EIO_CLOSE_PROTOCOL);
}

static void on_deadline(struct wheel_timer *timer)
{
    sio_client_fail(container_of(timer, struct sio_rare, deadline)->client, ERR_TIMEOUT);
}

enum err sio_client_need_rare(struct sio_client *client)
{
    if (client->rare) {
        return OK;
    }
    struct sio_rare *rare = calloc(1, sizeof *rare);
    if (!rare) {
        return ERR_NOMEM;
    }
    rare->client = client;
    list_init(&rare->waiting);
    list_init(&rare->ended);
    wheel_timer_init(&rare->deadline, on_deadline);
    client->rare = rare;
    return OK;
}

void sio_client_tidy(struct sio_client *client)
{
    const struct sio_rare *rare = client->rare;
    if (rare && !list_linked(&rare->waiting) && !list_linked(&rare->ended) && !rare->move &&
        !rare->binary && !rare->authorization) {
        free(client->rare);
        client->rare = NULL;
    }
}

static bool has_deadline(const struct sio_client *client)
{
    return client->rare && list_linked(&client->rare->waiting);
}

static enum err set_deadline(struct sio_client *client)
{
    if (sio_client_need_rare(client)) {
        return ERR_NOMEM;
    }
    struct sio_server *server = sio_client_server(client);
    struct sio_rare *rare = client->rare;
    rare->since_ms = loop_now(server->loop);
    list_push_back(&server->waiting, &rare->waiting);
    loop_timer_set(server->loop, &rare->deadline, server->options->connect_timeout_ms);
    return OK;
}

static void drop_deadline(struct sio_client *client)
{
    if (has_deadline(client)) {
        loop_timer_cancel(sio_client_server(client)->loop, &client->rare->deadline);
        list_remove(&client->rare->waiting);
    }
}

void sio_client_watch(struct sio_client *client)
{
    for (struct sio_socket *socket = client->sockets; socket; socket = socket->next) {
        if (socket->state == SIO_SOCKET_CONNECTED) {
            drop_deadline(client);
            sio_client_tidy(client);
            return;
        }
    }
    if (!has_deadline(client) && !client->closing && set_deadline(client)) {
        sio_client_fail(client, ERR_NOMEM);
    }
}

/* The next socket that the application has ended. */
static struct sio_socket *next_ended(struct sio_client *client)
{
    struct sio_socket *socket = client->sockets;
    while (socket && socket->state != SIO_SOCKET_ENDING && socket->state != SIO_SOCKET_REFUSED) {
        socket = socket->next;
    }
    return socket;
}

void sio_client_sweep(struct sio_client *client)
{
    if (client->rare) {
        list_remove(&client->rare->ended);
    }
    for (struct sio_socket *socket; (socket = next_ended(client));) {
        sio_socket_end(socket, SIO_DISCONNECT_SERVER, EIO_CLOSE_SERVER);
    }
    sio_client_watch(client);
}

void sio_client_sweep_later(struct sio_client *client)
{
    struct sio_server *server = sio_client_server(client);
    client->dismissed = true;
    if (sio_client_need_rare(client)) {
        sio_client_fail(client, ERR_NOMEM);
        return;
    }
    if (!list_linked(&client->rare->ended)) {
        list_push_back(&server->ended, &client->rare->ended);
    }
    loop_defer(server->loop, &server->sweep);
}

const struct sio_namespace *sio_server_namespace(const struct sio_server *server, struct str name)
{
    for (size_t i = 0; i < server->namespace_count; i++) {
        if (str_eq(server->namespaces[i].name, name)) {
            return &server->namespaces[i];
        }
    }
    return NULL;
}

struct sio_socket *sio_client_socket(const struct sio_client *client, struct str name)
{
    struct sio_socket *socket = client->sockets;
    while (socket && !str_eq(socket->of->name, name)) {
        socket = socket->next;
    }
    return socket;
}

static enum err refuse_namespace(struct sio_client *client, struct str name)
{
    struct buf text;
    buf_init(&text, 0);
    enum err err = sio_packet_begin(SIO_CONNECT_ERROR, 0, name, NULL, &text);
    err = err ? err : buf_append(&text, STR("{\"message\":\"Invalid namespace\"}"));
    struct rcbuf *packet = err ? NULL : eio_encode_text(buf_str(&text));
    buf_fini(&text);
    err = packet ? eio_session_send(sio_client_session(client), packet) : ERR_NOMEM;
    rcbuf_unref(&packet);
    return err;
}

static enum err take_connect(struct sio_client *client, const struct sio_packet *packet)
{
    const struct sio_namespace *of =
        sio_server_namespace(sio_client_server(client), packet->namespace_name);
    if (!of) {
        return refuse_namespace(client, packet->namespace_name);
    }
    if (sio_client_socket(client, of->name)) {
        return ERR_PROTO;
    }
    struct sio_socket *socket = sio_socket_new(client, of);
    if (!socket) {
        return ERR_NOMEM;
    }
    const struct sio_handshake handshake = {
        .authorization = sio_client_authorization(client),
        .has_origin = client->has_origin,
    };
    of->ops->on_connect(of->owner, socket, packet->payload, &handshake);
    return OK;
}

static enum err deliver(struct sio_socket *socket, struct sio_event *event, struct str name)
{
    struct buf unescaped;
    buf_init(&unescaped, 0);
    event->name = name;
    if (jtext_kind(name) == JTEXT_STRING) {
        event->name = str_range(name.ptr + 1, name.len - 2);
        if (str_find(event->name, '\\') < event->name.len) {
            enum err err = jtext_unescape(name, &unescaped);
            if (err == ERR_NOMEM) {
                return err;
            }
            /* Half of a surrogate pair: a name that nobody can have stays as it was written. */
            event->name = err ? event->name : buf_str(&unescaped);
        }
    }
    socket->of->ops->on_event(socket, event);
    buf_fini(&unescaped);
    return OK;
}

/* We ask for no acks, so an ACK that comes is well-formed or an error, and nothing else. */
static enum err take_event_or_ack(struct sio_socket *socket, const struct sio_packet *packet,
                                  const struct str *attachments)
{
    if (socket->state != SIO_SOCKET_CONNECTED) {
        return ERR_PROTO;
    }
    if (packet->type == SIO_ACK || packet->type == SIO_BINARY_ACK) {
        return OK;
    }
    struct sio_event event = {
        .args = packet->args,
        .arg_count = packet->arg_count,
        .wants_ack = packet->has_id,
        .ack_id = packet->id,
        .attachments = attachments,
        .attachment_count = packet->attachments,
    };
    return deliver(socket, &event, packet->event);
}

static enum err take_packet(struct sio_client *client, const struct sio_packet *packet,
                            const struct str *attachments)
{
    if (packet->type == SIO_CONNECT) {
        return take_connect(client, packet);
    }
    struct sio_socket *socket = sio_client_socket(client, packet->namespace_name);
    if (!socket) {
        return client->dismissed ? OK : ERR_PROTO;
    }
    if (packet->type == SIO_DISCONNECT) {
        sio_socket_end(socket, SIO_DISCONNECT_CLIENT, EIO_CLOSE_CLIENT);
        sio_client_watch(client);
        return OK;
    }
    return take_event_or_ack(socket, packet, attachments);
}

static struct sio_packet_limits limits_of(const struct sio_client *client)
{
    const struct sio_server_options *options = sio_client_server(client)->options;
    return (struct sio_packet_limits){
        .max_attachments = options->max_attachments < SIO_ATTACHMENTS_MAX ? options->max_attachments
                                                                          : SIO_ATTACHMENTS_MAX,
        .max_depth = options->max_depth,
    };
}

static enum err take_text(struct sio_client *client, struct str text)
{
    struct sio_packet packet;
    const struct sio_packet_limits limits = limits_of(client);
    enum err err = sio_client_binary(client) ? ERR_PROTO : sio_packet_parse(text, &limits, &packet);
    if (err || packet.attachments == 0) {
        return err ? err : take_packet(client, &packet, NULL);
    }
    if (!client->dismissed && !sio_client_socket(client, packet.namespace_name)) {
        return ERR_PROTO;
    }
    return sio_binary_begin(client, text, packet.attachments);
}

static enum err take_attachment(struct sio_client *client, struct str bytes)
{
    struct sio_binary *binary = sio_client_binary(client);
    if (!binary) {
        return ERR_PROTO;
    }
    enum err err = sio_binary_take(binary, bytes);
    if (err) {
        return err == ERR_AGAIN ? OK : err;
    }
    client->rare->binary = NULL;
    sio_client_tidy(client);
    struct sio_packet packet;
    struct str attachments[SIO_ATTACHMENTS_MAX];
    const struct sio_packet_limits limits = limits_of(client);
    sio_binary_attachments(binary, attachments);
    err = sio_packet_parse(sio_binary_text(binary), &limits, &packet);
    err = err ? err : take_packet(client, &packet, attachments);
    sio_binary_free(binary);
    return err;
}

static void forget_authorization(struct sio_client *client)
{
    if (client->rare) {
        rcbuf_unref(&client->rare->authorization);
    }
}

static enum err keep_authorization(struct sio_client *client, struct str authorization)
{
    if (authorization.len == 0) {
        return OK;
    }
    if (sio_client_need_rare(client)) {
        return ERR_NOMEM;
    }
    client->rare->authorization = rcbuf_copy(authorization);
    return client->rare->authorization ? OK : ERR_NOMEM;
}

struct sio_client *sio_client_new(struct eio_session *session, struct str authorization,
                                  bool has_origin)
{
    struct sio_client *client = eio_session_room(session);
    *client = (struct sio_client){.has_origin = has_origin};
    if (keep_authorization(client, authorization) || set_deadline(client)) {
        forget_authorization(client);
        sio_client_tidy(client);
        return NULL;
    }
    return client;
}

static enum err on_open(void *owner, struct eio_session *session,
                        const struct http_request *request)
{
    struct str authorization = http_request_header(request, STR("Authorization"));
    bool has_origin = http_request_header(request, STR("Origin")).len > 0;
    (void)owner;
    return sio_client_new(session, authorization, has_origin) ? OK : ERR_NOMEM;
}

static void on_message(struct eio_session *session, bool binary, struct str data)
{
    struct sio_client *client = eio_session_room(session);
    if (client->closing) {
        return;
    }
    if (client->rare && list_linked(&client->rare->ended)) {
        sio_client_sweep(client);
    }
    enum err err = binary ? take_attachment(client, data) : take_text(client, data);
    if (err) {
        sio_client_fail(client, err);
    }
}

/* Lets go of all that it owns; its sockets are gone. */
static void client_fini(struct sio_client *client)
{
    struct sio_rare *rare = client->rare;
    if (rare) {
        drop_deadline(client);
        list_remove(&rare->ended);
        sio_binary_free(rare->binary);
        sio_move_free(rare->move);
        rcbuf_unref(&rare->authorization);
        free(rare);
        client->rare = NULL;
    }
}

void sio_client_discard(struct sio_client *client)
{
    client->closing = true;
    sio_client_sweep(client);
    client_fini(client);
}

static void on_close(struct eio_session *session, enum eio_close_reason reason)
{
    struct sio_client *client = eio_session_room(session);
    client->closing = true;
    sio_client_sweep(client);
    while (client->sockets) {
        sio_socket_end(client->sockets, SIO_DISCONNECT_TRANSPORT, reason);
    }
    client_fini(client);
}

/* Who holds a place longest without a socket; a client that means well needs it for an instant. */
static struct eio_session *spare(void *owner)
{
    struct sio_server *server = owner;
    if (list_empty(&server->waiting)) {
        return NULL;
    }
    const struct sio_rare *oldest = list_entry(server->waiting.next, struct sio_rare, waiting);
    uint64_t waited_ms = loop_now(server->loop) - oldest->since_ms;
    return waited_ms < server->options->spare_after_ms ? NULL : sio_client_session(oldest->client);
}

const struct eio_session_ops *sio_server_session_ops(void)
{
    static const struct eio_session_ops ops = {
        .room_size = sizeof(struct sio_client),
        .on_open = on_open,
        .on_message = on_message,
        .on_close = on_close,
        .spare = spare,
        .on_move = sio_move_begin,
        .on_arrive = sio_move_arrive,
        .on_ask = sio_move_ask,
        .on_arrived = sio_move_arrived,
    };
    return &ops;
}

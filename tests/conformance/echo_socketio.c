#include "echo.h"
#include "util/buf.h"
#include "util/jtext.h"

/* Whether it went out; what can't be sent for want of memory ends the session. */
static bool sent(struct sio_socket *socket, enum err err)
{
    if (err == ERR_NOMEM || err == ERR_INVALID) {
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
    }
    return !err;
}

static bool emit(struct sio_socket *socket, const char *event, struct str args)
{
    return sent(socket, sio_socket_emit(socket, str_from(event), args, NULL, 0));
}

static void emit_header(struct sio_socket *socket, struct str authorization)
{
    struct buf text;
    buf_init(&text, 0);
    if (!jtext_quote(authorization, &text)) {
        emit(socket, "authorization", buf_str(&text));
    }
    buf_fini(&text);
}

/* The text of a string member of the auth object, escapes left alone; empty without. */
static struct str auth_text(struct str auth, const char *key)
{
    struct str value = auth.len > 0 ? jtext_member(auth, str_from(key)) : STR("");
    return jtext_kind(value) == JTEXT_STRING ? str_range(value.ptr + 1, value.len - 2) : STR("");
}

static bool auth_has(struct str auth, const char *key)
{
    return auth.len > 0 && jtext_kind(jtext_member(auth, str_from(key))) != JTEXT_NONE;
}

static void on_connect(void *owner, struct sio_socket *socket, struct str auth,
                       const struct sio_handshake *handshake)
{
    (void)owner;
    if (auth_has(auth, "refuse")) {
        sio_socket_refuse(socket, auth_text(auth, "refuse"), STR("{\"code\":7}"));
        return;
    }
    if (auth_has(auth, "later")) {
        return;
    }
    if (auth_has(auth, "early")) {
        emit(socket, "early", STR(""));
    }
    struct str pid = auth_text(auth, "pid");
    if (pid.len > 0 ? sio_socket_accept_with_pid(socket, pid) : sio_socket_accept(socket)) {
        return;
    }
    emit(socket, "auth", auth.len > 0 ? auth : STR("{}"));
    if (auth_has(auth, "header")) {
        emit_header(socket, handshake->authorization);
    }
}

static void send_back(struct sio_socket *socket, const struct sio_event *event)
{
    sent(socket, sio_socket_emit(socket, STR("message-back"), event->args, event->attachments,
                                 event->attachment_count));
}

static void ack_back(struct sio_socket *socket, const struct sio_event *event)
{
    if (event->wants_ack) {
        sent(socket, sio_socket_ack(socket, event->ack_id, event->args, event->attachments,
                                    event->attachment_count));
    }
}

static void burst(struct sio_socket *socket, const struct sio_event *event)
{
    uint64_t count = 0;
    if (event->arg_count != 1 || str_to_u64(event->args, &count)) {
        return;
    }
    bool going = true;
    for (uint64_t i = 0; going && i < count; i++) {
        struct buf text;
        buf_init(&text, 0);
        going = !buf_append_u64(&text, i) && emit(socket, "burst", buf_str(&text));
        buf_fini(&text);
    }
}

static void disconnect_me(struct sio_socket *socket, const struct sio_event *event)
{
    (void)event;
    sio_socket_disconnect(socket);
}

static void disconnect_twice(struct sio_socket *socket, const struct sio_event *event)
{
    sio_socket_disconnect(socket);
    sio_socket_disconnect(socket);
    send_back(socket, event);
}

static const struct {
    struct str name;
    void (*run)(struct sio_socket *socket, const struct sio_event *event);
} handlers[] = {
    {{"message", 7}, send_back},
    {{"message-with-ack", 16}, ack_back},
    {{"burst", 5}, burst},
    {{"disconnect-me", 13}, disconnect_me},
    {{"disconnect-twice", 16}, disconnect_twice},
};

static void on_event(struct sio_socket *socket, const struct sio_event *event)
{
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        if (str_eq(handlers[i].name, event->name)) {
            handlers[i].run(socket, event);
            return;
        }
    }
}

static void on_disconnect(struct sio_socket *socket, enum sio_disconnect_reason reason,
                          enum eio_close_reason session_reason)
{
    (void)socket;
    (void)reason;
    (void)session_reason;
}

const struct sio_namespace_ops echo_socketio_ops = {
    .on_connect = on_connect,
    .on_event = on_event,
    .on_disconnect = on_disconnect,
};

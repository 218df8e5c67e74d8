#include "app/app.h"

#include <stdlib.h>

#include "app/handlers.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/jtext.h"

enum { REFUSALS_LOGGED_A_SECOND = 5, GREETING_MAX = 2048 };

/* A client that can't be told is disconnected, where it isn't already: it would wait for ever. */
static void emit(struct sio_socket *socket, struct str event, struct str args)
{
    if (sio_socket_emit(socket, event, args, NULL, 0)) {
        log_debug("event not sent", LOG_STR("socket", sio_socket_id(socket)),
                  LOG_STR("event", event));
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
    }
}

/* Tells the client why, then disconnects it for good: it must not come back by itself. */
static void turn_away(struct sio_socket *socket, struct str message)
{
    emit(socket, STR("error"), message);
    sio_socket_disconnect(socket);
}

/* `Bearer <token>` (RFC 6750 section 2.1); empty for anything else. */
static struct str bearer(struct str authorization)
{
    struct str scheme = STR("Bearer ");
    bool is_bearer = authorization.len > scheme.len &&
                     str_eq_nocase(str_range(authorization.ptr, scheme.len), scheme);
    return is_bearer ? str_trim(str_skip(authorization, scheme.len)) : STR("");
}

/* The client's token into `out`; empty where it has none. */
static enum err read_token(struct str auth, struct str authorization, struct buf *out)
{
    struct str token = auth.len > 0 ? jtext_member(auth, STR("token")) : STR("");
    switch (jtext_kind(token)) {
    case JTEXT_STRING: {
        enum err err = jtext_unescape(token, out);
        if (err || out->len > 0) {
            return err;
        }
        break;
    }
    case JTEXT_NONE:
    case JTEXT_NULL:
        break;
    default:
        return ERR_INVALID;
    }
    return buf_append(out, bearer(authorization));
}

static void greet(struct app_member *member)
{
    struct buf text;
    buf_init(&text, GREETING_MAX);
    bool by_address = member->address_len > 0;
    struct str shown = by_address ? app_member_address(member) : app_member_sub(member);
    struct buf room;
    buf_init(&room, ROOM_NAME_MAX);
    enum err err = buf_printf(&room, "user:" STR_FMT, STR_ARG(shown));
    err = err ? err
              : buf_append(&text, STR("{\"message\":\"Connected to GuessLyfe real-time updates\","
                                      "\"userId\":"));
    err = err ? err : jtext_quote(app_member_sub(member), &text);
    err = err ? err : buf_append(&text, STR(",\"rooms\":["));
    err = err ? err : jtext_quote(buf_str(&room), &text);
    err = err ? err : buf_append(&text, STR(",\"global:all\"]}"));
    if (err) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else {
        emit(member->socket, STR("connected"), buf_str(&text));
    }
    buf_fini(&room);
    buf_fini(&text);
}

/* `connected` is true from the moment it is sent: it waits for the last of the automatic rooms. */
static void on_join_end(struct app_join *join, enum app_join_result result)
{
    struct app_member *member = join->member;
    if (!join->automatic) {
        app_answer_join(join, result);
    } else if (result == APP_JOIN_FAILED) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else if (--member->automatic == 0) {
        greet(member);
    }
}

static enum err join_automatically(struct app_member *member, const struct room_name *name,
                                   bool visible)
{
    struct app *app = member->app;
    struct app_join wanted = {.member = member, .automatic = true, .visible = visible};
    enum err err = app_rooms_get(&app->rooms, name, &wanted.room);
    if (err) {
        return err;
    }
    err = app_join_begin(&app->joins, &wanted);
    if (err) {
        app_rooms_settle(&app->rooms, wanted.room);
    }
    return err;
}

static enum err enter_own_rooms(struct app_member *member, const struct app_identity *identity)
{
    struct room_name global;
    enum err err = room_name_make(ROOM_GLOBAL, STR("all"), &global);
    bool by_address = identity->address_room.len > 0;
    member->automatic = by_address ? 3 : 2;
    err = err ? err : join_automatically(member, app_identity_room(identity), true);
    err = err ? err : join_automatically(member, &global, true);
    if (!err && by_address) {
        err = join_automatically(member, &identity->sub_room, false);
    }
    return err;
}

static void welcome(struct app *app, struct sio_socket *socket, const struct app_identity *identity)
{
    struct app_member *member = app_member_new(app, socket, identity);
    if (!member) {
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
        return;
    }
    sio_socket_attach(socket, member);
    app->stats.members++;
    app->stats.connected++;
    log_debug("client connected", LOG_STR("socket", sio_socket_id(socket)),
              LOG_STR("user", app_member_sub(member)),
              LOG_CSTR("peer", eio_session_peer(sio_socket_session(socket))));
    if (enter_own_rooms(member, identity)) {
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
    }
}

static void refuse_token(struct app *app, struct sio_socket *socket, const char *why)
{
    uint32_t suppressed;
    app->stats.auth_failed++;
    if (log_limit_allows(&app->refusal_log, REFUSALS_LOGGED_A_SECOND, &suppressed)) {
        log_info("token refused", LOG_CSTR("why", why),
                 LOG_CSTR("peer", eio_session_peer(sio_socket_session(socket))),
                 LOG_U64("suppressed", suppressed));
    }
    turn_away(socket, STR("{\"message\":\"Authentication failed\"}"));
}

static void authenticate(struct app *app, struct sio_socket *socket, struct str token)
{
    struct app_identity identity;
    const char *why = "no memory";
    if (token.len == 0) {
        app->stats.auth_missing++;
        turn_away(socket, STR("{\"message\":\"Authentication required\"}"));
    } else if (app_auth_verify(&app->options->auth, token, clock_wall_ms() / 1000, &identity,
                               &why)) {
        refuse_token(app, socket, why);
    } else {
        welcome(app, socket, &identity);
    }
}

static void on_connect(void *owner, struct sio_socket *socket, struct str auth,
                       struct str authorization)
{
    struct app *app = owner;
    if (sio_socket_accept(socket)) {
        return; /* the session is ending, on_disconnect follows */
    }
    struct buf token;
    buf_init(&token, APP_TOKEN_MAX);
    if (read_token(auth, authorization, &token)) {
        refuse_token(app, socket, "auth.token is no string, or too long");
    } else {
        authenticate(app, socket, buf_str(&token));
    }
    buf_fini(&token);
}

static void on_event(struct sio_socket *socket, const struct sio_event *event)
{
    struct app_member *member = sio_socket_user(socket);
    if (member) {
        app_handle_event(member, event);
    }
}

static void on_disconnect(struct sio_socket *socket, enum sio_disconnect_reason reason,
                          enum eio_close_reason session_reason)
{
    struct app_member *member = sio_socket_user(socket);
    if (!member) {
        return; /* turned away */
    }
    struct app *app = member->app;
    log_debug("client disconnected", LOG_STR("socket", sio_socket_id(socket)),
              LOG_STR("user", app_member_sub(member)),
              LOG_CSTR("reason", reason == SIO_DISCONNECT_TRANSPORT
                                     ? eio_close_reason_name(session_reason)
                                     : "disconnect packet"));
    app_joins_forget(&app->joins, member);
    app_member_free(member);
    app->stats.members--;
}

static const struct sio_namespace_ops namespace_ops = {on_connect, on_event, on_disconnect};

struct sio_namespace app_namespace(struct app *app)
{
    return (struct sio_namespace){STR("/"), &namespace_ops, app};
}

static void on_live(void *owner, struct bus_channel *channel)
{
    struct app *app = owner;
    app_joins_room_live(&app->joins, app_room_of_channel(channel));
}

static void on_message(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope)
{
    struct app *app = owner;
    struct app_room *room = app_room_of_channel(channel);
    if (!room->is_idle) {
        app_delivery_message(&app->delivery, room, envelope);
    }
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    struct app *app = owner;
    app_delivery_drop(&app->delivery, channel,
                      err == ERR_LIMIT ? "too large, or too many rooms" : "no header of ours");
}

static void on_up(void *owner)
{
    const struct app *app = owner;
    log_info("redis connected", LOG_U64("rooms", bus_subscriber_count(app->subscriber)));
}

static void on_down(void *owner, enum err err, const char *why)
{
    const struct app *app = owner;
    log_warn("redis lost, trying again", LOG_ERR(err), LOG_CSTR("why", why),
             LOG_U64("clients", app->stats.members));
}

static const struct bus_subscriber_ops subscriber_ops = {on_live, on_message, on_garbage, on_up,
                                                         on_down};

struct app *app_new(struct loop *loop, const struct app_options *options)
{
    struct app *app = calloc(1, sizeof *app);
    if (!app) {
        return NULL;
    }
    app->loop = loop;
    app->options = options;
    app->subscriber = bus_subscriber_new(loop, &options->bus, &subscriber_ops, app);
    if (!app->subscriber) {
        free(app);
        return NULL;
    }
    app_rooms_init(&app->rooms, loop, app->subscriber, options->linger_ms, options->max_idle_rooms);
    app_joins_init(&app->joins, loop, options->subscribe_timeout_ms, on_join_end);
    app_delivery_init(&app->delivery, &app->rooms, options->bus.keys.partitions);
    return app;
}

void app_free(struct app *app)
{
    if (!app) {
        return;
    }
    app_delivery_fini(&app->delivery);
    app_joins_fini(&app->joins);
    app_rooms_fini(&app->rooms);
    bus_subscriber_free(app->subscriber);
    free(app);
}

#include "app/app.h"

#include <stdlib.h>

#include "app/admission.h"
#include "app/handlers.h"
#include "app/move.h"
#include "log/log.h"

enum { TROUBLES_LOGGED_A_SECOND = 5 };

static void on_join_end(struct app_join *join, enum app_join_result result)
{
    if (join->automatic) {
        app_automatic_end(join, result);
    } else {
        app_answer_join(join, result);
    }
}

static void on_connect(void *owner, struct sio_socket *socket, struct str auth,
                       const struct sio_handshake *handshake)
{
    app_admit(owner, socket, auth, handshake);
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
    log_debug("client disconnected", LOG_STR("socket", sio_socket_id(socket)),
              LOG_STR("user", app_member_sub(member)),
              LOG_CSTR("reason", reason == SIO_DISCONNECT_TRANSPORT
                                     ? eio_close_reason_name(session_reason)
                                     : "disconnect packet"));
    if (session_reason == EIO_CLOSE_MOVED) {
        app_session_forget(member);
    }
    app_member_end(member, reason == SIO_DISCONNECT_TRANSPORT);
}

static const struct sio_namespace_ops namespace_ops = {
    .on_connect = on_connect,
    .on_event = on_event,
    .on_disconnect = on_disconnect,
    .on_move = app_move_begin,
    .on_arrive = app_move_arrive,
    .on_ask = app_move_ask,
    .on_arrived = app_move_arrived,
};

struct sio_namespace app_namespace(struct app *app)
{
    return (struct sio_namespace){STR("/"), &namespace_ops, app};
}

/* --- From the bus --- */

static void on_live(void *owner, struct bus_channel *channel)
{
    struct app *app = owner;
    struct app_room *room = app_room_of_channel(channel);
    if (app_recent_from(room) == 0 && !app_recent_newest(room)) {
        app_recent_clear(&app->recent, room, channel->last_id);
    }
    app_joins_room_live(&app->joins, room);
}

static void on_message(void *owner, struct bus_channel *channel,
                       const struct bus_envelope *envelope)
{
    struct app *app = owner;
    app_delivery_message(&app->delivery, app_room_of_channel(channel), envelope);
}

static void on_rest(void *owner)
{
    struct app *app = owner;
    app_delivery_flush(&app->delivery);
}

static void on_gap(void *owner, struct bus_channel *channel)
{
    struct app *app = owner;
    struct app_room *room = app_room_of_channel(channel);
    uint32_t suppressed;
    if (log_limit_allows(&app->trouble_log, TROUBLES_LOGGED_A_SECOND, &suppressed)) {
        log_warn("events are missing, clients disconnected", LOG_STR("room", app_room_name(room)),
                 LOG_U64("clients", room->count), LOG_U64("suppressed", suppressed));
    }
    app_recent_clear(&app->recent, room, channel->last_id);
    app_delivery_cut_off(room);
}

static void on_lost(void *owner, const char *why)
{
    struct app *app = owner;
    log_warn("events are missing, all clients disconnected", LOG_CSTR("why", why),
             LOG_U64("clients", app->stats.members));
    for (struct bus_channel *channel = NULL;
         (channel = bus_subscriber_next(app->subscriber, channel));) {
        struct app_room *room = app_room_of_channel(channel);
        app_recent_clear(&app->recent, room, 0);
        app_delivery_cut_off(room);
    }
}

static void on_passed(void *owner)
{
    app_recovery_passed(owner);
    app_move_passed(owner);
}

/* The client came back to another gateway, and its connection to this one is still here. */
static void on_close_message(void *owner, struct str pid)
{
    struct app *app = owner;
    struct app_session *session = app_sessions_find(&app->sessions, pid);
    if (session) {
        app_session_take(session);
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
    struct app *app = owner;
    if (app->on_redis_up) {
        app->on_redis_up(app->on_redis_up_owner);
    }
    app_revocations_read(&app->revocations);
    app_permits_renew(&app->permits);
    app_sessions_renew(&app->sessions);
    log_info("redis connected", LOG_U64("rooms", bus_subscriber_count(app->subscriber)));
}

void app_tell_redis_up(struct app *app, void (*on_up_again)(void *owner), void *owner)
{
    app->on_redis_up = on_up_again;
    app->on_redis_up_owner = owner;
}

bool app_ready(const struct app *app)
{
    return app->revocations.known && bus_subscriber_ready(app->subscriber);
}

static void on_down(void *owner, enum err err, const char *why)
{
    const struct app *app = owner;
    log_warn("redis lost, trying again", LOG_ERR(err), LOG_CSTR("why", why),
             LOG_U64("clients", app->stats.members));
}

static void on_refused(void *owner, struct str why)
{
    struct app *app = owner;
    uint32_t suppressed;
    if (log_limit_allows(&app->trouble_log, TROUBLES_LOGGED_A_SECOND, &suppressed)) {
        log_error("redis refuses what a gateway needs", LOG_STR("why", why),
                  LOG_U64("suppressed", suppressed));
    }
}

static const struct bus_subscriber_ops subscriber_ops = {
    .on_live = on_live,
    .on_message = on_message,
    .on_rest = on_rest,
    .on_gap = on_gap,
    .on_lost = on_lost,
    .on_passed = on_passed,
    .on_garbage = on_garbage,
    .on_up = on_up,
    .on_down = on_down,
    .on_refused = on_refused,
};

/* --- Revocations --- */

static void on_known(void *owner)
{
    struct app *app = owner;
    log_info("revocations read", LOG_U64("revocations", app_revocations_count(&app->revocations)));
    app_permits_known(&app->permits);
}

static void on_revoked(void *owner, struct app_member *member)
{
    struct app *app = owner;
    uint32_t suppressed;
    if (log_limit_allows(&app->refusal_log, TROUBLES_LOGGED_A_SECOND, &suppressed)) {
        log_info("token revoked", LOG_STR("user", app_member_sub(member)),
                 LOG_CSTR("peer", eio_session_peer(sio_socket_session(member->socket))),
                 LOG_U64("suppressed", suppressed));
    }
    app->stats.auth_revoked += !member->accepted;
    app->stats.revoked += member->accepted;
    app_dismiss(member, STR("{\"message\":\"Token revoked\"}"));
}

/* --- Birth and death --- */

static void on_room_drop(void *owner, struct app_room *room)
{
    struct app *app = owner;
    app_history_forget(&app->history, room);
}

static void init_tokens(struct app *app)
{
    const struct app_options *options = app->options;
    app_token_cache_init(&app->tokens, app->loop, options->token_cache,
                         options->token_cache_ttl_ms);
    app_expiry_init(&app->expiry, app->loop, options->auth.leeway_s, options->token_expiring_ms);
}

static void init_rooms(struct app *app)
{
    const struct app_options *options = app->options;
    app_rooms_init(&app->rooms, app->loop, app->subscriber, options->linger_ms,
                   options->max_idle_rooms);
    app->rooms.on_drop = on_room_drop;
    app->rooms.owner = app;
    app_recent_init(&app->recent, options->recent_bytes);
    app_history_init(&app->history, app->subscriber, &options->bus, &app->recent);
    app_joins_init(&app->joins, app->loop, &app->history, options->subscribe_timeout_ms,
                   on_join_end);
    app_sessions_init(&app->sessions, app->loop, app->subscriber, &options->bus,
                      options->recovery_window_ms);
    app_delivery_init(&app->delivery, &app->rooms, &app->recent, options->bus.keys.partitions);
}

static void init_fleet(struct app *app)
{
    static const struct app_revocations_ops revocations_ops = {on_known, on_revoked};
    app_walks_init(&app->walks, app->loop);
    app_revocations_init(&app->revocations, app->loop, bus_subscriber_store(app->subscriber),
                         &app->options->bus.keys, &app->walks, &revocations_ops, app);
    app_permits_init(&app->permits, app);
    app_control_init(&app->control, app);
}

struct app *app_new(struct loop *loop, const struct app_options *options)
{
    struct app *app = calloc(1, sizeof *app);
    if (!app) {
        return NULL;
    }
    app->loop = loop;
    app->options = options;
    list_init(&app->recoveries);
    list_init(&app->moves);
    app->subscriber = bus_subscriber_new(loop, &options->bus, &subscriber_ops, app);
    if (!app->subscriber) {
        free(app);
        return NULL;
    }
    init_tokens(app);
    init_rooms(app);
    init_fleet(app);
    app->close =
        (struct bus_listener){.event = STR("close"), .on_message = on_close_message, .owner = app};
    bus_subscriber_listen(app->subscriber, &app->close);
    return app;
}

void app_options_changed(struct app *app)
{
    app->joins.timeout_ms = app->options->subscribe_timeout_ms;
    app->rooms.linger_ms = app->options->linger_ms;
    app->rooms.max_idle = app->options->max_idle_rooms;
    app_token_cache_clear(&app->tokens);
}

void app_free(struct app *app)
{
    if (!app) {
        return;
    }
    app_token_cache_fini(&app->tokens);
    app_expiry_fini(&app->expiry);
    app_control_fini(&app->control);
    app_permits_fini(&app->permits);
    app_revocations_fini(&app->revocations);
    app_delivery_fini(&app->delivery);
    app_joins_fini(&app->joins);
    app_rooms_fini(&app->rooms);
    app_history_fini(&app->history);
    app_sessions_fini(&app->sessions);
    bus_subscriber_free(app->subscriber);
    free(app);
}

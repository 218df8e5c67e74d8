/* From CONNECT to `connected`: tokens, the rooms that everybody is in from the beginning. */
#include "app/admission.h"

#include "app/app.h"
#include "app/move.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/jtext.h"

enum { REFUSALS_LOGGED_A_SECOND = 5 };

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
static void say_goodbye(struct sio_socket *socket, struct str message)
{
    if (message.len > 0) {
        emit(socket, STR("error"), message);
    }
    sio_socket_disconnect(socket);
}

/* The same for a client that was not accepted: only then it listens. */
static void turn_away(struct sio_socket *socket, struct str message)
{
    if (sio_socket_accept(socket)) {
        return; /* the session is ending, on_disconnect follows */
    }
    say_goodbye(socket, message);
}

/* --- Tokens --- */

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

/* --- `connected` --- */

static enum err list_rooms(const struct app_member *member, bool own, size_t start, struct buf *out)
{
    enum err err = OK;
    for (unsigned i = 0; i < member->count && !err; i++) {
        struct str name = app_room_name(app_member_memberships(member)[i].room);
        if (app_member_memberships(member)[i].visible && str_starts(name, STR("user:")) == own) {
            err = out->len > start ? buf_append_char(out, ',') : OK;
            err = err ? err : jtext_quote(name, out);
        }
    }
    return err;
}

/* Those that it sees, its user room first. */
static enum err list_all_rooms(const struct app_member *member, struct buf *out)
{
    size_t start = out->len;
    enum err err = list_rooms(member, true, start, out);
    return err ? err : list_rooms(member, false, start, out);
}

/*
 * Everything up to here has reached the client, or is none of its business. What was handed on last
 * may still have to come from another of its rooms.
 */
static enum err append_offset(struct app_member *member, struct buf *out)
{
    uint64_t passed = bus_subscriber_passed(member->app->subscriber, 0).id;
    uint64_t before = passed > 0 ? passed - 1 : 0;
    uint64_t offset = before > member->last_id ? before : member->last_id;
    member->last_id = offset;
    return buf_printf(out, ",\"%llu\"", (unsigned long long)offset);
}

void app_greet(struct app_member *member)
{
    struct buf text;
    buf_init(&text, 0); /* MAX_ROOMS bounds it */
    enum err err =
        buf_append(&text, STR("{\"message\":\"Connected to GuessLyfe real-time updates\","
                              "\"userId\":"));
    err = err ? err : jtext_quote(app_member_sub(member), &text);
    err = err ? err : buf_append(&text, STR(",\"rooms\":["));
    err = err ? err : list_all_rooms(member, &text);
    err = err ? err : buf_append(&text, STR("]}"));
    if (member->has_session) {
        err = err ? err : append_offset(member, &text);
    }
    if (err) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else {
        emit(member->socket, STR("connected"), buf_str(&text));
        app_expiry_announce(&member->app->expiry, member);
    }
    buf_fini(&text);
}

void app_promise_greeting(struct app_member *member)
{
    if (!member->has_session) {
        app_greet(member);
        return;
    }
    struct app_promise *promise = app_promise_new(true);
    if (promise) {
        app_session_keep(member->session, promise);
    } else {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    }
}

/* `connected` is true from the moment it is sent: it waits for the last of the automatic rooms. */
void app_automatic_end(const struct app_join *join, enum app_join_result result)
{
    struct app_member *member = join->member;
    if (app_move_is_arriving(member)) {
        app_move_joined(member, result == APP_JOIN_DONE);
    } else if (app_member_recovery(member)) {
        app_recovery_joined(member, join, result == APP_JOIN_DONE);
    } else if (result == APP_JOIN_FAILED) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else if (--member->automatic == 0) {
        app_promise_greeting(member);
    }
}

/* --- The token's end --- */

void app_tell_expiring(struct app_member *member, int64_t now_ms)
{
    char now[CLOCK_ISO8601_LEN + 1], expires[CLOCK_ISO8601_LEN + 1];
    struct buf text;
    buf_init(&text, 0);
    clock_iso8601(now_ms, now);
    clock_iso8601((int64_t)member->expires_s * 1000, expires);
    enum err err = buf_printf(&text,
                              "{\"type\":\"token:expiring\",\"timestamp\":\"%s\","
                              "\"data\":{\"expiresAt\":\"%s\"}}",
                              now, expires);
    if (err) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else {
        emit(member->socket, STR("token:expiring"), buf_str(&text));
    }
    buf_fini(&text);
}

/* --- Members --- */

static enum err join_automatically(struct app_member *member, const struct room_name *name,
                                   bool visible)
{
    const struct app_join wanted = {.member = member, .automatic = true, .visible = visible};
    return app_join_begin(&member->app->joins, name, &wanted);
}

static enum err enter_own_rooms(struct app_member *member)
{
    struct room_name global, sub, address;
    bool by_address = member->address_len > 0;
    enum err err = room_name_make(ROOM_GLOBAL, STR("all"), &global);
    err = err ? err : room_name_make(ROOM_USER, app_member_sub(member), &sub);
    if (!err && by_address) {
        err = room_name_make(ROOM_USER, app_member_address(member), &address);
    }
    member->automatic = by_address ? 3 : 2;
    err = err ? err : join_automatically(member, by_address ? &address : &sub, true);
    err = err ? err : join_automatically(member, &global, true);
    if (!err && by_address) {
        err = join_automatically(member, &sub, false);
    }
    return err;
}

struct app_member *app_member_begin(struct app *app, struct sio_socket *socket,
                                    const struct app_identity *identity, bool recovers)
{
    struct app_member *member = app_member_new(app, socket, identity, recovers);
    if (!member) {
        return NULL;
    }
    if (app_expiry_watch(&app->expiry, member, identity->expires_s)) {
        app_member_free(member);
        return NULL;
    }
    sio_socket_attach(socket, member);
    member->connected_ms = clock_wall_ms();
    app_walks_add(&app->walks, member);
    app->stats.members++;
    app->stats.connected++;
    log_debug("client connected", LOG_STR("socket", sio_socket_id(socket)),
              LOG_STR("user", app_member_sub(member)),
              LOG_CSTR("peer", eio_session_peer(sio_socket_session(socket))));
    return member;
}

void app_member_end(struct app_member *member, bool comes_back)
{
    struct app *app = member->app;
    app_walks_remove(&app->walks, member);
    app_permit_return(member);
    app_session_end(member, comes_back);
    if (member->transit) {
        app_recovery_free(member->transit->recovery);
        app_move_free(member->transit->move);
        member->transit->recovery = NULL;
        member->transit->move = NULL;
    }
    app_joins_forget(&app->joins, member);
    app_expiry_forget(&app->expiry, member);
    sio_socket_attach(member->socket, NULL);
    app_member_free(member);
    app->stats.members--;
}

static enum err give_session(struct app_member *member)
{
    enum err err = app_session_begin(member, STR(""));
    return err ? err : sio_socket_accept_with_pid(member->socket, app_session_pid(member->session));
}

void app_welcome(struct app *app, struct sio_socket *socket, const struct app_identity *identity,
                 bool recovers)
{
    bool may = recovers && app_sessions_enabled(&app->sessions);
    struct app_member *member = app_member_begin(app, socket, identity, may);
    if (!member) {
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
        return;
    }
    app_permit_ask(member);
}

void app_let_in(struct app_member *member)
{
    if (app_member_recovery(member)) {
        app_recovery_permitted(member);
        return;
    }
    member->accepted = true;
    enum err err = member->recovers ? give_session(member) : sio_socket_accept(member->socket);
    if (err || enter_own_rooms(member)) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    }
}

void app_dismiss(struct app_member *member, struct str error)
{
    struct sio_socket *socket = member->socket;
    bool accepted = member->accepted;
    if (!accepted) {
        member->app->stats.connected--; /* it never was */
    }
    app_member_end(member, false);
    if (accepted) {
        say_goodbye(socket, error);
    } else {
        turn_away(socket, error);
    }
}

/* --- CONNECT --- */

static void log_refusal(struct app *app, const struct sio_socket *socket, const char *why)
{
    uint32_t suppressed;
    if (log_limit_allows(&app->refusal_log, REFUSALS_LOGGED_A_SECOND, &suppressed)) {
        log_info("token refused", LOG_CSTR("why", why),
                 LOG_CSTR("peer", eio_session_peer(sio_socket_session(socket))),
                 LOG_U64("suppressed", suppressed));
    }
}

static void refuse_token(struct app *app, struct sio_socket *socket, const char *why)
{
    app->stats.auth_failed++;
    log_refusal(app, socket, why);
    turn_away(socket, STR("{\"message\":\"Authentication failed\"}"));
}

/* Whose handlers take one argument more than the event has. */
static bool wants_recovery(struct str auth, const struct sio_handshake *handshake)
{
    struct str asked = auth.len > 0 ? jtext_member(auth, STR("recovery")) : STR("");
    return jtext_kind(asked) == JTEXT_NONE ? handshake->has_origin
                                           : jtext_kind(asked) == JTEXT_TRUE;
}

static void take_client(struct app *app, struct sio_socket *socket,
                        const struct app_identity *identity, struct str auth,
                        const struct sio_handshake *handshake)
{
    struct app_recovery_request request;
    bool recovers = wants_recovery(auth, handshake);
    if (recovers && app_sessions_enabled(&app->sessions) && app_recovery_read(auth, &request)) {
        app_recovery_begin(app, socket, identity, &request);
    } else {
        app_welcome(app, socket, identity, recovers);
    }
}

/* AGAIN: there is no token. NOMEM: nothing is known against it, the client may try again. */
static enum err verify(struct app *app, struct str auth, struct str authorization,
                       struct app_identity *ret_identity, const char **ret_why)
{
    struct buf token;
    buf_init(&token, APP_TOKEN_MAX);
    *ret_why = "auth.token is no string, or too long";
    enum err err = read_token(auth, authorization, &token);
    if (!err && token.len == 0) {
        err = ERR_AGAIN;
    } else if (!err) {
        err = app_token_cache_verify(&app->tokens, &app->options->auth, buf_str(&token),
                                     clock_wall_ms() / 1000, ret_identity, ret_why);
    }
    buf_fini(&token);
    return err;
}

void app_admit(struct app *app, struct sio_socket *socket, struct str auth,
               const struct sio_handshake *handshake)
{
    struct app_identity identity;
    const char *why;
    switch (verify(app, auth, handshake->authorization, &identity, &why)) {
    case OK:
        take_client(app, socket, &identity, auth, handshake);
        break;
    case ERR_AGAIN:
        app->stats.auth_missing++;
        turn_away(socket, STR("{\"message\":\"Authentication required\"}"));
        break;
    case ERR_NOMEM:
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
        break;
    default:
        refuse_token(app, socket, why);
    }
}

/* --- authenticate --- */

static bool same_user(const struct app_member *member, const struct app_identity *identity)
{
    bool has_address = identity->address_room.len > 0;
    struct str address = has_address ? room_name_id(&identity->address_room) : STR("");
    return str_eq(app_identity_sub(identity), app_member_sub(member)) &&
           str_eq(address, app_member_address(member));
}

/* As for CONNECT, but nobody is disconnected for it. */
static const char *judge(struct app_member *member, struct str auth,
                         struct app_identity *ret_identity)
{
    const char *why;
    switch (verify(member->app, auth, STR(""), ret_identity, &why)) {
    case OK:
        return same_user(member, ret_identity) ? NULL : "Not allowed: this token is another user's";
    case ERR_AGAIN:
        return "Expected {token} with a string";
    case ERR_NOMEM:
        return "Out of memory; try again later";
    default:
        log_refusal(member->app, member->socket, why);
        return "Authentication failed";
    }
}

static bool is_revoked(const struct app *app, const struct app_identity *identity)
{
    bool has_address = identity->address_room.len > 0;
    return app_revocations_refuse(&app->revocations, app_identity_sub(identity),
                                  has_address ? room_name_id(&identity->address_room) : STR(""),
                                  identity->issued_s);
}

const char *app_renew(struct app_member *member, struct str auth)
{
    struct app *app = member->app;
    struct app_identity identity;
    uint16_t second = (uint16_t)(loop_now(app->loop) / 1000 % UINT16_MAX + 1); /* never 0 */
    if (member->refused_s == second) {
        return "Refused a moment ago; try again in a second";
    }
    const char *why = judge(member, auth, &identity);
    if (!why && is_revoked(app, &identity)) {
        why = "Token revoked";
    }
    if (!why && app_expiry_renew(&app->expiry, member, identity.expires_s)) {
        why = "Out of memory; try again later";
    }
    if (why) {
        member->refused_s = second;
        app->stats.renewals_refused++;
    } else {
        member->issued_s = identity.issued_s;
        member->token_id = identity.token_id;
        app->stats.renewed++;
    }
    return why;
}

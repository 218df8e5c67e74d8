#include "app/handlers.h"

#include "app/admission.h"
#include "app/app.h"
#include "app/past.h"
#include "log/log.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/jtext.h"

enum { ANSWER_MAX = 64 * 1024, ASKED_MAX = 512 };

/* Who is to be answered, if anybody. */
struct reply {
    struct app_member *member;
    uint64_t ack_id;
    bool wanted;
};

static struct reply reply_to(struct app_member *member, const struct sio_event *event)
{
    return (struct reply){member, event->ack_id, event->wants_ack};
}

static void disconnect(struct sio_socket *socket, enum err err)
{
    log_debug("acknowledgement not sent", LOG_STR("socket", sio_socket_id(socket)), LOG_ERR(err));
    eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
}

void app_send_ack(struct sio_socket *socket, uint64_t ack_id, struct str answer)
{
    enum err err = sio_socket_ack(socket, ack_id, answer, NULL, 0);
    if (err) {
        disconnect(socket, err);
    }
}

/* Sends what was composed. */
static void send_reply(struct reply reply, enum err composed, struct buf *answer)
{
    if (reply.wanted && composed) {
        disconnect(reply.member->socket, composed);
    } else if (reply.wanted) {
        app_send_ack(reply.member->socket, reply.ack_id, buf_str(answer));
    }
    buf_fini(answer);
}

/* Sends it when the member's session, which has changed, is kept. */
static void promise_reply(struct reply reply, enum err composed, struct buf *answer)
{
    struct app_session *session = app_member_session(reply.member);
    struct app_promise *promise = NULL;
    if (!session || composed) {
        send_reply(reply, composed, answer);
        return;
    }
    if (reply.wanted && !(promise = app_promise_new(false))) {
        send_reply(reply, ERR_NOMEM, answer);
        return;
    }
    if (promise) {
        promise->ack_id = reply.ack_id;
        promise->answer = *answer;
    } else {
        buf_fini(answer);
    }
    app_session_keep(session, promise);
}

/* {"success":…,"room":…,"message":"<prefix><room>"; without room the message is the prefix. */
static enum err compose(bool success, struct str room, const char *prefix, struct buf *answer)
{
    struct buf message;
    buf_init(&message, ANSWER_MAX);
    enum err err = buf_append(&message, str_from(prefix));
    err = err || !success ? err : buf_append(&message, room);
    err = err ? err : buf_printf(answer, "{\"success\":%s,", success ? "true" : "false");
    if (!err && room.len > 0) {
        err = buf_append(answer, STR("\"room\":"));
        err = err ? err : jtext_quote(room, answer);
        err = err ? err : buf_append_char(answer, ',');
    }
    err = err ? err : buf_append(answer, STR("\"message\":"));
    err = err ? err : jtext_quote(buf_str(&message), answer);
    buf_fini(&message);
    return err;
}

static void refuse(struct reply reply, struct str room, const char *why)
{
    struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    enum err err = compose(false, room, why, &answer);
    err = err ? err : buf_append_char(&answer, '}');
    send_reply(reply, err, &answer);
}

/* What a client wrote as {room, id, since?, last?}: still to be judged. */
struct asked {
    struct str kind, id;
    struct buf text;        /* "kind:id" as it was asked for */
    struct str since, last; /* JSON text; empty where there is none */
};

/* Empty where no two strings were given. */
static struct str asked_name(const struct asked *asked)
{
    return asked->kind.ptr ? buf_str(&asked->text) : STR("");
}

/* A string as it is meant; a whole number as it is written, because some callers pass ids so. */
static enum err append_text(struct str value, bool number_too, struct buf *out)
{
    uint64_t number;
    if (jtext_kind(value) == JTEXT_STRING) {
        return jtext_unescape(value, out);
    }
    return number_too && !str_to_u64(value, &number) ? buf_append(out, value) : ERR_INVALID;
}

/* The first argument as JSON text, if it is an object. */
static bool read_object(const struct sio_event *event, struct str *ret_object)
{
    struct jtext_walk walk;
    if (event->arg_count == 0) {
        return false;
    }
    /* The arguments come without brackets; only the first counts. */
    jtext_walk_elements(&walk, event->args);
    return jtext_next(&walk, NULL, ret_object) && jtext_kind(*ret_object) == JTEXT_OBJECT;
}

/* INVALID for arguments of another shape, LIMIT for something too long to be any room's name. */
static enum err read_asked(const struct sio_event *event, struct asked *asked)
{
    *asked = (struct asked){0};
    buf_init(&asked->text, ASKED_MAX);
    struct str object;
    if (!read_object(event, &object)) {
        return ERR_INVALID;
    }
    enum err err = append_text(jtext_member(object, STR("room")), false, &asked->text);
    size_t kind_len = asked->text.len;
    err = err ? err : buf_append_char(&asked->text, ':');
    err = err ? err : append_text(jtext_member(object, STR("id")), true, &asked->text);
    asked->since = jtext_member(object, STR("since"));
    asked->last = jtext_member(object, STR("last"));
    if (!err) {
        asked->kind = str_range(asked->text.data, kind_len);
        asked->id = str_skip(buf_str(&asked->text), kind_len + 1);
    }
    return err;
}

/* The room that was asked for; NULL, or why there is none. */
static const char *read_room(const struct sio_event *event, struct asked *asked,
                             struct room_name *ret_room)
{
    enum room_kind kind;
    switch (read_asked(event, asked)) {
    case OK:
        break;
    case ERR_LIMIT:
        return "Room id is too long";
    default:
        return "Expected {room, id} with two strings";
    }
    if (room_kind_from(asked->kind, &kind)) {
        return "Unknown room type; expected market, creator, user or global";
    }
    if (room_name_make(kind, asked->id, ret_room)) {
        return kind == ROOM_GLOBAL ? "Invalid id; the only global room is all"
                                   : "Invalid id; expected 1 to 128 visible ASCII characters "
                                     "without comma";
    }
    return NULL;
}

/* NULL, or why this member may not enter. */
static const char *forbid(struct app_member *member, const struct room_name *name)
{
    const struct app_room *room = app_rooms_find(&member->app->rooms, room_name_str(name));
    struct app_joins_pending pending = app_joins_pending(member, room);
    uint64_t most = member->app->options->max_rooms;
    if (name->kind == ROOM_USER && !app_member_owns(member, name)) {
        return "Not allowed: this user room is someone else's";
    }
    bool one_more = !room || (!app_member_sees(member, room) && !pending.room);
    /* Asking for the same room again is fine, but not without end. */
    if ((one_more && member->visible + pending.rooms >= most) || pending.joins >= 2 * most) {
        return "Too many rooms; unsubscribe from one first";
    }
    return NULL;
}

/* The answer follows with the join's end. `past`: what of it is wanted, as in another join. */
static const char *join_one(struct app_member *member, const struct room_name *name,
                            struct reply reply, bool visible, const struct app_join *past)
{
    struct app_join wanted = {.member = member,
                              .ack_id = reply.ack_id,
                              .wants_ack = reply.wanted,
                              .visible = visible,
                              .wants_past = past->wants_past};
    if (past->wants_past) {
        wanted.past.position = past->past.position;
        wanted.past.most = past->past.most;
    }
    enum err err = app_join_begin(&member->app->joins, name, &wanted);
    return err ? "Out of memory; try again later" : NULL;
}

/*
 * The room of an address and, unseen, that of the sub beside it are entered and left together, so
 * that whoever has them gets what is addressed to either. The unseen one is first: what follows its
 * join is in app_answer_join.
 */
static const char *join(struct app_member *member, const struct sio_event *event,
                        const struct room_name *name, const struct app_join *past)
{
    struct reply reply = reply_to(member, event);
    struct room_name sub;
    if (!app_member_is_address(member, name)) {
        return join_one(member, name, reply, true, past);
    }
    enum err err = room_name_make(ROOM_USER, app_member_sub(member), &sub);
    return err ? "Invalid id" : join_one(member, &sub, reply, false, past);
}

static void handle_subscribe(struct app_member *member, const struct sio_event *event)
{
    struct asked asked;
    struct room_name room;
    struct app_join past = {0};
    const char *why = read_room(event, &asked, &room);
    why = why ? why
              : app_past_read(asked.since, asked.last, member->app->options->max_history, &past);
    why = why ? why : forbid(member, &room);
    why = why ? why : join(member, event, &room, &past);
    if (why) {
        member->app->stats.refused++;
        refuse(reply_to(member, event), asked_name(&asked), why);
    }
    buf_fini(&asked.text);
}

static void refuse_join(const struct app_join *join, struct str room, const char *why)
{
    join->member->app->stats.refused++;
    refuse((struct reply){join->member, join->ack_id, join->wants_ack}, room, why);
}

/* The member is in the unseen room of its sub, or will not be. */
static void go_on_with_address(const struct app_join *join, const char *why)
{
    struct app_member *member = join->member;
    struct reply reply = {member, join->ack_id, join->wants_ack};
    struct room_name name;
    if (room_name_make(ROOM_USER, app_member_address(member), &name)) {
        return; /* an address is the id of a room since the token was read */
    }
    why = why ? why : join_one(member, &name, reply, true, join);
    if (why) {
        refuse_join(join, room_name_str(&name), why);
    }
}

static void confirm(const struct app_join *join)
{
    struct buf answer;
    buf_init(&answer, 2 * APP_PAST_BYTES_MAX);
    enum err err = compose(true, app_room_name(join->room), "Subscribed to ", &answer);
    if (join->wants_past) {
        err = err ? err : app_past_write(join, &answer);
    }
    err = err ? err : buf_append_char(&answer, '}');
    join->member->app->stats.subscribed++;
    promise_reply((struct reply){join->member, join->ack_id, join->wants_ack}, err, &answer);
}

void app_answer_join(const struct app_join *join, enum app_join_result result)
{
    static const char *const refusals[] = {
        [APP_JOIN_DONE] = NULL,
        [APP_JOIN_TIMEOUT] = "Temporarily unavailable; try again later",
        [APP_JOIN_CANCELLED] = "Unsubscribed meanwhile",
        [APP_JOIN_FAILED] = "Out of memory; try again later",
    };
    if (!join->visible) {
        go_on_with_address(join, refusals[result]);
    } else if (refusals[result]) {
        refuse_join(join, app_room_name(join->room), refusals[result]);
    } else {
        confirm(join);
    }
}

/* NULL where there is none, or nobody in it. */
static struct app_room *find_room(struct app_member *member, const struct room_name *name)
{
    struct app_room *room = app_rooms_find(&member->app->rooms, room_name_str(name));
    return room && !room->is_idle ? room : NULL;
}

static void leave_one(struct app_member *member, const struct room_name *name)
{
    struct app_room *room = find_room(member, name);
    if (room) {
        app_joins_cancel(&member->app->joins, member, room);
    }
    room = find_room(member, name); /* the cancelled may have been all that was */
    if (room) {
        app_member_leave(member, room);
    }
}

/* Whether the room of the member's address keeps that of its sub. */
static bool kept_by_address(struct app_member *member, const struct room_name *name)
{
    struct room_name address;
    if (!app_member_is_sub(member, name) || member->address_len == 0 ||
        room_name_make(ROOM_USER, app_member_address(member), &address)) {
        return false;
    }
    struct app_room *room = find_room(member, &address);
    return room && app_member_in(member, room);
}

/* See join. A sub's room that the client asked for itself stays when that of the address goes. */
static void leave(struct app_member *member, const struct room_name *name)
{
    struct room_name sub;
    if (app_member_is_address(member, name)) {
        leave_one(member, name);
        struct app_room *room = room_name_make(ROOM_USER, app_member_sub(member), &sub)
                                    ? NULL
                                    : find_room(member, &sub);
        if (room && !app_member_sees(member, room)) {
            leave_one(member, &sub);
        }
    } else if (kept_by_address(member, name)) {
        struct app_room *room = find_room(member, name);
        if (room) {
            app_joins_cancel(&member->app->joins, member, room);
            app_member_hide(member, room);
        }
    } else {
        leave_one(member, name);
    }
}

static void handle_unsubscribe(struct app_member *member, const struct sio_event *event)
{
    struct asked asked;
    struct room_name name;
    const char *why = read_room(event, &asked, &name);
    if (why) {
        refuse(reply_to(member, event), asked_name(&asked), why);
    } else {
        struct buf answer;
        buf_init(&answer, ANSWER_MAX);
        leave(member, &name);
        enum err err = compose(true, room_name_str(&name), "Unsubscribed from ", &answer);
        err = err ? err : buf_append_char(&answer, '}');
        promise_reply(reply_to(member, event), err, &answer);
    }
    buf_fini(&asked.text);
}

static void handle_get_rooms(struct app_member *member, const struct sio_event *event)
{
    struct buf answer;
    buf_init(&answer, 0); /* MAX_ROOMS bounds it */
    enum err err = buf_append_char(&answer, '[');
    for (unsigned i = 0; i < member->count && !err; i++) {
        if (app_member_memberships(member)[i].visible) {
            err = answer.len > 1 ? buf_append_char(&answer, ',') : OK;
            err = err ? err
                      : jtext_quote(app_room_name(app_member_memberships(member)[i].room), &answer);
        }
    }
    err = err ? err : buf_append_char(&answer, ']');
    send_reply(reply_to(member, event), err, &answer);
}

static void handle_ping(struct app_member *member, const struct sio_event *event)
{
    struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    enum err err =
        buf_printf(&answer, "{\"pong\":true,\"timestamp\":%lld}", (long long)clock_wall_ms());
    send_reply(reply_to(member, event), err, &answer);
}

static enum err compose_renewed(const struct app_member *member, struct buf *answer)
{
    char expires[CLOCK_ISO8601_LEN + 1];
    if (member->expires_s == 0) {
        return buf_append(answer, STR("{\"success\":true}"));
    }
    clock_iso8601((int64_t)member->expires_s * 1000, expires);
    return buf_printf(answer, "{\"success\":true,\"expiresAt\":\"%s\"}", expires);
}

static void handle_authenticate(struct app_member *member, const struct sio_event *event)
{
    struct str object;
    const char *why = app_renew(member, read_object(event, &object) ? object : STR(""));
    if (why) {
        refuse(reply_to(member, event), STR(""), why);
    } else {
        struct buf answer;
        buf_init(&answer, ANSWER_MAX);
        send_reply(reply_to(member, event), compose_renewed(member, &answer), &answer);
    }
}

static const struct {
    struct str event;
    void (*handle)(struct app_member *member, const struct sio_event *event);
} handlers[] = {
    {{"subscribe", 9}, handle_subscribe},        {{"unsubscribe", 11}, handle_unsubscribe},
    {{"getRooms", 8}, handle_get_rooms},         {{"ping", 4}, handle_ping},
    {{"authenticate", 12}, handle_authenticate},
};

void app_handle_event(struct app_member *member, const struct sio_event *event)
{
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        if (str_eq(event->name, handlers[i].event)) {
            handlers[i].handle(member, event);
            return;
        }
    }
    refuse(reply_to(member, event), STR(""),
           "Unknown event; expected subscribe, unsubscribe, getRooms, ping or authenticate");
}

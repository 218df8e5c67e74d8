#include "app/control.h"

#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "app/app.h"
#include "util/jtext.h"

enum {
    ASKER_MAX = 64,
    ARGS_DEPTH_MAX = 4,
    TEXT_MAX = 1024, /* of one argument */
    LISTED_BY_DEFAULT = 100,
    ANSWER_MAX = 1024 * 1024,
};

/* Who asks, and what: views into the message. */
struct call {
    struct app_control *control;
    struct str asker, args;
};

/* One that takes more than this turn. */
struct question {
    struct list node;
    struct app_control *control;
    struct app_walk walk;
    struct bus_request *request;
    char asker[ASKER_MAX + 1];
    char user[ROOM_ID_MAX + 1]; /* empty: not by user; BUS_EVERYBODY */
    struct str socket;          /* likewise, a view of `text` */
    uint64_t token_id;          /* likewise; 0 */
    struct buf text;            /* of an argument, or the answer's list */
    uint64_t count;             /* members that were found */
    bool full;                  /* the answer is as long as it may be */
};

/* --- Answers --- */

/* Without memory it does not come, as when the message had been lost. */
static void publish(struct app_control *control, struct str asker, const struct str *pieces,
                    size_t count)
{
    struct app *app = control->app;
    struct buf channel = {0};
    if (!bus_answer_channel(&app->options->bus.keys, asker, &channel)) {
        bus_control_send(bus_subscriber_store(app->subscriber), buf_str(&channel), STR("answer"),
                         pieces, count, NULL, NULL);
    }
    buf_fini(&channel);
}

/* `members`: more of the answer's object, each beginning with a comma. */
static void answer(struct app_control *control, struct str asker, struct str members)
{
    const struct str pieces[] = {STR("{\"gateway\":\""),
                                 str_from(control->app->options->bus.gateway_id), STR("\""),
                                 members, STR("}")};
    publish(control, asker, pieces, ARRAY_LEN(pieces));
}

static void answer_error(struct app_control *control, struct str asker, const char *sentence)
{
    struct buf members = {0};
    enum err err = buf_append(&members, STR(",\"error\":"));
    err = err ? err : jtext_quote(str_from(sentence), &members);
    if (!err) {
        answer(control, asker, buf_str(&members));
    }
    buf_fini(&members);
}

static void answer_count(struct app_control *control, struct str asker, uint64_t count)
{
    struct buf members = {0};
    if (!buf_printf(&members, ",\"disconnected\":%llu", (unsigned long long)count)) {
        answer(control, asker, buf_str(&members));
    }
    buf_fini(&members);
}

/* --- Arguments --- */

static bool has(const struct call *call, const char *key)
{
    enum jtext_kind kind = jtext_kind(jtext_member(call->args, str_from(key)));
    return kind != JTEXT_NONE && kind != JTEXT_NULL;
}

/* INVALID: not a string, empty or too long. NOMEM. */
static enum err read_text(const struct call *call, const char *key, struct buf *out)
{
    struct str value = jtext_member(call->args, str_from(key));
    buf_init(out, TEXT_MAX);
    if (jtext_kind(value) != JTEXT_STRING) {
        return ERR_INVALID;
    }
    enum err err = jtext_unescape(value, out);
    return err == ERR_NOMEM ? err : err || out->len == 0 ? ERR_INVALID : OK;
}

/* In its canonical spelling. */
static enum err read_user(const struct call *call, char ret_user[ROOM_ID_MAX + 1])
{
    struct buf text;
    enum err err = read_text(call, "user", &text);
    err = err ? err : bus_revocation_user(buf_str(&text), ret_user);
    buf_fini(&text);
    return err;
}

/* --- Questions --- */

static void question_free(struct question *question)
{
    list_remove(&question->node);
    question->control->count--;
    app_walk_end(&question->walk);
    bus_store_cancel(question->request);
    buf_fini(&question->text);
    free(question);
}

/* Answers in place of the question where it can't be asked: NULL. */
static struct question *question_new(const struct call *call, const struct app_walk_ops *ops)
{
    struct app_control *control = call->control;
    struct question *question =
        control->count < APP_CONTROL_WAITING_MAX ? calloc(1, sizeof *question) : NULL;
    if (!question) {
        answer_error(control, call->asker, "busy, or out of memory; try again");
        return NULL;
    }
    question->control = control;
    memcpy(question->asker, call->asker.ptr, call->asker.len);
    app_walk_init(&question->walk, ops);
    list_init(&question->node);
    list_push_back(&control->waiting, &question->node);
    control->count++;
    return question;
}

static void walk(struct question *question)
{
    app_walk_begin(&question->walk, &question->control->app->walks);
}

static void refuse(struct question *question, const char *sentence)
{
    answer_error(question->control, str_from(question->asker), sentence);
    question_free(question);
}

static struct question *question_of(struct app_walk *of)
{
    return container_of(of, struct question, walk);
}

static bool is_user(const struct app_member *member, const char *user)
{
    struct str name = str_from(user);
    return str_eq(name, app_member_sub(member)) || str_eq(name, app_member_address(member));
}

/* --- disconnect --- */

static bool is_wanted(const struct question *question, const struct app_member *member)
{
    if (question->token_id > 0) {
        return member->token_id == question->token_id;
    }
    return question->user[0] ? is_user(member, question->user)
                             : str_eq(sio_socket_id(member->socket), question->socket);
}

static bool visit_to_disconnect(struct app_walk *of, struct app_member *member)
{
    struct question *question = question_of(of);
    if (!is_wanted(question, member)) {
        return false;
    }
    question->count++;
    member->app->stats.dismissed++;
    app_dismiss(member, STR(""));
    return true;
}

static void answer_disconnected(struct app_walk *of)
{
    struct question *question = question_of(of);
    if (question->count > 0) {
        log_info("clients disconnected by an operator", LOG_U64("clients", question->count));
    }
    answer_count(question->control, str_from(question->asker), question->count);
    question_free(question);
}

static enum err read_wanted(const struct call *call, struct question *question)
{
    if (has(call, "user")) {
        return read_user(call, question->user);
    }
    enum err err = read_text(call, has(call, "socket") ? "socket" : "token", &question->text);
    if (!err && has(call, "socket")) {
        question->socket = buf_str(&question->text);
    } else if (!err) {
        question->token_id = app_auth_token_id(buf_str(&question->text));
    }
    return err;
}

static void disconnect(const struct call *call)
{
    static const struct app_walk_ops ops = {visit_to_disconnect, answer_disconnected};
    struct question *question = question_new(call, &ops);
    if (!question) {
        return;
    }
    if (has(call, "user") + has(call, "socket") + has(call, "token") != 1 ||
        read_wanted(call, question)) {
        refuse(question, "expected one of \"user\", \"socket\" and \"token\", a string");
        return;
    }
    walk(question);
}

/* --- members --- */

static enum err write_who(const struct app_member *member, struct buf *out)
{
    enum err err = buf_append(out, STR("{\"user\":"));
    err = err ? err : jtext_quote(app_member_sub(member), out);
    if (member->address_len > 0) {
        err = err ? err : buf_append(out, STR(",\"address\":"));
        err = err ? err : jtext_quote(app_member_address(member), out);
    }
    err = err ? err : buf_append(out, STR(",\"socket\":"));
    return err ? err : jtext_quote(sio_socket_id(member->socket), out);
}

static enum err write_members(const struct app_room *room, uint64_t limit, struct buf *out)
{
    uint32_t count = room && !room->is_idle ? room->count : 0;
    enum err err = buf_printf(out, ",\"count\":%u,\"members\":[", count);
    for (uint32_t i = 0; i < count && i < limit && !err; i++) {
        err = i > 0 ? buf_append_char(out, ',') : OK;
        err = err ? err : write_who(app_room_members(room)[i], out);
        err = err ? err : buf_append_char(out, '}');
    }
    return err ? err : buf_append_char(out, ']');
}

static enum err read_limit(const struct call *call, uint64_t *ret_limit)
{
    struct str value = jtext_member(call->args, STR("limit"));
    *ret_limit = LISTED_BY_DEFAULT;
    if (!has(call, "limit")) {
        return OK;
    }
    return str_to_u64(value, ret_limit) || *ret_limit > APP_CONTROL_LISTED_MAX ? ERR_INVALID : OK;
}

static void members(const struct call *call)
{
    struct app_control *control = call->control;
    struct room_name room;
    struct buf text, out = {0};
    uint64_t limit;
    enum err err = read_text(call, "room", &text);
    err = err ? err : room_name_parse(buf_str(&text), &room);
    if (err) {
        answer_error(control, call->asker, "expected \"room\", like market:1");
    } else if (read_limit(call, &limit)) {
        answer_error(control, call->asker, "expected \"limit\" from 0 to 1000");
    } else if (!write_members(app_rooms_find(&control->app->rooms, room_name_str(&room)), limit,
                              &out)) {
        answer(control, call->asker, buf_str(&out));
    }
    buf_fini(&text);
    buf_fini(&out);
}

/* --- user --- */

static enum err write_rooms(const struct app_member *member, struct buf *out)
{
    enum err err = OK;
    for (unsigned i = 0, listed = 0; i < member->count && !err; i++) {
        if (app_member_memberships(member)[i].visible) {
            err = listed++ > 0 ? buf_append_char(out, ',') : OK;
            err =
                err ? err : jtext_quote(app_room_name(app_member_memberships(member)[i].room), out);
        }
    }
    return err;
}

static enum err write_connection(const struct app_member *member, struct buf *out)
{
    const struct eio_session *session = sio_socket_session(member->socket);
    enum err err = write_who(member, out);
    err = err ? err
              : buf_printf(out, ",\"transport\":\"%s\",\"connectedAt\":%lld,\"peer\":",
                           eio_session_transport(session), (long long)member->connected_ms);
    err = err ? err : jtext_quote(str_from(eio_session_peer(session)), out);
    err = err ? err : buf_append(out, STR(",\"rooms\":["));
    err = err ? err : write_rooms(member, out);
    return err ? err
               : buf_printf(out, "],\"recovers\":%s}", member->has_session ? "true" : "false");
}

static bool visit_to_list(struct app_walk *of, struct app_member *member)
{
    struct question *question = question_of(of);
    if (!member->accepted || !is_user(member, question->user)) {
        return false;
    }
    struct buf *list = &question->text;
    size_t before = list->len;
    enum err err = question->full ? ERR_LIMIT : OK;
    err = err || question->count == 0 ? err : buf_append_char(list, ',');
    err = err ? err : write_connection(member, list);
    if (err) {
        list->len = before;
        question->full = true;
    }
    question->count++;
    return true;
}

static void answer_connections(struct app_walk *of)
{
    struct question *question = question_of(of);
    struct buf head = {0};
    if (!buf_printf(&head, ",\"count\":%llu,\"connections\":[",
                    (unsigned long long)question->count)) {
        const struct str pieces[] = {STR("{\"gateway\":\""),
                                     str_from(question->control->app->options->bus.gateway_id),
                                     STR("\""),
                                     buf_str(&head),
                                     buf_str(&question->text),
                                     STR("]}")};
        publish(question->control, str_from(question->asker), pieces, ARRAY_LEN(pieces));
    }
    buf_fini(&head);
    question_free(question);
}

static void user(const struct call *call)
{
    static const struct app_walk_ops ops = {visit_to_list, answer_connections};
    struct question *question = question_new(call, &ops);
    if (!question) {
        return;
    }
    buf_init(&question->text, ANSWER_MAX);
    if (read_user(call, question->user)) {
        refuse(question, "expected \"user\", a user id or an address");
        return;
    }
    walk(question);
}

/* --- revoked, unrevoked --- */

static bool visit_to_revoke(struct app_walk *of, struct app_member *member)
{
    struct question *question = question_of(of);
    bool concerned =
        str_eq(str_from(question->user), BUS_EVERYBODY) || is_user(member, question->user);
    bool gone = concerned && app_revocations_apply(&member->app->revocations, member);
    question->count += gone;
    return gone;
}

/* What Redis holds counts, not what the message says: it may have changed meanwhile. */
static bool note(struct question *question, const struct redisReply *reply)
{
    struct app_revocations *revocations = &question->control->app->revocations;
    uint64_t before;
    enum err err = bus_revocation_answer(reply, &before);
    err = err ? err : app_revocations_note(revocations, str_from(question->user), before);
    if (err == ERR_INVALID) {
        refuse(question, "what Redis holds for this user is neither seconds since 1970 nor -");
    } else if (err) {
        refuse(question, err == ERR_DENIED ? "Redis refuses to tell; the log has its words"
                                           : "out of memory; try again");
    }
    return !err;
}

static void on_revoked(void *context, const struct redisReply *reply)
{
    struct question *question = context;
    question->request = NULL;
    if (note(question, reply)) {
        walk(question);
    }
}

static void on_unrevoked(void *context, const struct redisReply *reply)
{
    struct question *question = context;
    question->request = NULL;
    if (note(question, reply)) {
        answer(question->control, str_from(question->asker), STR(""));
        question_free(question);
    }
}

static void ask_revocation(const struct call *call, bus_answer_fn done)
{
    static const struct app_walk_ops ops = {visit_to_revoke, answer_disconnected};
    struct question *question = question_new(call, &ops);
    if (!question) {
        return;
    }
    const struct app *app = call->control->app;
    strcpy(question->user, "*");
    if (has(call, "user") && read_user(call, question->user)) {
        refuse(question, "expected \"user\", a user id or an address, or none for everybody");
        return;
    }
    question->request =
        bus_revocation_ask(bus_subscriber_store(app->subscriber), &app->options->bus.keys,
                           str_from(question->user), done, question);
    if (!question->request) {
        refuse(question, "out of memory; try again");
    }
}

static void revoked(const struct call *call)
{
    ask_revocation(call, on_revoked);
}

static void unrevoked(const struct call *call)
{
    ask_revocation(call, on_unrevoked);
}

/* --- ping --- */

static void ping(const struct call *call)
{
    answer(call->control, call->asker, STR(""));
}

/* --- All of them --- */

static const struct verb {
    struct str name;
    void (*run)(const struct call *call);
} verbs[APP_CONTROL_VERBS] = {
    {{"disconnect", 10}, disconnect}, {{"members", 7}, members},     {{"user", 4}, user},
    {{"revoked", 7}, revoked},        {{"unrevoked", 9}, unrevoked}, {{"ping", 4}, ping},
};

/* It becomes part of a channel's name. */
static bool is_asker(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    c == '-' || c == '_';
        if (!good) {
            return false;
        }
    }
    return word.len > 0 && word.len <= ASKER_MAX;
}

/* The object and who asks. An escape in `answer` is no asker. */
static bool read_call(struct str payload, struct call *call)
{
    if (jtext_check(payload, ARGS_DEPTH_MAX)) {
        return false;
    }
    call->args = jtext_trim(payload);
    if (jtext_kind(call->args) != JTEXT_OBJECT) {
        return false;
    }
    struct str asker = jtext_member(call->args, STR("answer"));
    if (jtext_kind(asker) != JTEXT_STRING) {
        return false;
    }
    call->asker = str_range(asker.ptr + 1, asker.len - 2);
    return is_asker(call->asker);
}

static void on_message(void *owner, struct str payload)
{
    struct app_control_ear *ear = owner;
    struct app_control *control = ear->control;
    struct call call = {.control = control};
    if (!read_call(payload, &call)) {
        app_delivery_drop(&control->app->delivery, STR("control"),
                          "no JSON object whose \"answer\" is a word of A-Z a-z 0-9 - _");
        return;
    }
    control->asked++;
    verbs[ear - control->ears].run(&call);
}

void app_control_init(struct app_control *control, struct app *app)
{
    *control = (struct app_control){.app = app};
    list_init(&control->waiting);
    for (size_t i = 0; i < APP_CONTROL_VERBS; i++) {
        struct app_control_ear *ear = &control->ears[i];
        ear->control = control;
        ear->listener =
            (struct bus_listener){.event = verbs[i].name, .on_message = on_message, .owner = ear};
        bus_subscriber_listen(app->subscriber, &ear->listener);
    }
}

void app_control_fini(struct app_control *control)
{
    for (size_t i = 0; i < APP_CONTROL_VERBS; i++) {
        bus_subscriber_ignore(&control->ears[i].listener);
    }
    LIST_FOR_EACH (node, next, &control->waiting) {
        question_free(list_entry(node, struct question, node));
    }
}

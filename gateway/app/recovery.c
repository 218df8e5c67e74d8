#include "app/recovery.h"

#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "app/app.h"
#include "util/jtext.h"

enum { WAITS_MAX = 20 }; /* for probes; more are needed only where Redis' clock has gone back */

struct app_recovery {
    struct app_member *member;
    struct app_identity identity;
    struct app_recovery_request request;
    char sid[SIO_SID_LEN];
    uint64_t
        as_of; /* by Redis' clock: until then nothing was due to the client beyond its offset */
    unsigned joins; /* that have not ended, and one while they are begun */
    bool incomplete;
    struct bus_request *load;
    struct loop_task end; /* when the last room is entered, or there is no use in the others */
    struct list waiting;  /* of app->recoveries, from then on, until all that is due has come */
    unsigned waits;
    struct app_event **events;
    size_t count, capacity, bytes;
};

/* --- What the client says --- */

static struct str text_member(struct str auth, struct str key)
{
    struct str value = jtext_member(auth, key);
    return jtext_kind(value) == JTEXT_STRING ? str_range(value.ptr + 1, value.len - 2) : STR("");
}

bool app_recovery_read(struct str auth, struct app_recovery_request *ret_request)
{
    struct str pid = auth.len > 0 ? text_member(auth, STR("pid")) : STR("");
    struct str offset = auth.len > 0 ? text_member(auth, STR("offset")) : STR("");
    uint64_t id;
    if (pid.len != BUS_PID_LEN || str_to_u64(offset, &id)) {
        return false;
    }
    memcpy(ret_request->pid, pid.ptr, BUS_PID_LEN);
    ret_request->offset = id;
    return true;
}

/* --- Ends --- */

void app_recovery_free(struct app_recovery *recovery)
{
    if (!recovery) {
        return;
    }
    bus_store_cancel(recovery->load);
    loop_task_cancel(&recovery->end);
    list_remove(&recovery->waiting);
    while (recovery->count > 0) {
        app_event_unref(&recovery->events[--recovery->count]);
    }
    free(recovery->events);
    free(recovery);
}

/* The client is a new one: what it was, and was in, is forgotten. */
static void begin_anew(struct app_recovery *recovery, uint64_t *counter)
{
    struct app_member *member = recovery->member;
    struct app *app = member->app;
    struct sio_socket *socket = member->socket;
    struct app_identity identity = recovery->identity;
    ++*counter;
    app->stats.connected--; /* it is counted as the new one */
    app_member_end(member, false);
    app_welcome(app, socket, &identity, true);
}

static int by_id(const void *a, const void *b)
{
    const struct app_event *x = *(struct app_event *const *)a, *y = *(struct app_event *const *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Each once, though several of its rooms brought it. */
static void replay(struct app_recovery *recovery)
{
    struct app_member *member = recovery->member;
    if (recovery->count > 1) {
        qsort(recovery->events, recovery->count, sizeof(struct app_event *), by_id);
    }
    for (size_t i = 0; i < recovery->count; i++) {
        struct app_event *event = recovery->events[i];
        if (event->id <= member->last_id) {
            continue;
        }
        member->last_id = event->id; /* due to it, whether it can be sent or not */
        struct rcbuf *packet = app_event_packet(event, true);
        if (!packet || sio_socket_send(member->socket, packet)) {
            eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
            return;
        }
        member->app->delivery.stats.deliveries++;
    }
}

/*
 * CONNECT's answer goes first: what comes before it clients keep, without noting its id, so that a
 * second loss of the connection would have them see it twice.
 */
static void accept(struct app_recovery *recovery)
{
    struct app_member *member = recovery->member;
    struct app *app = member->app;
    struct str pid = str_range(recovery->request.pid, BUS_PID_LEN);
    struct app_session *present = app_sessions_find(&app->sessions, pid);
    if (present) {
        app_session_take(present);
    }
    enum err err = app_session_begin(member, pid);
    member->transit->recovery = NULL;
    app_member_tidy(member);
    member->accepted = true;
    member->last_id = recovery->request.offset;
    if (err ||
        sio_socket_accept_again(member->socket, str_range(recovery->sid, SIO_SID_LEN), pid)) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else {
        app->recovery.recovered++;
        replay(recovery);
        app_promise_greeting(member);
    }
    app_recovery_free(recovery);
}

static uint64_t newest(const struct app_recovery *recovery)
{
    uint64_t id = 0;
    for (size_t i = 0; i < recovery->count; i++) {
        id = recovery->events[i]->id > id ? recovery->events[i]->id : id;
    }
    return id;
}

/*
 * A log may hold what has not come on the subscription yet, and what is older may be on its way
 * there, for another of the client's rooms: it has to come first.
 */
static bool all_has_come(const struct app_recovery *recovery)
{
    return newest(recovery) <= bus_subscriber_passed(recovery->member->app->subscriber, 0).id;
}

static void wait_for_the_rest(struct app_recovery *recovery)
{
    struct app *app = recovery->member->app;
    bool first = list_empty(&app->recoveries);
    list_push_back(&app->recoveries, &recovery->waiting);
    if (first) {
        bus_subscriber_probe(app->subscriber);
    }
}

void app_recovery_passed(struct app *app)
{
    for (struct list *node; (node = list_pop_front(&app->recoveries));) {
        loop_defer(app->loop, &list_entry(node, struct app_recovery, waiting)->end);
    }
}

static void on_end(struct loop_task *task)
{
    struct app_recovery *recovery = container_of(task, struct app_recovery, end);
    if (recovery->incomplete || recovery->waits == WAITS_MAX) {
        begin_anew(recovery, &recovery->member->app->recovery.gone);
    } else if (!recovery->member->permitted) {
        return; /* app_recovery_permitted follows */
    } else if (all_has_come(recovery)) {
        accept(recovery);
    } else if (!list_linked(&recovery->waiting)) {
        recovery->waits++;
        wait_for_the_rest(recovery);
    }
}

static bool all_joined(const struct app_recovery *recovery)
{
    return !recovery->load && recovery->joins == 0;
}

void app_recovery_permitted(struct app_member *member)
{
    struct app_recovery *recovery = app_member_recovery(member);
    if (all_joined(recovery)) {
        loop_defer(member->app->loop, &recovery->end);
    }
}

/* --- What was missed --- */

static enum err grow(struct app_recovery *recovery)
{
    size_t capacity = recovery->capacity ? 2 * recovery->capacity : 16;
    struct app_event **events = realloc(recovery->events, capacity * sizeof(struct app_event *));
    if (!events) {
        return ERR_NOMEM;
    }
    recovery->events = events;
    recovery->capacity = capacity;
    return OK;
}

static void hold(struct app_recovery *recovery, struct app_event *event)
{
    size_t bytes = event->payload_len + RCBUF_OVERHEAD;
    bool room = recovery->bytes + bytes <= recovery->member->app->options->recovery_bytes;
    if (event->id == 0 || recovery->incomplete) {
        return; /* outside the logs: for those who are there */
    }
    if (!room || (recovery->count == recovery->capacity && grow(recovery))) {
        recovery->incomplete = true;
        return;
    }
    recovery->events[recovery->count++] = app_event_ref(event);
    recovery->bytes += bytes;
}

void app_recovery_hold(struct app_member *member, struct app_event *event)
{
    hold(app_member_recovery(member), event);
}

static void collect(struct app_recovery *recovery, const struct app_join *join)
{
    const struct app_recent_entry *entry = app_recent_past(join->room, join->past.position.since);
    for (; entry; entry = app_recent_next(entry)) {
        hold(recovery, entry->event);
    }
}

static void one_less_to_join(struct app_recovery *recovery)
{
    if (--recovery->joins == 0 || recovery->incomplete) {
        loop_defer(recovery->member->app->loop, &recovery->end);
    }
}

void app_recovery_joined(struct app_member *member, const struct app_join *join, bool entered)
{
    struct app_recovery *recovery = app_member_recovery(member);
    if (entered && join->past.complete) {
        collect(recovery, join);
    } else {
        recovery->incomplete = true;
    }
    one_less_to_join(recovery);
}

/* --- Rooms --- */

/* What the client has of a room, and until when it missed nothing. */
static struct bus_log_position position_in(const struct app_recovery *recovery, uint64_t entered)
{
    uint64_t offset = recovery->request.offset;
    return (struct bus_log_position){entered > offset ? entered : offset, recovery->as_of};
}

static enum err join(struct app_recovery *recovery, const struct room_name *name,
                     const struct bus_session_room *room)
{
    struct app_member *member = recovery->member;
    const struct app_join wanted = {.member = member,
                                    .automatic = true,
                                    .visible = room->visible,
                                    .wants_past = true,
                                    .entered = room->since,
                                    .past = {.position = position_in(recovery, room->since)}};
    return app_join_begin(&member->app->joins, name, &wanted);
}

/* Some rooms are entered at once: one more than there are keeps the end back until all have begun.
 */
static void join_all(struct app_recovery *recovery, struct bus_session session)
{
    struct bus_session_room room;
    struct room_name name;
    recovery->joins++;
    while (!recovery->incomplete && bus_session_next(&session, &room)) {
        recovery->joins++;
        if (!app_member_may_enter(recovery->member, room.name, &name) ||
            join(recovery, &name, &room)) {
            recovery->joins--;
            recovery->incomplete = true;
        }
    }
    one_less_to_join(recovery);
}

/* --- The session --- */

static bool same_user(const struct app_member *member, const struct bus_session *session)
{
    return str_eq(session->sub, app_member_sub(member)) &&
           str_eq(session->address, app_member_address(member));
}

/* Without memory it stays until it times out. */
static void tell_other(struct app *app, struct str gateway, struct str pid)
{
    struct buf channel = {0};
    if (!bus_gateway_channel(&app->options->bus.keys, gateway, &channel)) {
        bus_control_send(bus_subscriber_store(app->subscriber), buf_str(&channel), STR("close"),
                         &pid, 1, NULL, NULL);
    }
    buf_fini(&channel);
}

/* The connection of before may still be there, half dead. */
static void close_other(struct app_recovery *recovery, struct str gateway)
{
    struct app *app = recovery->member->app;
    struct str pid = str_range(recovery->request.pid, BUS_PID_LEN);
    struct app_session *present = app_sessions_find(&app->sessions, pid);
    if (present) {
        app_session_take(present);
    } else if (!str_eq(gateway, str_from(app->options->bus.gateway_id))) {
        tell_other(app, gateway, pid);
    }
}

static bool usable(const struct app_recovery *recovery, struct str text,
                   struct bus_session *ret_session)
{
    struct app *app = recovery->member->app;
    return !bus_session_parse(text, ret_session) && ret_session->sid.len == SIO_SID_LEN &&
           str_eq(ret_session->epoch, bus_subscriber_epoch(app->subscriber)) &&
           same_user(recovery->member, ret_session);
}

static void on_loaded(void *context, const struct redisReply *reply)
{
    struct app_recovery *recovery = context;
    struct bus_session session;
    recovery->load = NULL;
    if (!usable(recovery, bus_session_loaded(reply), &session)) {
        begin_anew(recovery, &recovery->member->app->recovery.unknown);
        return;
    }
    memcpy(recovery->sid, session.sid.ptr, SIO_SID_LEN);
    recovery->as_of = recovery->request.offset >= session.last_id ? session.as_of : 0;
    close_other(recovery, session.gateway);
    join_all(recovery, session);
}

void app_recovery_begin(struct app *app, struct sio_socket *socket,
                        const struct app_identity *identity,
                        const struct app_recovery_request *request)
{
    struct app_recovery *recovery = calloc(1, sizeof *recovery);
    struct app_member *member = recovery ? app_member_begin(app, socket, identity, true) : NULL;
    if (!member || app_member_need_transit(member)) {
        free(recovery);
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
        return;
    }
    recovery->member = member;
    recovery->identity = *identity;
    recovery->request = *request;
    loop_task_init(&recovery->end, on_end);
    list_init(&recovery->waiting);
    member->transit->recovery = recovery;
    recovery->load =
        bus_session_load(bus_subscriber_store(app->subscriber), &app->options->bus.keys,
                         str_range(request->pid, BUS_PID_LEN), on_loaded, recovery);
    if (recovery->load) {
        app_permit_ask(member);
    } else {
        eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
    }
}

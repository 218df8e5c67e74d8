#include "app/move.h"

#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "app/app.h"

enum { LOOK_MS = 20, PLACES_MAX = 1024 };

/* Up to here all of a partition's events have been handed on, or have come. */
struct place {
    unsigned partition;
    uint64_t id;
};

struct held {
    struct app_event *event;
    unsigned partition;
};

enum stage {
    LEAVES,
    ARRIVES,
    CATCHES_UP, /* it has arrived, and what it had there may still come here */
};

struct app_move {
    struct app_member *member;
    enum stage stage;
    struct wheel_timer look; /* there: until nothing is under way */
    struct list asked;       /* of app->moves, until `places` are passed */
    struct place *places;
    size_t place_count;
    unsigned joins; /* here: that have not ended, and one while they are begun */
    char pid[BUS_PID_LEN];
    bool has_pid;
    bool was_told;     /* that its token ends soon */
    struct held *held; /* here, in the order of coming */
    size_t held_count, held_capacity, held_bytes;
};

static void on_look(struct wheel_timer *timer);

static struct app_move *move_new(struct app_member *member, enum stage stage)
{
    struct app_move *move = app_member_need_transit(member) ? NULL : calloc(1, sizeof *move);
    if (move) {
        move->member = member;
        move->stage = stage;
        list_init(&move->asked);
        wheel_timer_init(&move->look, on_look);
        member->transit->move = move;
    }
    return move;
}

static void drop_held(struct app_move *move)
{
    while (move->held_count > 0) {
        app_event_unref(&move->held[--move->held_count].event);
    }
    free(move->held);
    move->held = NULL;
}

void app_move_free(struct app_move *move)
{
    if (!move) {
        return;
    }
    loop_timer_cancel(move->member->app->loop, &move->look);
    list_remove(&move->asked);
    drop_held(move);
    free(move->places);
    free(move);
}

/* The client comes back by itself, and recovers where it can. */
static void fail(struct sio_socket *socket)
{
    eio_session_close(sio_socket_session(socket), EIO_CLOSE_SERVER);
}

static unsigned partition_of(const struct app *app, const struct app_room *room)
{
    return bus_partition(&app->options->bus.keys, app_room_name(room));
}

/* --- Places --- */

static struct place *find_place(const struct app_move *move, unsigned partition)
{
    for (size_t i = 0; i < move->place_count; i++) {
        if (move->places[i].partition == partition) {
            return &move->places[i];
        }
    }
    return NULL;
}

static enum err write_places(const struct app_move *move, struct buf *out)
{
    enum err err = OK;
    for (size_t i = 0; i < move->place_count && !err; i++) {
        err = buf_printf(out, "%u %llu\n", move->places[i].partition,
                         (unsigned long long)move->places[i].id);
    }
    return err;
}

static enum err add_place(struct app_move *move, unsigned partition, uint64_t id)
{
    struct place *grown = move->place_count < PLACES_MAX
                              ? realloc(move->places, (move->place_count + 1) * sizeof *grown)
                              : NULL;
    if (!grown) {
        return ERR_NOMEM;
    }
    grown[move->place_count++] = (struct place){partition, id};
    move->places = grown;
    return OK;
}

static enum err read_places(struct app_move *move, struct str text)
{
    unsigned partitions = move->member->app->options->bus.keys.partitions;
    struct str line, word;
    move->place_count = 0;
    while (text.len > 0 && str_split(&text, '\n', &line)) {
        uint64_t partition, id;
        if (!str_split(&line, ' ', &word) || str_to_u64(word, &partition) ||
            str_to_u64(line, &id) || partition >= partitions) {
            return ERR_PROTO;
        }
        enum err err = add_place(move, (unsigned)partition, id);
        if (err) {
            return err;
        }
    }
    return OK;
}

/* --- There: the state --- */

static bool is_quiet(struct app_member *member)
{
    const struct app_transit *transit = member->transit;
    return member->accepted && member->automatic == 0 &&
           !(transit && (transit->recovery || transit->keeping || !list_empty(&transit->joins)));
}

static enum err write_state(struct app_member *member, struct buf *out)
{
    struct str pid = member->has_session ? app_session_pid(member->session) : STR("-");
    struct str epoch = bus_subscriber_epoch(member->app->subscriber);
    bool was_told = member->warn_ms == 0;
    enum err err = buf_printf(out, STR_FMT " %u %d %u %llu %lld\n", STR_ARG(pid), member->expires_s,
                              was_told, member->issued_s, (unsigned long long)member->token_id,
                              (long long)member->connected_ms);
    return err ? err : app_session_describe(member, epoch, out);
}

static void pack(struct app_member *member)
{
    struct buf state = {0};
    if (write_state(member, &state)) {
        fail(member->socket);
    } else {
        sio_socket_hand(member->socket, buf_str(&state));
    }
    buf_fini(&state);
}

static void pack_when_quiet(struct app_move *move)
{
    if (is_quiet(move->member)) {
        pack(move->member);
    } else {
        loop_timer_set(move->member->app->loop, &move->look, LOOK_MS);
    }
}

static void on_look(struct wheel_timer *timer)
{
    pack_when_quiet(container_of(timer, struct app_move, look));
}

void app_move_begin(struct sio_socket *socket)
{
    struct app_member *member = sio_socket_user(socket);
    struct app_move *move = member && !app_member_move(member) ? move_new(member, LEAVES) : NULL;
    if (!move) {
        fail(socket);
        return;
    }
    pack_when_quiet(move);
}

/* --- There: the rest --- */

/* An id is no earlier than its event; where none was given yet, places are times. */
static bool has_passed(const struct bus_subscriber *subscriber, const struct place *place)
{
    struct bus_place passed = bus_subscriber_passed(subscriber, place->partition);
    return passed.id >= place->id || passed.time > place->id;
}

static bool all_passed(const struct app_move *move)
{
    for (size_t i = 0; i < move->place_count; i++) {
        if (!has_passed(move->member->app->subscriber, &move->places[i])) {
            return false;
        }
    }
    return true;
}

/* The others ask no more of it than what lies behind these places. */
static enum err write_rest(struct app_move *move, struct buf *out)
{
    const struct app_member *member = move->member;
    for (size_t i = 0; i < move->place_count; i++) {
        struct place *place = &move->places[i];
        place->id = bus_subscriber_passed(member->app->subscriber, place->partition).id;
    }
    enum err err = buf_printf(out, "%llu\n", (unsigned long long)member->last_id);
    return err ? err : write_places(move, out);
}

static void hand_over(struct app_move *move)
{
    struct sio_socket *socket = move->member->socket;
    struct buf rest = {0};
    if (write_rest(move, &rest)) {
        fail(socket);
    } else {
        sio_socket_hand(socket, buf_str(&rest));
    }
    buf_fini(&rest);
}

static void end(struct app_move *move)
{
    struct app_member *member = move->member;
    member->transit->move = NULL;
    app_member_tidy(member);
    app_move_free(move);
}

/*
 * Called where a probe came back: no event is half handed on, for the messages of one come
 * together. (In between, what is passed may be an event that came for one of its rooms and not yet
 * for the other.)
 */
void app_move_passed(struct app *app)
{
    LIST_FOR_EACH (node, next, &app->moves) {
        struct app_move *move = list_entry(node, struct app_move, asked);
        if (!all_passed(move)) {
            continue;
        }
        list_remove(node);
        if (move->stage == LEAVES) {
            hand_over(move);
        } else {
            end(move);
        }
    }
}

void app_move_ask(struct sio_socket *socket, struct str place)
{
    struct app_member *member = sio_socket_user(socket);
    struct app_move *move = member ? app_member_move(member) : NULL;
    if (!move || move->stage != LEAVES || list_linked(&move->asked) || read_places(move, place)) {
        fail(socket);
        return;
    }
    list_push_back(&member->app->moves, &move->asked);
    bus_subscriber_probe(member->app->subscriber);
}

/* --- Here: rooms --- */

static struct place *place_for(struct app_move *move, unsigned partition)
{
    struct place *place = find_place(move, partition);
    if (place || add_place(move, partition, 0)) {
        return place;
    }
    return find_place(move, partition);
}

/* Of each partition, the last of the places at which its rooms were entered. */
static enum err note_places(struct app_move *move)
{
    struct app_member *member = move->member;
    move->place_count = 0;
    for (unsigned i = 0; i < member->count; i++) {
        const struct app_room *room = app_member_memberships(member)[i].room;
        struct place *place = place_for(move, partition_of(member->app, room));
        if (!place) {
            return ERR_NOMEM;
        }
        place->id = room->channel.last_id > place->id ? room->channel.last_id : place->id;
    }
    return OK;
}

static void tell_place(struct app_move *move)
{
    struct buf place = {0};
    if (note_places(move) || write_places(move, &place)) {
        fail(move->member->socket);
    } else {
        sio_socket_hand(move->member->socket, buf_str(&place));
    }
    buf_fini(&place);
}

void app_move_joined(struct app_member *member, bool entered)
{
    struct app_move *move = app_member_move(member);
    if (!entered) {
        fail(member->socket);
    } else if (--move->joins == 0) {
        tell_place(move);
    }
}

bool app_move_is_arriving(const struct app_member *member)
{
    const struct app_move *move = app_member_move(member);
    return move && move->stage == ARRIVES;
}

bool app_move_brought(const struct app_member *member, const struct app_room *room,
                      const struct app_event *event)
{
    const struct app_move *move = app_member_move(member);
    if (!move || move->stage != CATCHES_UP || event->id == 0) {
        return false;
    }
    const struct place *place = find_place(move, partition_of(member->app, room));
    return place && event->id <= place->id;
}

static enum err grow(struct app_move *move)
{
    size_t capacity = move->held_capacity ? 2 * move->held_capacity : 16;
    struct held *held = realloc(move->held, capacity * sizeof *held);
    if (!held) {
        return ERR_NOMEM;
    }
    move->held = held;
    move->held_capacity = capacity;
    return OK;
}

/* What is outside the logs goes to those who are there. */
void app_move_hold(struct app_member *member, const struct app_room *room, struct app_event *event)
{
    struct app_move *move = app_member_move(member);
    size_t bytes = event->payload_len + RCBUF_OVERHEAD;
    if (event->id == 0) {
        return;
    }
    if (move->held_bytes + bytes > member->app->options->recovery_bytes ||
        (move->held_count == move->held_capacity && grow(move))) {
        fail(member->socket);
        return;
    }
    move->held[move->held_count++] =
        (struct held){app_event_ref(event), partition_of(member->app, room)};
    move->held_bytes += bytes;
}

static enum err join(struct app_member *member, const struct bus_session_room *room)
{
    struct room_name name;
    if (!app_member_may_enter(member, room->name, &name)) {
        return ERR_DENIED;
    }
    const struct app_join wanted = {
        .member = member, .automatic = true, .visible = room->visible, .entered = room->since};
    return app_join_begin(&member->app->joins, &name, &wanted);
}

/* Some are entered at once: one more than there are keeps the end back until all have begun. */
static enum err join_all(struct app_move *move, struct bus_session session)
{
    struct bus_session_room room;
    enum err err = OK;
    move->joins = 1;
    while (!err && bus_session_next(&session, &room)) {
        move->joins++;
        err = join(move->member, &room);
    }
    if (!err) {
        app_move_joined(move->member, true);
    }
    return err;
}

/* --- Here: who it is --- */

struct arrival {
    struct str pid; /* empty: it can't recover */
    uint64_t expires_s, was_told, issued_s, token_id, connected_ms;
    struct bus_session session;
};

static enum err read_identity(const struct arrival *arrival, struct app_identity *identity)
{
    const struct bus_session *session = &arrival->session;
    *identity = (struct app_identity){.expires_s = (int64_t)arrival->expires_s,
                                      .issued_s = (uint32_t)arrival->issued_s,
                                      .token_id = arrival->token_id};
    enum err err = room_name_make(ROOM_USER, session->sub, &identity->sub_room);
    if (!err && session->address.len > 0) {
        err = room_name_make(ROOM_USER, session->address, &identity->address_room);
    }
    return err;
}

static enum err read_state(struct str state, struct arrival *arrival)
{
    uint64_t *const numbers[] = {&arrival->expires_s, &arrival->was_told, &arrival->issued_s,
                                 &arrival->token_id, &arrival->connected_ms};
    struct str line, word;
    if (!str_split(&state, '\n', &line) || !state.ptr || !str_split(&line, ' ', &arrival->pid)) {
        return ERR_PROTO;
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!str_split(&line, ' ', &word) || str_to_u64(word, numbers[i])) {
            return ERR_PROTO;
        }
    }
    if (str_eq(arrival->pid, STR("-"))) {
        arrival->pid = STR("");
    } else if (arrival->pid.len != BUS_PID_LEN) {
        return ERR_PROTO;
    }
    return bus_session_parse(state, &arrival->session);
}

/* Ids of events mean the same here. */
static bool same_epoch(const struct app *app, const struct bus_session *session)
{
    return session->epoch.len > 0 && str_eq(session->epoch, bus_subscriber_epoch(app->subscriber));
}

void app_move_arrive(void *owner, struct sio_socket *socket, struct str state)
{
    struct app *app = owner;
    struct arrival arrival;
    struct app_identity identity;
    struct app_member *member = NULL;
    if (!read_state(state, &arrival) && same_epoch(app, &arrival.session) &&
        !read_identity(&arrival, &identity)) {
        member = app_member_begin(app, socket, &identity, arrival.pid.len > 0);
    }
    struct app_move *move = member ? move_new(member, ARRIVES) : NULL;
    if (!move) {
        fail(socket);
        return;
    }
    app->stats.connected--; /* it was counted there */
    move->has_pid = arrival.pid.len > 0;
    move->was_told = arrival.was_told > 0;
    member->accepted = member->permitted = true;
    member->connected_ms = (int64_t)arrival.connected_ms;
    memcpy(move->pid, arrival.pid.ptr, arrival.pid.len);
    if (app_revocations_apply(&app->revocations, member)) {
        return; /* it was told */
    }
    if (app_permit_adopt(member) || join_all(move, arrival.session)) {
        fail(socket);
    }
}

/* --- Here: from the place on --- */

static enum err read_rest(struct app_move *move, struct str rest)
{
    struct str line;
    if (!str_split(&rest, '\n', &line) || !rest.ptr || str_to_u64(line, &move->member->last_id)) {
        return ERR_PROTO;
    }
    return read_places(move, rest);
}

/* Within one partition there is one order, and an event of several rooms has come for each. */
static bool is_due(const struct app_move *move, const struct held *held)
{
    const struct app_member *member = move->member;
    const struct place *place = find_place(move, held->partition);
    bool one = member->app->options->bus.keys.partitions == 1;
    return place && held->event->id > place->id && !(one && held->event->id <= member->last_id);
}

static void deliver_held(struct app_move *move)
{
    for (size_t i = 0; i < move->held_count; i++) {
        if (is_due(move, &move->held[i])) {
            app_delivery_to(move->member, move->held[i].event);
        }
    }
}

/* As recovery does: another connection of that pid is half dead. */
static enum err give_session(struct app_move *move)
{
    struct app_sessions *sessions = &move->member->app->sessions;
    struct str pid = str_range(move->pid, BUS_PID_LEN);
    if (!move->has_pid) {
        return OK;
    }
    struct app_session *present = app_sessions_find(sessions, pid);
    if (present) {
        app_session_take(present);
    }
    return app_session_begin(move->member, pid);
}

/*
 * This gateway may be behind that one. Within one partition the id of the last event tells what the
 * member has (app/delivery.c), and there is nothing to be remembered.
 */
static void catch_up(struct app_move *move)
{
    struct app *app = move->member->app;
    if (app->options->bus.keys.partitions == 1 || all_passed(move)) {
        end(move);
        return;
    }
    drop_held(move);
    list_push_back(&app->moves, &move->asked);
    bus_subscriber_probe(app->subscriber);
}

void app_move_arrived(struct sio_socket *socket, struct str rest)
{
    struct app_member *member = sio_socket_user(socket);
    struct app_move *move = member ? app_member_move(member) : NULL;
    if (!move || move->stage != ARRIVES || read_rest(move, rest) || give_session(move)) {
        fail(socket);
        return;
    }
    move->stage = CATCHES_UP;
    deliver_held(move);
    if (!move->was_told) {
        app_expiry_announce(&member->app->expiry, member);
    }
    if (member->has_session) {
        app_session_keep(member->session, NULL);
    }
    catch_up(move);
}

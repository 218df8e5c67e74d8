#include "app/delivery.h"

#include "app/app.h"
#include "app/member.h"
#include "app/move.h"
#include "app/recovery.h"
#include "socketio/server.h"
#include "util/clock.h"

enum { DROPS_LOGGED_A_SECOND = 5 };

void app_delivery_init(struct app_delivery *delivery, const struct app_rooms *rooms,
                       struct app_recent *recent, unsigned partitions)
{
    *delivery = (struct app_delivery){.rooms = rooms, .recent = recent, .partitions = partitions};
}

void app_delivery_fini(struct app_delivery *delivery)
{
    while (delivery->count > 0) {
        app_event_unref(&delivery->events[--delivery->count]);
    }
    app_event_unref(&delivery->event);
}

void app_delivery_drop(struct app_delivery *delivery, struct str channel, const char *why)
{
    uint32_t suppressed;
    delivery->stats.dropped++;
    if (log_limit_allows(&delivery->drop_log, DROPS_LOGGED_A_SECOND, &suppressed)) {
        log_warn("message dropped", LOG_STR("channel", channel), LOG_CSTR("why", why),
                 LOG_U64("suppressed", suppressed));
    }
}

/* Whether the id is the event's own: partitions count each for itself. */
static bool has_order(const struct app_delivery *delivery, const struct bus_envelope *envelope)
{
    return envelope->id != 0 && delivery->partitions == 1;
}

void app_delivery_cut_off(struct app_room *room)
{
    struct app_member *const *members = app_room_members(room);
    for (uint32_t i = 0; i < room->count; i++) {
        members[i]->app->stats.cut_off++;
        members[i]->last_id = UINT64_MAX; /* no time proves any more that it has all before */
        eio_session_close(sio_socket_session(members[i]->socket), EIO_CLOSE_SERVER);
    }
}

/* What members rely on is not passed on to them: as if it had been missing. */
static void lose(struct app_delivery *delivery, struct app_room *room, uint64_t id)
{
    app_delivery_flush(delivery);
    app_recent_clear(delivery->recent, room, id);
    app_delivery_cut_off(room);
}

/* The event that the message carries; borrowed. NULL: it was dropped. */
static struct app_event *take_event(struct app_delivery *delivery, struct app_room *room,
                                    const struct bus_envelope *envelope)
{
    if (has_order(delivery, envelope) && delivery->event && delivery->event->id == envelope->id) {
        return delivery->event;
    }
    struct app_event *event;
    const char *why;
    enum err err = app_event_new(envelope, &event, &why);
    if (err == ERR_NOMEM && envelope->id != 0) {
        lose(delivery, room, envelope->id);
    }
    if (err) {
        app_delivery_drop(delivery, app_room_name(room), why);
        return NULL;
    }
    app_event_unref(&delivery->event);
    delivery->event = event;
    return event;
}

/*
 * Which of the event's rooms come before this one, of those that somebody here is in. One that is
 * not live, since Redis came back a moment ago, brought its members nothing.
 */
static unsigned earlier_rooms(const struct app_delivery *delivery, const struct app_room *room,
                              const struct bus_envelope *envelope,
                              const struct app_room *earlier[BUS_ENVELOPE_ROOMS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < envelope->room_count; i++) {
        if (str_eq(envelope->rooms[i], app_room_name(room))) {
            break;
        }
        const struct app_room *other = app_rooms_find(delivery->rooms, envelope->rooms[i]);
        if (other && !other->is_idle && app_room_is_live(other)) {
            earlier[count++] = other;
        }
    }
    return count;
}

static bool in_any(struct app_member *member, const struct app_room *const *rooms, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (app_member_in(member, rooms[i])) {
            return true;
        }
    }
    return false;
}

void app_delivery_to(struct app_member *member, struct app_event *event)
{
    if (event->id != 0) {
        member->last_id = event->id; /* due to it, whether it can be sent or not */
    }
    struct rcbuf *packet = app_event_packet(event, member->has_session);
    if (!packet) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
        return;
    }
    /* A member that can't take it any more is closing, which is reported where it is closed. */
    if (!sio_socket_send(member->socket, packet)) {
        member->app->delivery.stats.deliveries++;
    }
}

static void deliver(struct app_member *member, const struct app_room *room, struct app_event *event)
{
    if (app_member_recovery(member)) {
        app_recovery_hold(member, event);
    } else if (app_move_is_arriving(member)) {
        app_move_hold(member, room, event);
    } else if (!app_move_brought(member, room, event)) {
        app_delivery_to(member, event);
    }
}

/* An id says when it was given, in microseconds. */
static void note_lag(struct app_delivery *delivery, uint64_t id)
{
    int64_t now_ms = clock_wall_ms(), then_ms = (int64_t)(id / 1000);
    delivery->stats.lag_ms = now_ms > then_ms ? (uint64_t)(now_ms - then_ms) : 0;
    delivery->stats.lag_at_ms = now_ms;
}

/* --- Gathering, and giving --- */

/* The gathered events in one of the two forms. */
struct form {
    struct rcbuf *packets[APP_DELIVERY_EVENTS];
    struct eio_batch batch; /* count 0: nobody wanted it yet, or there was no memory */
};

static struct eio_batch *batch_of(const struct app_delivery *delivery, struct form *form,
                                  bool with_id)
{
    for (size_t i = 0; i < delivery->count && form->batch.count == 0; i++) {
        form->packets[i] = app_event_packet(delivery->events[i], with_id);
        if (!form->packets[i]) {
            return NULL;
        }
    }
    form->batch.packets = form->packets;
    form->batch.count = delivery->count;
    return &form->batch;
}

static bool has(const struct app_delivery *delivery, const struct app_member *member,
                const struct app_event *event)
{
    return delivery->by_id && member->last_id >= event->id;
}

/* No event has to be looked at by itself. */
static bool takes_all(const struct app_delivery *delivery, const struct app_member *member)
{
    return !has(delivery, member, delivery->events[0]) && !app_member_recovery(member) &&
           !app_member_move(member);
}

static void give_all(struct app_delivery *delivery, struct app_member *member, struct form *form)
{
    struct eio_batch *batch = batch_of(delivery, form, member->has_session);
    uint64_t last = delivery->events[delivery->count - 1]->id;
    member->last_id = last > 0 ? last : member->last_id; /* due to it, sent or not */
    if (!batch) {
        eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
    } else if (!sio_socket_send_batch(member->socket, batch)) {
        delivery->stats.deliveries += batch->count;
    }
}

static void give_missing(struct app_delivery *delivery, struct app_member *member)
{
    for (size_t i = 0; i < delivery->count; i++) {
        if (!has(delivery, member, delivery->events[i])) {
            deliver(member, delivery->room, delivery->events[i]);
        }
    }
}

/*
 * In a large room each member is far away in memory, and one thing leads to the next: those to come
 * are fetched step by step meanwhile.
 */
static void look_ahead(struct app_member *const *members, uint32_t count, uint32_t at)
{
    enum { STEP = 4 };
    if (at + 4 * STEP < count) {
        __builtin_prefetch(&members[at + 4 * STEP]->last_id);
        __builtin_prefetch(&members[at + 4 * STEP]->sub_len); /* and the flags beside it */
    }
    if (at + 3 * STEP < count) {
        __builtin_prefetch(members[at + 3 * STEP]->socket);
    }
    if (at + 2 * STEP < count) {
        eio_session_fetch(sio_socket_session(members[at + 2 * STEP]->socket));
    }
    if (at + STEP < count) {
        eio_session_fetch_conn(sio_socket_session(members[at + STEP]->socket));
    }
}

void app_delivery_flush(struct app_delivery *delivery)
{
    struct form plain, with_id; /* their packets are made when they are wanted */
    plain.batch = with_id.batch = (struct eio_batch){0};
    uint32_t count = delivery->count > 0 ? delivery->room->count : 0;
    struct app_member *const *members = count > 0 ? app_room_members(delivery->room) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct app_member *member = members[i];
        look_ahead(members, count, i);
        if (takes_all(delivery, member)) {
            give_all(delivery, member, member->has_session ? &with_id : &plain);
        } else {
            give_missing(delivery, member);
        }
    }
    eio_batch_fini(&plain.batch);
    eio_batch_fini(&with_id.batch);
    while (delivery->count > 0) {
        app_event_unref(&delivery->events[--delivery->count]);
    }
    delivery->bytes = 0;
}

static void gather(struct app_delivery *delivery, struct app_room *room, struct app_event *event,
                   bool by_id)
{
    bool fits = delivery->count < APP_DELIVERY_EVENTS &&
                delivery->bytes + event->payload_len <= APP_DELIVERY_BYTES;
    if (!fits || delivery->room != room || delivery->by_id != by_id) {
        app_delivery_flush(delivery);
    }
    delivery->room = room;
    delivery->by_id = by_id;
    delivery->events[delivery->count++] = app_event_ref(event);
    delivery->bytes += event->payload_len;
}

/* To those who are in none of the rooms that came before. */
static void deliver_to_others(struct app_room *room, struct app_event *event,
                              const struct app_room *const *earlier, unsigned earlier_count)
{
    struct app_member *const *members = app_room_members(room);
    for (uint32_t i = 0; i < room->count; i++) {
        if (!in_any(members[i], earlier, earlier_count)) {
            deliver(members[i], room, event);
        }
    }
}

/*
 * A member in several rooms of an event gets it from the first that it is in. Within one partition
 * the rooms' messages carry one id and come one behind the other, so the last id delivered to a
 * member tells, also where it entered or left one of the rooms between the two. Ids of different
 * partitions, and messages without an id, have nothing in common but the list of rooms.
 */
void app_delivery_message(struct app_delivery *delivery, struct app_room *room,
                          const struct bus_envelope *envelope)
{
    struct app_event *event = take_event(delivery, room, envelope);
    if (!event) {
        return;
    }
    delivery->stats.messages++;
    if (event->id != 0) {
        note_lag(delivery, event->id);
        app_recent_add(delivery->recent, room, event);
    }
    bool by_id = has_order(delivery, envelope);
    const struct app_room *earlier[BUS_ENVELOPE_ROOMS_MAX];
    unsigned earlier_count = by_id ? 0 : earlier_rooms(delivery, room, envelope, earlier);
    if (earlier_count == 0) {
        gather(delivery, room, event, by_id);
    } else {
        app_delivery_flush(delivery);
        deliver_to_others(room, event, earlier, earlier_count);
    }
}

#include "app/rooms.h"

#include <stdlib.h>
#include <string.h>

/* Of a room that has had several members; it keeps them until it is idle. */
struct app_places {
    uint32_t capacity;
    struct app_member *at[];
};

struct app_room *app_room_of_channel(struct bus_channel *channel)
{
    return container_of(channel, struct app_room, channel);
}

struct str app_room_name(const struct app_room *room)
{
    return bus_channel_room_name(&room->channel);
}

bool app_room_is_live(const struct app_room *room)
{
    return room->channel.state == BUS_CHANNEL_LIVE;
}

static void destroy(struct app_rooms *rooms, struct app_room *room)
{
    list_remove(&room->idle);
    rooms->idle_count--;
    if (rooms->on_drop) {
        rooms->on_drop(rooms->owner, room);
    }
    bus_subscriber_drop(rooms->subscriber, &room->channel);
    free(room);
}

static void sweep_idle(struct wheel_timer *timer)
{
    struct app_rooms *rooms = container_of(timer, struct app_rooms, sweep);
    uint64_t now = loop_now(rooms->loop);
    LIST_FOR_EACH (node, next, &rooms->idle) {
        struct app_room *room = list_entry(node, struct app_room, idle);
        uint32_t idle_ms = (uint32_t)now - room->idle_since_ms;
        if (idle_ms < rooms->linger_ms) {
            loop_timer_set(rooms->loop, timer, rooms->linger_ms - idle_ms);
            return;
        }
        destroy(rooms, room);
    }
}

void app_rooms_init(struct app_rooms *rooms, struct loop *loop, struct bus_subscriber *subscriber,
                    uint64_t linger_ms, size_t max_idle)
{
    *rooms = (struct app_rooms){
        .loop = loop, .subscriber = subscriber, .linger_ms = linger_ms, .max_idle = max_idle};
    list_init(&rooms->idle);
    wheel_timer_init(&rooms->sweep, sweep_idle);
}

void app_rooms_fini(struct app_rooms *rooms)
{
    loop_timer_cancel(rooms->loop, &rooms->sweep);
    LIST_FOR_EACH (node, next, &rooms->idle) {
        destroy(rooms, list_entry(node, struct app_room, idle));
    }
}

struct app_room *app_rooms_find(const struct app_rooms *rooms, struct str name)
{
    struct bus_channel *channel = bus_subscriber_find(rooms->subscriber, name);
    return channel ? app_room_of_channel(channel) : NULL;
}

static void wake(struct app_rooms *rooms, struct app_room *room)
{
    list_remove(&room->idle);
    rooms->idle_count--;
    room->is_idle = false;
    room->members.one = NULL;
    room->joins = NULL;
    room->visible = 0;
}

static enum err create(struct app_rooms *rooms, struct str name, struct app_room **ret_room)
{
    struct app_room *room = calloc(1, APP_ROOM_SIZE + name.len);
    if (!room) {
        return ERR_NOMEM;
    }
    memcpy(room->name, name.ptr, name.len);
    bus_channel_init(&room->channel, str_range(room->name, name.len));
    enum err err = bus_subscriber_want(rooms->subscriber, &room->channel);
    if (err) {
        free(room);
        return err;
    }
    *ret_room = room;
    return OK;
}

enum err app_rooms_get(struct app_rooms *rooms, const struct room_name *name,
                       struct app_room **ret_room)
{
    struct app_room *room = app_rooms_find(rooms, room_name_str(name));
    if (!room) {
        return create(rooms, room_name_str(name), ret_room);
    }
    if (room->is_idle) {
        wake(rooms, room);
    }
    *ret_room = room;
    return OK;
}

void app_rooms_settle(struct app_rooms *rooms, struct app_room *room)
{
    if (room->is_idle || room->count > 0 || room->joins) {
        return;
    }
    if (room->is_many) {
        free(room->members.many);
        room->is_many = false;
    }
    room->is_idle = true;
    room->idle_since_ms = (uint32_t)loop_now(rooms->loop);
    list_push_back(&rooms->idle, &room->idle);
    if (++rooms->idle_count > rooms->max_idle) {
        destroy(rooms, list_entry(rooms->idle.next, struct app_room, idle));
    }
    if (!list_empty(&rooms->idle) && !wheel_timer_is_set(&rooms->sweep)) {
        loop_timer_set(rooms->loop, &rooms->sweep, rooms->linger_ms);
    }
}

void app_room_wait(struct app_room *room, struct list *join)
{
    if (room->joins) {
        list_push_back(room->joins, join);
    } else {
        room->joins = join;
    }
}

void app_room_wait_no_more(struct app_room *room, struct list *join)
{
    if (room->joins == join) {
        room->joins = list_linked(join) ? join->next : NULL;
    }
    list_remove(join);
}

struct app_member *const *app_room_members(const struct app_room *room)
{
    return room->is_many ? room->members.many->at : &room->members.one;
}

static struct app_member **places(struct app_room *room)
{
    return (struct app_member **)app_room_members(room);
}

static uint32_t capacity_of(const struct app_room *room)
{
    return room->is_many ? room->members.many->capacity : 1;
}

static enum err grow(struct app_room *room)
{
    uint32_t capacity = capacity_of(room) * 2 < 4 ? 4 : capacity_of(room) * 2;
    struct app_places *old = room->is_many ? room->members.many : NULL;
    struct app_places *many = realloc(old, sizeof *many + capacity * sizeof many->at[0]);
    if (!many) {
        return ERR_NOMEM;
    }
    if (!old) {
        many->at[0] = room->members.one;
    }
    many->capacity = capacity;
    room->members.many = many;
    room->is_many = true;
    return OK;
}

enum err app_room_add(struct app_room *room, struct app_member *member, uint32_t *ret_index)
{
    if (room->count == capacity_of(room)) {
        enum err err = grow(room);
        if (err) {
            return err;
        }
    }
    places(room)[room->count] = member;
    *ret_index = room->count++;
    return OK;
}

struct app_member *app_room_remove(struct app_room *room, uint32_t index)
{
    struct app_member **members = places(room);
    uint32_t last = --room->count;
    members[index] = members[last];
    return index < last ? members[index] : NULL;
}

void app_room_show(struct app_rooms *rooms, struct app_room *room)
{
    rooms->visible += room->visible++ == 0;
}

void app_room_hide(struct app_rooms *rooms, struct app_room *room)
{
    rooms->visible -= --room->visible == 0;
}

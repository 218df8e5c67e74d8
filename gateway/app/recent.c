#include "app/recent.h"

#include <stdlib.h>

void app_recent_init(struct app_recent *recent, size_t limit)
{
    *recent = (struct app_recent){.limit = limit};
    list_init(&recent->all);
}

/* The packets that are made of it are about as large as the payload. */
static size_t cost(const struct app_event *event)
{
    return sizeof(struct app_recent_entry) + sizeof *event + 2 * (size_t)event->payload_len;
}

static void entry_free(struct app_recent *recent, struct app_recent_entry *entry)
{
    recent->bytes -= cost(entry->event);
    list_remove(&entry->all);
    app_event_unref(&entry->event);
    free(entry);
}

static struct app_recent_entry *newest_of(const struct app_room *room)
{
    return room->has_recent ? room->recent.newest : NULL;
}

const struct app_recent_entry *app_recent_newest(const struct app_room *room)
{
    return newest_of(room);
}

uint64_t app_recent_from(const struct app_room *room)
{
    return room->has_recent ? room->recent.newest->next->from : room->recent.from;
}

static void set_from(struct app_room *room, uint64_t from)
{
    if (room->has_recent) {
        room->recent.newest->next->from = from;
    } else {
        room->recent.from = from;
    }
}

static void set_newest(struct app_room *room, struct app_recent_entry *newest)
{
    room->has_recent = true;
    room->recent.newest = newest;
}

/* Takes the oldest of the room. */
static void drop_oldest(struct app_recent *recent, struct app_room *room)
{
    struct app_recent_entry *newest = room->recent.newest, *oldest = newest->next;
    room->has_recent = oldest != newest;
    newest->next = oldest->next;
    set_from(room, oldest->event->id);
    room->recent_is_all = false;
    entry_free(recent, oldest);
}

void app_recent_clear(struct app_recent *recent, struct app_room *room, uint64_t from)
{
    while (room->has_recent) {
        drop_oldest(recent, room);
    }
    set_from(room, from);
    room->recent_is_all = false;
}

/* The oldest of all is the oldest of its room. */
void app_recent_trim(struct app_recent *recent)
{
    while (recent->bytes > recent->limit) {
        drop_oldest(recent, list_entry(recent->all.next, struct app_recent_entry, all)->room);
    }
}

static struct app_recent_entry *entry_new(struct app_recent *recent, struct app_room *room,
                                          struct app_event *event)
{
    struct app_recent_entry *entry = malloc(sizeof *entry);
    if (entry) {
        *entry = (struct app_recent_entry){.room = room, .event = event};
        list_init(&entry->all);
        recent->bytes += cost(event);
    }
    return entry;
}

void app_recent_add(struct app_recent *recent, struct app_room *room, struct app_event *event)
{
    struct app_recent_entry *entry = entry_new(recent, room, event);
    if (!entry) {
        app_recent_clear(recent, room, event->id);
        return;
    }
    app_event_ref(event);
    struct app_recent_entry *newest = newest_of(room);
    entry->from = app_recent_from(room); /* for when it is the oldest, too */
    entry->next = newest ? newest->next : entry;
    if (newest) {
        newest->next = entry;
    }
    set_newest(room, entry);
    list_push_back(&recent->all, &entry->all);
    app_recent_trim(recent);
}

/* False: there was no memory, and what is older can't be had. */
static bool put_oldest(struct app_recent *recent, struct app_room *room, struct app_event *event)
{
    struct app_recent_entry *entry = entry_new(recent, room, event);
    if (!entry) {
        return false;
    }
    struct app_recent_entry *newest = newest_of(room);
    entry->next = newest ? newest->next : entry;
    if (newest) {
        newest->next = entry;
    } else {
        set_newest(room, entry);
    }
    list_push_front(&recent->all, &entry->all);
    return true;
}

void app_recent_put_before(struct app_recent *recent, struct app_room *room,
                           struct app_event **events, size_t count, uint64_t from)
{
    while (count > 0 && put_oldest(recent, room, events[count - 1])) {
        count--;
    }
    set_from(room, count > 0 ? events[count - 1]->id : from);
    while (count > 0) {
        app_event_unref(&events[--count]);
    }
}

const struct app_recent_entry *app_recent_next(const struct app_recent_entry *entry)
{
    return entry == newest_of(entry->room) ? NULL : entry->next;
}

const struct app_recent_entry *app_recent_past(const struct app_room *room, uint64_t id)
{
    const struct app_recent_entry *newest = newest_of(room);
    const struct app_recent_entry *entry = newest ? newest->next : NULL;
    while (entry && entry->event->id <= id) {
        entry = app_recent_next(entry);
    }
    return entry;
}

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

/* Takes the oldest of the room. */
static void drop_oldest(struct app_recent *recent, struct app_room *room)
{
    struct app_recent_entry *newest = room->recent, *oldest = newest->next;
    if (oldest == newest) {
        room->recent = NULL;
    } else {
        newest->next = oldest->next;
    }
    room->recent_from = oldest->event->id;
    room->recent_is_all = false;
    entry_free(recent, oldest);
}

void app_recent_clear(struct app_recent *recent, struct app_room *room, uint64_t from)
{
    while (room->recent) {
        drop_oldest(recent, room);
    }
    room->recent_from = from;
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
    struct app_recent_entry *newest = room->recent;
    entry->next = newest ? newest->next : entry;
    if (newest) {
        newest->next = entry;
    }
    room->recent = entry;
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
    struct app_recent_entry *newest = room->recent;
    entry->next = newest ? newest->next : entry;
    if (newest) {
        newest->next = entry;
    } else {
        room->recent = entry;
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
    room->recent_from = count > 0 ? events[count - 1]->id : from;
    while (count > 0) {
        app_event_unref(&events[--count]);
    }
}

const struct app_recent_entry *app_recent_next(const struct app_recent_entry *entry)
{
    return entry == entry->room->recent ? NULL : entry->next;
}

const struct app_recent_entry *app_recent_past(const struct app_room *room, uint64_t id)
{
    const struct app_recent_entry *entry = room->recent ? room->recent->next : NULL;
    while (entry && entry->event->id <= id) {
        entry = app_recent_next(entry);
    }
    return entry;
}

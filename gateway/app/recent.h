/*
 * The recent events of the rooms that are served here, in bounded memory: what those who come back
 * have missed is mostly here, and Redis need not be asked.
 *
 * Of each room the newest are kept without a hole: all with a larger id than app_recent_from, up to
 * the last that was handed on. Of all rooms together the oldest go first.
 */
#ifndef APP_RECENT_H
#define APP_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "app/event.h"
#include "app/rooms.h"
#include "util/list.h"

struct app_recent {
    struct list all; /* struct app_recent_entry, those to go first in front */
    size_t bytes, limit;
};

struct app_recent_entry {
    struct list all;               /* private */
    struct app_recent_entry *next; /* private: of the room, the newest's next is its oldest */
    struct app_room *room;
    struct app_event *event;
    uint64_t from; /* private: of the room's oldest, app_recent_from of the room */
};

void app_recent_init(struct app_recent *recent, size_t limit);

/* All of the room's events with a larger id are there. */
uint64_t app_recent_from(const struct app_room *room);
/* The room's newest; NULL where there is none. */
const struct app_recent_entry *app_recent_newest(const struct app_room *room);
/* Nothing of the room up to this id is known here, and everything after it will be added. */
void app_recent_clear(struct app_recent *recent, struct app_room *room, uint64_t from);
/* The room's newest event; takes a reference of its own. */
void app_recent_add(struct app_recent *recent, struct app_room *room, struct app_event *event);
/*
 * `count` events older than all that is there, oldest first, and without a hole down to `from`.
 * Takes the references. They may make memory go over the limit until app_recent_trim.
 */
void app_recent_put_before(struct app_recent *recent, struct app_room *room,
                           struct app_event **events, size_t count, uint64_t from);
void app_recent_trim(struct app_recent *recent);

/* The oldest with a larger id, NULL where there is none. */
const struct app_recent_entry *app_recent_past(const struct app_room *room, uint64_t id);
/* The next newer, NULL behind the newest. */
const struct app_recent_entry *app_recent_next(const struct app_recent_entry *entry);

#endif

/*
 * The rooms that somebody here is in, or waits to be in, or left a moment ago.
 *
 * A room exists while it is of use: with its first member or join it is wanted from the bus, and
 * some seconds after the last has left it is dropped, so that page navigation does not become Redis
 * traffic.
 */
#ifndef APP_ROOMS_H
#define APP_ROOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/subscriber.h"
#include "loop/loop.h"
#include "schema/room.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"

struct app_member;
struct app_places;
struct app_recent_entry;

struct app_room {
    struct bus_channel channel;
    union {
        struct { /* while anybody is in it or waits */
            union {
                struct app_member *one;
                struct app_places *many; /* owned; for more than one at a time */
            } members;
            struct list *joins; /* the first struct app_join by of_room; NULL: nobody waits */
        };
        struct list idle; /* while nobody is: node of the rooms' idle list */
    };
    union {                              /* private to app/recent.c */
        struct app_recent_entry *newest; /* of its events in memory, where it has any; */
        uint64_t from;                   /* else all with a larger id will be */
    } recent;
    uint32_t count; /* members; their order means nothing */
    union {
        uint32_t visible;       /* members that see it in their list of rooms */
        uint32_t idle_since_ms; /* while idle: by loop_now, cut off */
    };
    bool has_recent : 1;    /* private to app/recent.c */
    bool recent_is_all : 1; /* the log holds no events older than those in memory */
    bool is_many : 1;       /* which of `members` it is */
    bool is_idle : 1;
    char name[]; /* canonical, not terminated */
};

/* Of the size without what is added to align an array of them. */
enum { APP_ROOM_SIZE = offsetof(struct app_room, name) };
/* There is one for each user at least. */
_Static_assert(APP_ROOM_SIZE <= 89, "a room grew");

struct app_rooms {
    struct loop *loop;
    struct bus_subscriber *subscriber;
    uint64_t linger_ms;
    struct list idle; /* oldest first */
    size_t idle_count, max_idle;
    struct wheel_timer sweep;
    size_t visible; /* rooms that are in somebody's list of rooms */
    /* A room is about to be dropped; set by whoever keeps something of rooms. NULL: nobody. */
    void (*on_drop)(void *owner, struct app_room *room);
    void *owner;
};

/*
 * Borrows loop and subscriber for its lifetime. A room stays for `linger_ms` after its last member;
 * of more than `max_idle` such rooms the oldest goes at once: a client may enter and leave as many
 * rooms a second as it can name.
 */
void app_rooms_init(struct app_rooms *rooms, struct loop *loop, struct bus_subscriber *subscriber,
                    uint64_t linger_ms, size_t max_idle);
/* All members and joins are gone; drops the idle rooms. */
void app_rooms_fini(struct app_rooms *rooms);

/* The room of that name, made and wanted if need be; to be used at once or settled. NOMEM. */
MUST_CHECK enum err app_rooms_get(struct app_rooms *rooms, const struct room_name *name,
                                  struct app_room **ret_room);
/* NULL where there is none. */
struct app_room *app_rooms_find(const struct app_rooms *rooms, struct str name);
/* Who waits for the room stands in its ring `joins`, by a node of its own: behind the others. */
void app_room_wait(struct app_room *room, struct list *join);
/* Idempotent; the room must not be idle. */
void app_room_wait_no_more(struct app_room *room, struct list *join);
/* After a member or a join left: the room goes idle when it was the last. */
void app_rooms_settle(struct app_rooms *rooms, struct app_room *room);

struct app_room *app_room_of_channel(struct bus_channel *channel);
struct str app_room_name(const struct app_room *room);
/* Whether what is published now arrives here. */
bool app_room_is_live(const struct app_room *room);

/* All members, `room->count` of them; valid until one enters or leaves. */
struct app_member *const *app_room_members(const struct app_room *room);
/* The new member's place in *ret_index. NOMEM. */
MUST_CHECK enum err app_room_add(struct app_room *room, struct app_member *member,
                                 uint32_t *ret_index);
/*
 * Frees the place `index`; the last member moves into it. Returns who moved there, NULL for nobody:
 * the caller corrects that member's index.
 */
struct app_member *app_room_remove(struct app_room *room, uint32_t index);
/* Counts members that show the room. */
void app_room_show(struct app_rooms *rooms, struct app_room *room);
void app_room_hide(struct app_rooms *rooms, struct app_room *room);

#endif

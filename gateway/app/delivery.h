/*
 * From the bus to the members: each message is checked once, encoded once, and queued by reference
 * to every member of its room that does not have the event yet.
 *
 * Messages of one room that come one behind the other are gathered and given to each member
 * together: with many members, finding each in memory is what delivery costs. Whoever gives
 * messages flushes them before anything else happens.
 */
#ifndef APP_DELIVERY_H
#define APP_DELIVERY_H

#include <stdint.h>

#include "app/event.h"
#include "app/recent.h"
#include "app/rooms.h"
#include "bus/envelope.h"
#include "log/log.h"
#include "util/err.h"
#include "util/str.h"

struct app_delivery_stats {
    uint64_t messages;   /* from Redis, good ones */
    uint64_t dropped;    /* from Redis, not fit to be passed on */
    uint64_t deliveries; /* to members */
    uint64_t lag_ms;     /* how old the last event was when it was handed on, by our clock */
    int64_t lag_at_ms;   /* when that was, since 1970 */
};

enum {
    APP_DELIVERY_EVENTS = 64,       /* gathered, at most */
    APP_DELIVERY_BYTES = 64 * 1024, /* of their payloads; one may have more */
};

struct app_delivery {
    const struct app_rooms *rooms;
    unsigned partitions;
    struct app_recent *recent;
    /* The last one: its next room usually follows at once. */
    struct app_event *event;
    /* What the members of `room` have not been given yet, in order. */
    struct app_room *room;
    bool by_id; /* whether ids tell who has which of them; else nobody has any */
    struct app_event *events[APP_DELIVERY_EVENTS];
    size_t count, bytes;
    struct log_limit drop_log;
    struct app_delivery_stats stats;
};

void app_delivery_init(struct app_delivery *delivery, const struct app_rooms *rooms,
                       struct app_recent *recent, unsigned partitions);
void app_delivery_fini(struct app_delivery *delivery);

/* One message that came on the room's channel; also while nobody is in the room. It is with the
 * members after the next flush. */
void app_delivery_message(struct app_delivery *delivery, struct app_room *room,
                          const struct bus_envelope *envelope);
/* Gives the members what is gathered. */
void app_delivery_flush(struct app_delivery *delivery);
/*
 * Events of the room are missing. A transport close for its members: they come back by themselves,
 * and learn what they have and have not.
 */
void app_delivery_cut_off(struct app_room *room);
/* Counts and logs what came on a channel of ours and is not fit to be passed on. */
void app_delivery_drop(struct app_delivery *delivery, struct str channel, const char *why);

/* One event to one member, whether or not it had it. */
void app_delivery_to(struct app_member *member, struct app_event *event);

#endif

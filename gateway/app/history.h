/*
 * What a room's events past an id were: from memory where it reaches back so far, else from the
 * room's log. Those who ask about one room at the same time share a read.
 */
#ifndef APP_HISTORY_H
#define APP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/recent.h"
#include "bus/log.h"
#include "util/list.h"
#include "util/map.h"

struct app_history {
    struct bus_subscriber *subscriber;
    const struct bus_subscriber_options *bus;
    struct app_recent *recent;
    struct map reading;                         /* logs that are read just now, by room */
    uint64_t asked, from_memory, reads, failed; /* since the start */
};

/* One question, embedded in whoever asks. */
struct app_history_wait {
    struct list node; /* private */
    struct app_room *room;
    struct bus_log_position position; /* events past it are wanted */
    unsigned most; /* the newest so many will do; 0: all. Then the position is 0 */
    bool complete; /* nothing between the position and what is there is missing */
    /*
     * The room's events up to its channel's last_id can be walked with app_recent_past, until this
     * returns: what comes later will be handed on. Called once, possibly from inside the question.
     */
    void (*ready)(struct app_history_wait *wait);
};

void app_history_init(struct app_history *history, struct bus_subscriber *subscriber,
                      const struct bus_subscriber_options *bus, struct app_recent *recent);
/* All rooms are gone. */
void app_history_fini(struct app_history *history);

/* The room must stay until the answer, and be, or have been, live. */
void app_history_ask(struct app_history *history, struct app_history_wait *wait);
/* Idempotent. */
void app_history_cancel(struct app_history_wait *wait);
/* The room goes; nobody asks about it any more. */
void app_history_forget(struct app_history *history, struct app_room *room);

#endif

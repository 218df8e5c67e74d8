/*
 * One event as clients get it: checked once, encoded once for each of the two forms in which it is
 * sent, and shared by count among queues, rooms and those who are being caught up with.
 */
#ifndef APP_EVENT_H
#define APP_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/envelope.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

struct app_event {
    uint64_t id; /* 0: outside the logs */
    const char *name;
    uint32_t refs;        /* private */
    uint32_t payload_len; /* private, as is what follows */
    struct rcbuf *plain, *with_id;
    char payload[];
};

/*
 * One reference, the caller's. INVALID: it must not reach a client, and *ret_why says why (one bad
 * frame makes every client close). NOMEM, likewise.
 */
MUST_CHECK enum err app_event_new(const struct bus_envelope *envelope, struct app_event **ret_event,
                                  const char **ret_why);
static inline struct app_event *app_event_ref(struct app_event *event)
{
    event->refs++;
    return event;
}
/* Gives one reference back and forgets the pointer; *event may be NULL. */
void app_event_unref(struct app_event **event);

static inline struct str app_event_payload(const struct app_event *event)
{
    return (struct str){event->payload, event->payload_len};
}

/*
 * The packet for any number of sockets; borrowed. With its id as last argument for clients that can
 * recover; an event without an id has none for them either. NULL without memory.
 */
struct rcbuf *app_event_packet(struct app_event *event, bool with_id);

#endif

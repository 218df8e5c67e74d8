/*
 * Messages that are no events: from one gateway to another, from an operator to all gateways, and
 * the answers. At most once, on channels of their own; their form is that of an event outside the
 * logs, "0 0 <event> -\n<payload>". See docs/fleet.md.
 */
#ifndef BUS_CONTROL_H
#define BUS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/store.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/str.h"

struct bus_subscriber;
struct redisReply;

enum { BUS_CONTROL_PAYLOAD_MAX = 16 * 1024 * 1024 };

/* Who takes the messages of one event; its owner's, who sets the fields below `node`. */
struct bus_listener {
    struct list node; /* private */
    struct str event;
    /* `payload` is borrowed until return. May listen, send, and stop listening. */
    void (*on_message)(void *owner, struct str payload);
    void *owner;
};

/* Messages to this gateway and to all. One listener an event. */
void bus_subscriber_listen(struct bus_subscriber *subscriber, struct bus_listener *listener);
/* Idempotent, for a listener that listened. */
void bus_subscriber_ignore(struct bus_listener *listener);

/* Views into `message`. PROTO: not of this form; LIMIT: too large. */
MUST_CHECK enum err bus_control_parse(struct str message, struct str *ret_event,
                                      struct str *ret_payload);

/*
 * Publishes on a channel (bus_gateway_channel, bus_control_channel, bus_answer_channel): the
 * payload is the pieces, one behind the other, copied. `done` (NULL: nobody wants to know) is told
 * how it went: see bus_control_sent. NULL without memory.
 */
struct bus_request *bus_control_send(struct bus_store *store, struct str channel, struct str event,
                                     const struct str *pieces, size_t count, bus_answer_fn done,
                                     void *context);

enum bus_sent {
    BUS_SENT,
    BUS_SENT_TO_NOBODY, /* nobody listens: the gateway is gone, or away from Redis */
    BUS_SENT_UNKNOWN,   /* the connection was lost before the answer, or Redis refused */
};
enum bus_sent bus_control_sent(const struct redisReply *reply);

enum { BUS_CONTROL_LOOK_MAX = 12 }; /* channels in one look */

/*
 * Asks how many listen on each of some channels: `done` gets the answer, to be read by
 * bus_control_next_deaf. NULL without memory.
 */
struct bus_request *bus_control_look(struct bus_store *store, const struct str *channels,
                                     size_t count, bus_answer_fn done, void *context);
/* The next channel on which nobody listens, from *at on, which begins with 0; false at the end. */
bool bus_control_next_deaf(const struct redisReply *reply, size_t *at, struct str *ret_channel);

#endif

#include "bus/control.h"

#include <hiredis/hiredis.h>

#include "bus/envelope.h"
#include "bus/subscriber_private.h"

void bus_subscriber_listen(struct bus_subscriber *subscriber, struct bus_listener *listener)
{
    list_init(&listener->node);
    list_push_back(&subscriber->listeners, &listener->node);
}

void bus_subscriber_ignore(struct bus_listener *listener)
{
    list_remove(&listener->node);
}

enum err bus_control_parse(struct str message, struct str *ret_event, struct str *ret_payload)
{
    struct bus_envelope envelope;
    enum err err = bus_envelope_parse_within(message, BUS_CONTROL_PAYLOAD_MAX, &envelope);
    if (!err) {
        *ret_event = envelope.event;
        *ret_payload = envelope.payload;
    }
    return err;
}

/* What no listener is for, is for a newer gateway than this one. */
static void hand_on(struct bus_subscriber *subscriber, struct str event, struct str payload)
{
    LIST_FOR_EACH (node, next, &subscriber->listeners) {
        struct bus_listener *listener = list_entry(node, struct bus_listener, node);
        if (str_eq(listener->event, event)) {
            listener->on_message(listener->owner, payload);
            return;
        }
    }
}

bool bus_control_take(struct bus_subscriber *subscriber, struct str channel, struct str message)
{
    struct str event, payload;
    bool to_us = str_eq(channel, buf_str(&subscriber->inbox));
    if (!to_us && !str_eq(channel, buf_str(&subscriber->control))) {
        return false;
    }
    bus_subscriber_rest(subscriber);
    enum err err = bus_control_parse(message, &event, &payload);
    if (err) {
        subscriber->ops->on_garbage(subscriber->owner, channel, err);
    } else if (to_us && str_eq(event, STR("probe"))) {
        bus_probe_take(subscriber, payload);
    } else {
        hand_on(subscriber, event, payload);
    }
    return true;
}

enum err bus_control_subscribe(struct bus_subscriber *subscriber)
{
    const struct str args[] = {STR("SUBSCRIBE"), buf_str(&subscriber->inbox),
                               buf_str(&subscriber->control)};
    enum err err = redis_link_send(subscriber->link, args, ARRAY_LEN(args), NULL, NULL);
    subscriber->requested += err ? 0 : ARRAY_LEN(args) - 1;
    return err;
}

enum err bus_control_init(struct bus_subscriber *subscriber)
{
    list_init(&subscriber->listeners);
    struct str id = str_from(subscriber->options->gateway_id);
    enum err err = bus_gateway_channel(&subscriber->keys, id, &subscriber->inbox);
    return err ? err : bus_control_channel(&subscriber->keys, &subscriber->control);
}

void bus_control_fini(struct bus_subscriber *subscriber)
{
    buf_fini(&subscriber->inbox);
    buf_fini(&subscriber->control);
}

/* --- Sending --- */

static enum err write_message(struct str event, const struct str *pieces, size_t count,
                              struct buf *out)
{
    enum err err = buf_printf(out, "0 0 " STR_FMT " -\n", STR_ARG(event));
    for (size_t i = 0; i < count && !err; i++) {
        err = buf_append(out, pieces[i]);
    }
    return err;
}

struct bus_request *bus_control_send(struct bus_store *store, struct str channel, struct str event,
                                     const struct str *pieces, size_t count, bus_answer_fn done,
                                     void *context)
{
    struct buf message = {0};
    struct bus_request *request = NULL;
    if (!write_message(event, pieces, count, &message)) {
        const struct str args[] = {STR("PUBLISH"), channel, buf_str(&message)};
        request = bus_store_ask_once(store, args, ARRAY_LEN(args), done, context);
    }
    buf_fini(&message);
    return request;
}

enum bus_sent bus_control_sent(const struct redisReply *reply)
{
    if (!reply || reply->type != REDIS_REPLY_INTEGER) {
        return BUS_SENT_UNKNOWN;
    }
    return reply->integer > 0 ? BUS_SENT : BUS_SENT_TO_NOBODY;
}

/* --- Who listens --- */

struct bus_request *bus_control_look(struct bus_store *store, const struct str *channels,
                                     size_t count, bus_answer_fn done, void *context)
{
    struct str args[2 + BUS_CONTROL_LOOK_MAX] = {STR("PUBSUB"), STR("NUMSUB")};
    size_t used = 2;
    for (size_t i = 0; i < count && used < ARRAY_LEN(args); i++) {
        args[used++] = channels[i];
    }
    return bus_store_ask(store, args, used, done, context);
}

/* The answer is a list of pairs: a channel, and how many listen. */
bool bus_control_next_deaf(const struct redisReply *reply, size_t *at, struct str *ret_channel)
{
    size_t pairs = reply->type == REDIS_REPLY_ARRAY ? reply->elements / 2 : 0;
    while (*at < pairs) {
        const redisReply *channel = reply->element[2 * *at], *count = reply->element[2 * *at + 1];
        ++*at;
        if (channel->type == REDIS_REPLY_STRING && count->type == REDIS_REPLY_INTEGER &&
            count->integer == 0) {
            *ret_channel = (struct str){channel->str, channel->len};
            return true;
        }
    }
    return false;
}

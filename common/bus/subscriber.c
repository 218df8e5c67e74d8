#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "bus/subscriber_private.h"

enum {
    BATCHES_IN_FLIGHT = 4, /* requests beyond it wait for confirmations */
    RETRY_MS = 100,        /* after a batch for which there was no memory */
};

static struct str key_of(const struct map_node *node)
{
    return bus_channel_room_name(container_of(node, struct bus_channel, by_room));
}

/* --- Sending batches --- */

static bool is_up(const struct bus_subscriber *subscriber)
{
    return redis_link_state(subscriber->link) == REDIS_LINK_UP;
}

static bool may_send(const struct bus_subscriber *subscriber)
{
    return is_up(subscriber) && subscriber->requested - subscriber->confirmed <
                                    BATCHES_IN_FLIGHT * subscriber->options->batch;
}

static void batch_begin(struct bus_subscriber *subscriber)
{
    buf_clear(&subscriber->names);
}

/* Adds the n-th channel to the batch; its place is known by its length until the names stop moving.
 */
static enum err batch_add(struct bus_subscriber *subscriber, unsigned n, struct str room)
{
    size_t before = subscriber->names.len;
    enum err err = bus_channel_name(&subscriber->keys, room, &subscriber->names);
    if (!err) {
        subscriber->args[n + 1] = (struct str){NULL, subscriber->names.len - before};
    }
    return err;
}

static enum err batch_send(struct bus_subscriber *subscriber, struct str command, unsigned count)
{
    const char *at = subscriber->names.data;
    subscriber->args[0] = command;
    for (unsigned i = 1; i <= count; i++) {
        subscriber->args[i].ptr = at;
        at += subscriber->args[i].len;
    }
    return redis_link_send(subscriber->link, subscriber->args, count + 1, NULL, NULL);
}

static enum err send_unsubscribe(struct bus_subscriber *subscriber)
{
    struct str rest = buf_str(&subscriber->dropped);
    unsigned count = 0;
    batch_begin(subscriber);
    while (count < subscriber->options->batch && rest.len > 0) {
        size_t len = (unsigned char)rest.ptr[0];
        enum err err = batch_add(subscriber, count, str_range(rest.ptr + 1, len));
        if (err) {
            return err;
        }
        rest = str_skip(rest, 1 + len);
        count++;
    }
    enum err err = batch_send(subscriber, STR("UNSUBSCRIBE"), count);
    if (!err) {
        subscriber->requested += count;
        buf_consume(&subscriber->dropped, subscriber->dropped.len - rest.len);
    }
    return err;
}

static void mark_asked(struct bus_subscriber *subscriber, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct list *node = list_pop_front(&subscriber->queued);
        struct bus_channel *channel = list_entry(node, struct bus_channel, batch);
        channel->state = BUS_CHANNEL_ASKED;
        channel->asked = ++subscriber->requested;
    }
}

static enum err send_subscribe(struct bus_subscriber *subscriber)
{
    unsigned count = 0;
    batch_begin(subscriber);
    LIST_FOR_EACH (node, following, &subscriber->queued) {
        struct bus_channel *channel = list_entry(node, struct bus_channel, batch);
        if (count == subscriber->options->batch) {
            break;
        }
        enum err err = batch_add(subscriber, count, bus_channel_room_name(channel));
        if (err) {
            return err;
        }
        count++;
    }
    enum err err = batch_send(subscriber, STR("SUBSCRIBE"), count);
    if (!err) {
        mark_asked(subscriber, count);
    }
    return err;
}

void bus_subscriber_retry(struct bus_subscriber *subscriber)
{
    loop_timer_set(subscriber->loop, &subscriber->retry, RETRY_MS);
}

/* UNSUBSCRIBE first: a room dropped and wanted again must end up subscribed. */
static void on_send_batches(struct loop_task *task)
{
    struct bus_subscriber *subscriber = container_of(task, struct bus_subscriber, send_batches);
    enum err err = OK;
    while (!err && subscriber->dropped.len > 0 && may_send(subscriber)) {
        err = send_unsubscribe(subscriber);
    }
    while (!err && !list_empty(&subscriber->queued) && may_send(subscriber)) {
        err = send_subscribe(subscriber);
    }
    if (err) {
        bus_subscriber_retry(subscriber);
    }
}

static void on_retry(struct wheel_timer *timer)
{
    struct bus_subscriber *subscriber = container_of(timer, struct bus_subscriber, retry);
    loop_defer(subscriber->loop, &subscriber->send_batches);
    loop_defer(subscriber->loop, &subscriber->stamp);
    if (subscriber->barrier > 0) {
        bus_catch_up_send_barrier(subscriber);
    }
}

static void send_soon(struct bus_subscriber *subscriber)
{
    if (is_up(subscriber)) {
        loop_defer(subscriber->loop, &subscriber->send_batches);
    }
}

/* --- What comes from Redis --- */

static struct str text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct str){reply->str, reply->len}
                                             : (struct str){"", 0};
}

void bus_subscriber_rest(struct bus_subscriber *subscriber)
{
    if (subscriber->handed_on && subscriber->ops->on_rest) {
        subscriber->handed_on = false;
        subscriber->ops->on_rest(subscriber->owner);
    }
}

static void note_up(struct bus_subscriber *subscriber)
{
    if (bus_subscriber_connected(subscriber)) {
        subscriber->stats.stood++;
        subscriber->stats.stood_ms = loop_now(subscriber->loop);
        bus_probe_begin(subscriber);
        subscriber->ops->on_up(subscriber->owner);
    }
}

static void on_confirmed(struct bus_subscriber *subscriber, struct str channel_name)
{
    uint32_t number = ++subscriber->confirmed;
    if (number == 1) {
        note_up(subscriber);
    }
    struct bus_channel *channel =
        bus_subscriber_find(subscriber, bus_channel_room(&subscriber->keys, channel_name));
    if (!list_empty(&subscriber->queued) || subscriber->dropped.len > 0) {
        send_soon(subscriber);
    }
    if (channel && channel->state == BUS_CHANNEL_ASKED && channel->asked == number) {
        bus_catch_up_confirmed(subscriber, channel);
    }
}

static bool names_room(const struct bus_envelope *envelope, struct str room)
{
    for (unsigned i = 0; i < envelope->room_count; i++) {
        if (str_eq(envelope->rooms[i], room)) {
            return true;
        }
    }
    return false;
}

bool bus_subscriber_tell_gap(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    subscriber->stats.gaps++;
    bus_subscriber_rest(subscriber);
    subscriber->delivering = channel;
    subscriber->ops->on_gap(subscriber->owner, channel);
    bool still = subscriber->delivering;
    subscriber->delivering = NULL;
    return still;
}

static void note_passed(struct bus_subscriber *subscriber, const struct bus_channel *channel,
                        uint64_t id)
{
    unsigned partition = bus_partition(&subscriber->keys, bus_channel_room_name(channel));
    if (!bus_catch_up_holding(subscriber) && id > subscriber->passed[partition].id) {
        subscriber->passed[partition].id = id;
    }
}

static void deliver(struct bus_subscriber *subscriber, struct bus_channel *channel,
                    const struct bus_envelope *envelope)
{
    subscriber->delivering = channel;
    subscriber->handed_on = true;
    subscriber->ops->on_message(subscriber->owner, channel, envelope);
    if (subscriber->delivering && envelope->id > 0) {
        channel->last_id = envelope->id;
        note_passed(subscriber, channel, envelope->id);
    }
    subscriber->delivering = NULL;
}

/* The chain of ids: whether all that was published before has been handed on. */
static bool chain_holds(const struct bus_channel *channel, const struct bus_envelope *envelope)
{
    return envelope->id == 0 || envelope->previous <= channel->last_id;
}

bool bus_subscriber_pass(struct bus_subscriber *subscriber, struct bus_channel *channel,
                         const struct bus_envelope *envelope, size_t bytes)
{
    if (envelope->id != 0 && envelope->id <= channel->last_id) {
        return true;
    }
    if (!chain_holds(channel, envelope) && envelope->previous > channel->read_to) {
        bus_catch_up_break(subscriber, channel);
        return false;
    }
    if (!chain_holds(channel, envelope)) {
        channel->last_id = envelope->previous;
        if (!bus_subscriber_tell_gap(subscriber, channel)) {
            return true;
        }
    }
    subscriber->bytes_passed += bytes;
    deliver(subscriber, channel, envelope);
    return true;
}

/* The last id that has come, which is the place of a message without one. */
static uint64_t note_seen(struct bus_subscriber *subscriber, struct str room, uint64_t id)
{
    uint64_t *seen = &subscriber->seen[bus_partition(&subscriber->keys, room)].id;
    *seen = id > *seen ? id : *seen;
    return id > 0 ? id : *seen;
}

/* A message for a room that is wanted, and on a subscription that was confirmed. */
static void take_message(struct bus_subscriber *subscriber, struct bus_channel *channel,
                         const struct bus_envelope *envelope, struct str message)
{
    struct str room = bus_channel_room_name(channel);
    uint64_t place = note_seen(subscriber, room, envelope->id);
    if (channel->state == BUS_CHANNEL_STAMPING) {
        /* Published before anybody was told that the room is live. */
        channel->last_id = envelope->id > channel->last_id ? envelope->id : channel->last_id;
        return;
    }
    bool stays = bus_catch_up_holding(subscriber) ||
                 !bus_subscriber_pass(subscriber, channel, envelope, message.len);
    if (stays && bus_catch_up_holding(subscriber)) { /* else everything has begun anew */
        bus_catch_up_hold(subscriber, room, place, message);
    }
}

static void on_message(struct bus_subscriber *subscriber, struct str channel_name,
                       struct str message)
{
    struct str room = bus_channel_room(&subscriber->keys, channel_name);
    struct bus_channel *channel = bus_subscriber_find(subscriber, room);
    if (!channel || channel->state < BUS_CHANNEL_STAMPING) {
        return; /* dropped, and Redis does not know yet */
    }
    struct bus_envelope envelope;
    enum err err = bus_envelope_parse(message, &envelope);
    if (!err && !names_room(&envelope, room)) {
        err = ERR_INVALID;
    }
    if (err) {
        bus_subscriber_rest(subscriber);
        subscriber->ops->on_garbage(subscriber->owner, channel_name, err);
    } else {
        take_message(subscriber, channel, &envelope, message);
    }
}

static void on_push(void *owner, const struct redisReply *reply)
{
    struct bus_subscriber *subscriber = owner;
    struct str kind = text_of(reply->element[0]);
    struct str channel_name = text_of(reply->element[1]);
    if (str_eq(kind, STR("message"))) {
        struct str message = text_of(reply->element[2]);
        if (!bus_control_take(subscriber, channel_name, message)) {
            on_message(subscriber, channel_name, message);
        }
    } else if (str_eq(kind, STR("subscribe")) || str_eq(kind, STR("unsubscribe"))) {
        bus_subscriber_rest(subscriber);
        on_confirmed(subscriber, channel_name);
    }
}

static void on_rest(void *owner)
{
    bus_subscriber_rest(owner);
}

/* --- The two connections --- */

static void on_up(void *owner)
{
    struct bus_subscriber *subscriber = owner;
    subscriber->stats.ups++;
    subscriber->requested = subscriber->confirmed = 0;
    if (bus_control_subscribe(subscriber)) {
        redis_link_renew(subscriber->link, "no memory");
        return;
    }
    if (subscriber->paused) {
        redis_link_pause(subscriber->link);
    }
    send_soon(subscriber);
}

/* Nothing is subscribed any more: what is wanted waits for the next connection, in no order. */
static void queue_everything(struct bus_subscriber *subscriber)
{
    buf_fini(&subscriber->dropped);
    for (struct map_node *node = NULL; (node = map_next(&subscriber->wanted, node));) {
        struct bus_channel *channel = container_of(node, struct bus_channel, by_room);
        channel->state = BUS_CHANNEL_QUEUED;
        list_push_back(&subscriber->queued, &channel->batch);
    }
}

static void on_down(void *owner, enum err err, const char *why)
{
    struct bus_subscriber *subscriber = owner;
    subscriber->stats.downs++;
    bus_subscriber_rest(subscriber);
    bus_probe_distrust(subscriber);
    bus_catch_up_lost_connection(subscriber);
    queue_everything(subscriber);
    subscriber->ops->on_down(subscriber->owner, err, why);
}

static void on_store_up(void *owner)
{
    struct bus_subscriber *subscriber = owner;
    bus_probe_store_up(subscriber);
    note_up(subscriber);
}

static void on_store_down(void *owner, enum err err, const char *why)
{
    struct bus_subscriber *subscriber = owner;
    bus_probe_distrust(subscriber);
    if (is_up(subscriber)) { /* else it was said already */
        subscriber->ops->on_down(subscriber->owner, err, why);
    }
}

static void on_refused(void *owner, struct str why)
{
    struct bus_subscriber *subscriber = owner;
    subscriber->ops->on_refused(subscriber->owner, why);
}

static const struct redis_link_ops link_ops = {on_up, on_down, on_push, on_rest};
static const struct bus_store_ops store_ops = {on_store_up, on_store_down, on_refused};

/* --- Birth and death --- */

static void destroy(struct bus_subscriber *subscriber)
{
    map_fini(&subscriber->wanted);
    buf_fini(&subscriber->dropped);
    buf_fini(&subscriber->names);
    bus_control_fini(subscriber);
    free(subscriber->args);
    free(subscriber->passed);
    free(subscriber->seen);
    free(subscriber);
}

static void init(struct bus_subscriber *subscriber)
{
    map_init(&subscriber->wanted, key_of);
    list_init(&subscriber->queued);
    buf_init(&subscriber->dropped, 0);
    buf_init(&subscriber->names, 0);
    loop_task_init(&subscriber->send_batches, on_send_batches);
    wheel_timer_init(&subscriber->retry, on_retry);
    bus_catch_up_init(subscriber);
    bus_probe_init(subscriber);
}

static enum err open(struct bus_subscriber *subscriber)
{
    unsigned partitions = subscriber->keys.partitions;
    enum err err = bus_control_init(subscriber);
    subscriber->args = calloc(subscriber->options->batch + 1, sizeof *subscriber->args);
    subscriber->passed = calloc(partitions, sizeof *subscriber->passed);
    subscriber->seen = calloc(partitions, sizeof *subscriber->seen);
    if (err || !subscriber->args || !subscriber->passed || !subscriber->seen) {
        return ERR_NOMEM;
    }
    const struct redis_link_options *redis = subscriber->options->redis;
    subscriber->link = redis_link_new(subscriber->loop, redis, &link_ops, subscriber);
    subscriber->store =
        subscriber->link ? bus_store_new(subscriber->loop, redis, &store_ops, subscriber) : NULL;
    return subscriber->store ? OK : ERR_NOMEM;
}

struct bus_subscriber *bus_subscriber_new(struct loop *loop,
                                          const struct bus_subscriber_options *options,
                                          const struct bus_subscriber_ops *ops, void *owner)
{
    struct bus_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber) {
        return NULL;
    }
    subscriber->loop = loop;
    subscriber->ops = ops;
    subscriber->owner = owner;
    subscriber->options = options;
    subscriber->keys = options->keys;
    init(subscriber);
    if (open(subscriber)) {
        bus_subscriber_free(subscriber);
        return NULL;
    }
    return subscriber;
}

static void reap(struct loop_reap *entry)
{
    destroy(container_of(entry, struct bus_subscriber, reap));
}

void bus_subscriber_free(struct bus_subscriber *subscriber)
{
    if (!subscriber) {
        return;
    }
    bus_catch_up_fini(subscriber);
    bus_probe_fini(subscriber);
    redis_link_free(subscriber->link);
    bus_store_free(subscriber->store);
    loop_task_cancel(&subscriber->send_batches);
    loop_timer_cancel(subscriber->loop, &subscriber->retry);
    loop_reap(subscriber->loop, &subscriber->reap, reap);
}

/* --- Channels --- */

void bus_channel_init(struct bus_channel *channel, struct str room)
{
    assert(room.ptr - (const char *)channel >= 0 && room.ptr - (const char *)channel < 256);
    *channel = (struct bus_channel){.room_at = (unsigned char)(room.ptr - (const char *)channel),
                                    .room_len = (unsigned char)room.len};
    list_init(&channel->batch);
}

enum err bus_subscriber_want(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    enum err err = map_insert(&subscriber->wanted, &channel->by_room);
    if (err) {
        return err;
    }
    channel->state = BUS_CHANNEL_QUEUED;
    channel->last_id = 0;
    channel->known = false;
    channel->read_to = 0;
    list_push_back(&subscriber->queued, &channel->batch);
    send_soon(subscriber);
    return OK;
}

static void unsubscribe_later(struct bus_subscriber *subscriber, struct str room)
{
    struct buf *dropped = &subscriber->dropped;
    /* Without memory the subscription stays until the next reconnect, and its messages are ignored.
     */
    if (buf_reserve(dropped, 1 + room.len) || buf_append_char(dropped, (char)room.len) ||
        buf_append(dropped, room)) {
        return;
    }
    send_soon(subscriber);
}

void bus_subscriber_drop(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    if (channel->state == BUS_CHANNEL_IDLE) {
        return;
    }
    if (subscriber->delivering == channel) {
        subscriber->delivering = NULL;
    }
    map_remove(&subscriber->wanted, &channel->by_room);
    bus_catch_up_forget(subscriber, channel);
    if (channel->state != BUS_CHANNEL_QUEUED) {
        unsubscribe_later(subscriber, bus_channel_room_name(channel));
    }
    channel->state = BUS_CHANNEL_IDLE;
}

struct bus_channel *bus_subscriber_find(struct bus_subscriber *subscriber, struct str room)
{
    struct map_node *node = map_find(&subscriber->wanted, room);
    return node ? container_of(node, struct bus_channel, by_room) : NULL;
}

struct bus_channel *bus_subscriber_next(const struct bus_subscriber *subscriber,
                                        const struct bus_channel *channel)
{
    struct map_node *node = map_next(&subscriber->wanted, channel ? &channel->by_room : NULL);
    return node ? container_of(node, struct bus_channel, by_room) : NULL;
}

size_t bus_subscriber_count(const struct bus_subscriber *subscriber)
{
    return subscriber->wanted.count;
}

void bus_subscriber_pause(struct bus_subscriber *subscriber)
{
    subscriber->paused = true;
    redis_link_pause(subscriber->link);
}

void bus_subscriber_resume(struct bus_subscriber *subscriber)
{
    if (subscriber->paused) {
        subscriber->paused = false;
        redis_link_resume(subscriber->link);
        loop_defer(subscriber->loop, &subscriber->drain);
    }
}

uint64_t bus_subscriber_bytes_passed(const struct bus_subscriber *subscriber)
{
    return subscriber->bytes_passed;
}

bool bus_subscriber_connected(const struct bus_subscriber *subscriber)
{
    return is_up(subscriber) && subscriber->confirmed > 0 && subscriber->store &&
           bus_store_connected(subscriber->store);
}

struct bus_store *bus_subscriber_store(const struct bus_subscriber *subscriber)
{
    return subscriber->store;
}

struct bus_place bus_subscriber_passed(const struct bus_subscriber *subscriber, unsigned partition)
{
    return subscriber->passed[partition];
}

const struct bus_subscriber_stats *bus_subscriber_stats(struct bus_subscriber *subscriber)
{
    subscriber->stats.behind = subscriber->behind;
    subscriber->stats.held_bytes = subscriber->hold.bytes;
    return &subscriber->stats;
}

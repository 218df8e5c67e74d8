/*
 * What was missed, and in which order it is made good.
 *
 * While any room is behind, messages of all rooms are held: a client's place is one id for all its
 * rooms, so nothing may reach it before what is older. When the last log was read, a probe is
 * published: once it comes back, everything that these logs hold has come on the subscription, too,
 * or never will. Then all that is held is sorted by id and handed on, each event once.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/subscriber_private.h"

enum {
    HOLD_BYTES_MAX = 64 * 1024 * 1024,
    DRAIN_BYTES = 256 * 1024, /* handed on in one turn */
    FIRST_ITEMS = 64,
};

struct bus_held {
    uint64_t id; /* what it is sorted by, then by number */
    uint64_t number;
    uint32_t room_len, len;
    char text[]; /* room, message */
};

/* Channels whose place is asked for together. */
struct stamp {
    struct list node;
    struct bus_subscriber *subscriber;
    struct bus_log_query query;
    struct list channels;
};

struct read {
    struct list node;
    struct bus_subscriber *subscriber;
    struct bus_log_query query;
    struct bus_log_position position;
    bool first;     /* no page has come yet */
    uint64_t epoch; /* of the connection, and the channel's request on it: */
    uint32_t asked; /* whether the answer still is for that channel */
    unsigned char room_len;
    char room[];
};

static struct str held_room(const struct bus_held *held)
{
    return str_range(held->text, held->room_len);
}

static unsigned partition_of(const struct bus_subscriber *subscriber,
                             const struct bus_channel *channel)
{
    return bus_partition(&subscriber->keys, bus_channel_room_name(channel));
}

/* --- What is held --- */

static void hold_clear(struct bus_hold *hold)
{
    while (hold->count > hold->next) {
        free(hold->items[--hold->count]);
    }
    free(hold->items);
    *hold = (struct bus_hold){0};
}

static enum err hold_grow(struct bus_hold *hold)
{
    size_t cap = hold->cap ? hold->cap * 2 : FIRST_ITEMS;
    struct bus_held **items = realloc(hold->items, cap * sizeof(struct bus_held *));
    if (!items) {
        return ERR_NOMEM;
    }
    hold->items = items;
    hold->cap = cap;
    return OK;
}

static enum err hold_add(struct bus_hold *hold, struct str room, uint64_t id, struct str message)
{
    size_t size = sizeof(struct bus_held) + room.len + message.len;
    if (hold->bytes + size > HOLD_BYTES_MAX) {
        return ERR_LIMIT;
    }
    enum err err = hold->count == hold->cap ? hold_grow(hold) : OK;
    struct bus_held *held = err ? NULL : malloc(size);
    if (!held) {
        return ERR_NOMEM;
    }
    *held = (struct bus_held){.id = id,
                              .number = hold->count,
                              .room_len = (uint32_t)room.len,
                              .len = (uint32_t)message.len};
    memcpy(held->text, room.ptr, room.len);
    memcpy(held->text + room.len, message.ptr, message.len);
    hold->items[hold->count++] = held;
    hold->bytes += size;
    hold->sorted = false;
    return OK;
}

static int compare(const void *a, const void *b)
{
    const struct bus_held *x = *(struct bus_held *const *)a, *y = *(struct bus_held *const *)b;
    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static void hold_sort(struct bus_hold *hold)
{
    if (!hold->sorted && hold->count > hold->next) {
        qsort(hold->items + hold->next, hold->count - hold->next, sizeof(struct bus_held *),
              compare);
    }
    hold->sorted = true;
}

bool bus_catch_up_holding(const struct bus_subscriber *subscriber)
{
    return subscriber->behind > 0 || subscriber->barrier > 0 || subscriber->hold.count > 0;
}

void bus_catch_up_hold(struct bus_subscriber *subscriber, struct str room, uint64_t id,
                       struct str message)
{
    enum err err = hold_add(&subscriber->hold, room, id, message);
    if (err) {
        bus_catch_up_start_over(subscriber, err == ERR_LIMIT
                                                ? "too much came while rooms were caught up with"
                                                : "no memory to catch up");
    }
}

/* --- Handing on --- */

/* False: the message has to stay. */
static bool hand_on(struct bus_subscriber *subscriber, const struct bus_held *held)
{
    struct bus_channel *channel = bus_subscriber_find(subscriber, held_room(held));
    struct bus_envelope envelope;
    if (!channel ||
        bus_envelope_parse(str_range(held->text + held->room_len, held->len), &envelope)) {
        return true;
    }
    if (channel->state == BUS_CHANNEL_STAMPING && envelope.id > channel->last_id) {
        channel->last_id = envelope.id;
    }
    if (channel->state != BUS_CHANNEL_LIVE && channel->state != BUS_CHANNEL_CAUGHT_UP) {
        return channel->state != BUS_CHANNEL_BEHIND;
    }
    return bus_subscriber_pass(subscriber, channel, &envelope, held->len);
}

/* Everything was handed on: what is in the rooms now, and has come, is all there is. */
static void finish(struct bus_subscriber *subscriber)
{
    hold_clear(&subscriber->hold);
    memcpy(subscriber->passed, subscriber->seen,
           subscriber->keys.partitions * sizeof *subscriber->passed);
    for (struct list *node; (node = list_pop_front(&subscriber->caught_up));) {
        struct bus_channel *channel = list_entry(node, struct bus_channel, batch);
        channel->state = BUS_CHANNEL_LIVE;
        channel->read_to = 0;
        subscriber->ops->on_live(subscriber->owner, channel);
    }
    subscriber->ops->on_passed(subscriber->owner);
}

/* True: nothing is left. */
static bool drain_some(struct bus_subscriber *subscriber)
{
    struct bus_hold *hold = &subscriber->hold;
    size_t bytes = 0;
    hold_sort(hold);
    while (hold->next < hold->count && bytes < DRAIN_BYTES) {
        struct bus_held *held = hold->items[hold->next];
        if (!hand_on(subscriber, held) || hold->count == 0) {
            return false; /* another break: its log first. Or all starts over */
        }
        size_t size = sizeof *held + held->room_len + held->len;
        bytes += size;
        hold->bytes -= size;
        hold->next++;
        free(held);
    }
    return hold->next == hold->count;
}

static void on_drain(struct loop_task *task)
{
    struct bus_subscriber *subscriber = container_of(task, struct bus_subscriber, drain);
    if (subscriber->paused || subscriber->behind > 0 || subscriber->barrier > 0) {
        return;
    }
    bool all = drain_some(subscriber);
    bus_subscriber_rest(subscriber);
    if (all) {
        finish(subscriber);
    } else if (subscriber->behind == 0) {
        loop_defer(subscriber->loop, task);
    }
}

void bus_catch_up_go_on(struct bus_subscriber *subscriber)
{
    subscriber->barrier = 0;
    loop_defer(subscriber->loop, &subscriber->drain);
}

/* Any probe that was sent later will do as well: where there is no memory, another in a moment. */
void bus_catch_up_send_barrier(struct bus_subscriber *subscriber)
{
    if (bus_probe_send(subscriber, 0)) {
        bus_subscriber_retry(subscriber);
    }
}

/* The last log was read, or its room is not wanted any more. */
static void raise_barrier(struct bus_subscriber *subscriber)
{
    if (subscriber->hold.count > 0 || !list_empty(&subscriber->caught_up)) {
        subscriber->barrier = subscriber->probe_sent + 1;
        bus_catch_up_send_barrier(subscriber);
    }
}

static void one_less_behind(struct bus_subscriber *subscriber)
{
    if (--subscriber->behind == 0) {
        raise_barrier(subscriber);
    }
}

/* --- Reading logs --- */

static void read_free(struct read *read)
{
    list_remove(&read->node);
    bus_log_cancel(&read->query);
    free(read);
}

/* The channel that the answer is for; NULL where it is not that any more. */
static struct bus_channel *channel_of(const struct read *read)
{
    struct bus_subscriber *subscriber = read->subscriber;
    struct bus_channel *channel =
        bus_subscriber_find(subscriber, str_range(read->room, read->room_len));
    bool same = channel && channel->state == BUS_CHANNEL_BEHIND && channel->asked == read->asked &&
                redis_link_epoch(subscriber->link) == read->epoch;
    return same ? channel : NULL;
}

static struct bus_history history_of(const struct bus_subscriber *subscriber, struct str room)
{
    struct room_name name;
    return room_name_parse(room, &name) ? (struct bus_history){0}
                                        : subscriber->options->history[name.kind];
}

/* Nothing can be proved: whoever waits for the room's events is told, and goes on without. */
static bool give_up(struct bus_subscriber *subscriber, struct bus_channel *channel,
                    const struct bus_log_page *page)
{
    struct bus_envelope first;
    uint64_t from = page ? page->clock : 0;
    if (page && page->count > 0) {
        from = bus_log_envelope(page, 0, &first) ? 0 : first.previous;
    }
    channel->last_id = from > channel->last_id ? from : channel->last_id;
    return bus_subscriber_tell_gap(subscriber, channel);
}

static void hold_page(struct bus_subscriber *subscriber, struct read *read,
                      const struct bus_log_page *page)
{
    struct str room = str_range(read->room, read->room_len);
    read->position.since = page->last;
    for (size_t i = 0; i < page->count; i++) {
        struct bus_envelope envelope;
        if (bus_log_envelope(page, i, &envelope)) {
            continue;
        }
        subscriber->stats.recovered++;
        bus_catch_up_hold(subscriber, room, envelope.id, bus_log_entry(page, i));
        if (subscriber->behind == 0) {
            return; /* started over */
        }
    }
}

static void on_page(struct bus_log_query *query, const struct bus_log_page *page);

static enum err ask(struct read *read)
{
    struct bus_subscriber *subscriber = read->subscriber;
    struct bus_log_read asked = {.room = str_range(read->room, read->room_len),
                                 .since = read->position.since};
    return bus_log_ask(subscriber->store, &subscriber->keys, &asked, on_page, &read->query);
}

/* A log that Redis refuses is not asked for again at the next break. */
static void caught_up(struct bus_subscriber *subscriber, struct bus_channel *channel,
                      const struct bus_log_page *last)
{
    channel->state = BUS_CHANNEL_CAUGHT_UP;
    channel->read_to = last ? last->clock : UINT64_MAX;
    list_push_back(&subscriber->caught_up, &channel->batch);
    subscriber->stats.caught_up++;
    one_less_behind(subscriber);
}

/* Whether the channel is still to be caught up with. */
static bool take_page(struct read *read, struct bus_channel *channel,
                      const struct bus_log_page *page)
{
    struct bus_subscriber *subscriber = read->subscriber;
    bool reaches =
        page &&
        (!read->first || bus_log_reaches(page, read->position,
                                         history_of(subscriber, bus_channel_room_name(channel))));
    read->first = false;
    if (!reaches && !give_up(subscriber, channel, page)) {
        return false;
    }
    if (page) {
        hold_page(subscriber, read, page);
    }
    return channel_of(read) == channel;
}

/* What is done with a page may have all start over: meanwhile the read is on no list. */
static void on_page(struct bus_log_query *query, const struct bus_log_page *page)
{
    struct read *read = container_of(query, struct read, query);
    struct bus_subscriber *subscriber = read->subscriber;
    list_remove(&read->node);
    struct bus_channel *channel = channel_of(read);
    if (!channel || !take_page(read, channel, page)) {
        free(read);
    } else if (!page || !page->more) {
        free(read);
        caught_up(subscriber, channel, page);
    } else if (!ask(read)) {
        list_push_back(&subscriber->reads, &read->node);
    } else {
        free(read);
        bus_catch_up_start_over(subscriber, "no memory to catch up");
    }
}

static uint64_t as_of(const struct bus_subscriber *subscriber, const struct bus_channel *channel)
{
    return subscriber->passed[partition_of(subscriber, channel)].time;
}

static void start_read(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    struct str room = bus_channel_room_name(channel);
    channel->state = BUS_CHANNEL_BEHIND;
    struct read *read = calloc(1, sizeof *read + room.len);
    if (read) {
        *read = (struct read){.subscriber = subscriber,
                              .position = {channel->last_id, as_of(subscriber, channel)},
                              .first = true,
                              .epoch = redis_link_epoch(subscriber->link),
                              .asked = channel->asked,
                              .room_len = (unsigned char)room.len};
        memcpy(read->room, room.ptr, room.len);
        list_init(&read->node);
        list_push_back(&subscriber->reads, &read->node);
    }
    if (!read || ask(read)) {
        if (read) {
            read_free(read);
        }
        bus_catch_up_start_over(subscriber, "no memory to catch up");
    }
}

void bus_catch_up_break(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    subscriber->stats.breaks++;
    subscriber->behind++;
    channel->known = true;
    list_remove(&channel->batch);
    start_read(subscriber, channel);
}

/* --- Places in the order --- */

static void stamp_free(struct stamp *stamp)
{
    list_remove(&stamp->node);
    bus_log_cancel(&stamp->query);
    free(stamp);
}

static void become_live(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    channel->state = BUS_CHANNEL_LIVE;
    channel->known = true;
    subscriber->ops->on_live(subscriber->owner, channel);
}

/* No room was live before the first: so all that is older has been handed on. */
static void note_first_clock(struct bus_subscriber *subscriber, unsigned partition, uint64_t clock)
{
    if (subscriber->passed[partition].id == 0 && !bus_catch_up_holding(subscriber)) {
        subscriber->passed[partition].id = subscriber->seen[partition].id = clock;
    }
}

/* Where nothing was published yet: before all that will be. */
static uint64_t place_of(const struct bus_log_page *page)
{
    return page->clock > 0 ? page->clock : page->now_us - 1;
}

static void on_clock(struct bus_log_query *query, const struct bus_log_page *page)
{
    struct stamp *stamp = container_of(query, struct stamp, query);
    struct bus_subscriber *subscriber = stamp->subscriber;
    uint64_t clock = page ? place_of(page) : 0;
    list_remove(&stamp->node);
    for (struct list *node; (node = list_pop_front(&stamp->channels));) {
        struct bus_channel *channel = list_entry(node, struct bus_channel, batch);
        note_first_clock(subscriber, partition_of(subscriber, channel), clock);
        if (clock > channel->last_id) {
            channel->last_id = clock;
        }
        if (!page) {
            channel->read_to = UINT64_MAX; /* else the first event has all older ones read */
        }
        become_live(subscriber, channel);
    }
    free(stamp);
}

static void take_partition(struct bus_subscriber *subscriber, unsigned partition,
                           struct list *ret_channels)
{
    LIST_FOR_EACH (node, next, &subscriber->unstamped) {
        if (partition_of(subscriber, list_entry(node, struct bus_channel, batch)) == partition) {
            list_remove(node);
            list_push_back(ret_channels, node);
        }
    }
}

static enum err ask_clock(struct bus_subscriber *subscriber)
{
    struct stamp *stamp = calloc(1, sizeof *stamp);
    if (!stamp) {
        return ERR_NOMEM;
    }
    struct list *first = subscriber->unstamped.next;
    struct bus_log_read read = {
        .partition = partition_of(subscriber, list_entry(first, struct bus_channel, batch))};
    stamp->subscriber = subscriber;
    list_init(&stamp->channels);
    list_init(&stamp->node);
    enum err err =
        bus_log_ask(subscriber->store, &subscriber->keys, &read, on_clock, &stamp->query);
    if (err) {
        free(stamp);
        return err;
    }
    take_partition(subscriber, read.partition, &stamp->channels);
    list_push_back(&subscriber->stamps, &stamp->node);
    return OK;
}

static void on_stamp(struct loop_task *task)
{
    struct bus_subscriber *subscriber = container_of(task, struct bus_subscriber, stamp);
    while (!list_empty(&subscriber->unstamped)) {
        if (ask_clock(subscriber)) {
            bus_subscriber_retry(subscriber);
            return;
        }
    }
}

static void start_stamp(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    channel->state = BUS_CHANNEL_STAMPING;
    channel->last_id = 0;
    list_push_back(&subscriber->unstamped, &channel->batch);
    loop_defer(subscriber->loop, &subscriber->stamp);
}

void bus_catch_up_confirmed(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    if (channel->known) {
        start_read(subscriber, channel);
    } else {
        start_stamp(subscriber, channel);
    }
}

/* --- Coming and going --- */

void bus_catch_up_forget(struct bus_subscriber *subscriber, struct bus_channel *channel)
{
    bool was_behind = channel->known && channel->state < BUS_CHANNEL_CAUGHT_UP;
    list_remove(&channel->batch);
    channel->known = false;
    if (was_behind) {
        one_less_behind(subscriber);
    }
}

static void forget_questions(struct bus_subscriber *subscriber)
{
    LIST_FOR_EACH (read, next, &subscriber->reads) {
        read_free(list_entry(read, struct read, node));
    }
    LIST_FOR_EACH (stamp, after, &subscriber->stamps) {
        stamp_free(list_entry(stamp, struct stamp, node));
    }
}

/* What was held is in the logs; the channels' places tell from where. */
void bus_catch_up_lost_connection(struct bus_subscriber *subscriber)
{
    hold_clear(&subscriber->hold);
    subscriber->barrier = 0;
    subscriber->behind = 0;
    for (struct map_node *node = NULL; (node = map_next(&subscriber->wanted, node));) {
        struct bus_channel *channel = container_of(node, struct bus_channel, by_room);
        channel->read_to = 0;
        subscriber->behind += channel->known;
        list_remove(&channel->batch);
    }
    forget_questions(subscriber);
}

void bus_catch_up_start_over(struct bus_subscriber *subscriber, const char *why)
{
    size_t partitions = subscriber->keys.partitions;
    subscriber->stats.lost++;
    bus_catch_up_lost_connection(subscriber);
    subscriber->behind = 0;
    memset(subscriber->passed, 0, partitions * sizeof *subscriber->passed);
    memset(subscriber->seen, 0, partitions * sizeof *subscriber->seen);
    for (struct map_node *node = NULL; (node = map_next(&subscriber->wanted, node));) {
        struct bus_channel *channel = container_of(node, struct bus_channel, by_room);
        channel->known = false;
        if (channel->state >= BUS_CHANNEL_STAMPING) {
            start_stamp(subscriber, channel);
        } else if (channel->state == BUS_CHANNEL_QUEUED) {
            list_push_back(&subscriber->queued, &channel->batch);
        }
    }
    bus_subscriber_rest(subscriber);
    subscriber->ops->on_lost(subscriber->owner, why);
}

void bus_catch_up_init(struct bus_subscriber *subscriber)
{
    list_init(&subscriber->unstamped);
    list_init(&subscriber->stamps);
    list_init(&subscriber->reads);
    list_init(&subscriber->caught_up);
    loop_task_init(&subscriber->stamp, on_stamp);
    loop_task_init(&subscriber->drain, on_drain);
}

void bus_catch_up_fini(struct bus_subscriber *subscriber)
{
    forget_questions(subscriber);
    hold_clear(&subscriber->hold);
    loop_task_cancel(&subscriber->stamp);
    loop_task_cancel(&subscriber->drain);
}

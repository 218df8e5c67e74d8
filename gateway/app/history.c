#include "app/history.h"

#include <stdlib.h>

/* A room's log while it is read. */
struct app_history_read {
    struct map_node by_room; /* of history->reading; a room has one at a time */
    struct app_history *history;
    struct app_room *room;
    struct bus_log_query query;
    struct list asking; /* those whom this read answers */
    struct list behind; /* those who came after it was sent */
    uint64_t since;     /* of the page that is asked for */
    uint64_t from;      /* what has been read reaches down to here without a hole */
    bool first;         /* no page has come yet */
    bool all;           /* the whole log is asked for */
    struct app_event **events;
    size_t count, capacity;
};

static void on_page(struct bus_log_query *query, const struct bus_log_page *page);

static struct str key_of(const struct map_node *node)
{
    return app_room_name(container_of(node, struct app_history_read, by_room)->room);
}

static struct app_history_read *reading(struct app_history *history, const struct app_room *room)
{
    struct map_node *node = map_find(&history->reading, app_room_name(room));
    return node ? container_of(node, struct app_history_read, by_room) : NULL;
}

static struct bus_history kept(const struct app_history *history, const struct app_room *room)
{
    struct room_name name;
    return room_name_parse(app_room_name(room), &name) ? (struct bus_history){0}
                                                       : history->bus->history[name.kind];
}

static void answer(struct app_history_wait *wait, bool complete)
{
    list_remove(&wait->node);
    wait->complete = complete;
    wait->ready(wait);
}

/* --- Reading --- */

static void read_free(struct app_history_read *read)
{
    map_remove(&read->history->reading, &read->by_room);
    bus_log_cancel(&read->query);
    while (read->count > 0) {
        app_event_unref(&read->events[--read->count]);
    }
    free(read->events);
    free(read);
}

static enum err send(struct app_history_read *read)
{
    const struct bus_subscriber_options *bus = read->history->bus;
    struct bus_log_read asked = {.room = app_room_name(read->room), .since = read->since};
    read->history->reads++;
    return bus_log_ask(bus_subscriber_store(read->history->subscriber), &bus->keys, &asked, on_page,
                       &read->query);
}

static uint64_t least_since(const struct list *asking)
{
    uint64_t least = UINT64_MAX;
    LIST_FOR_EACH (node, next, asking) {
        uint64_t since = list_entry(node, struct app_history_wait, node)->position.since;
        least = since < least ? since : least;
    }
    return least;
}

/* Who could not be answered is told so; what there is in memory is there. */
static void fail(struct app_history_read *read)
{
    struct list asking;
    list_init(&asking);
    list_splice_back(&asking, &read->asking);
    list_splice_back(&asking, &read->behind);
    read->history->failed++;
    read_free(read);
    while (!list_empty(&asking)) {
        answer(list_entry(asking.next, struct app_history_wait, node), false);
    }
}

static void begin(struct app_history_read *read)
{
    read->since = least_since(&read->asking);
    read->first = true;
    read->all = read->since == 0;
    if (send(read)) {
        fail(read);
    }
}

/* Whether nothing is missing between the position and the page. */
static bool reaches(const struct app_history_read *read, const struct bus_log_page *page,
                    struct bus_log_position position)
{
    struct bus_envelope first = {0};
    bool any = page->count > 0 && !bus_log_envelope(page, 0, &first);
    bool chained = any && (first.id <= position.since ||
                           (first.previous > 0 && first.previous <= position.since));
    /* Of what was before Redis lost everything, time proves nothing. */
    bool remembered = position.since >= bus_subscriber_epoch_began(read->history->subscriber);
    return chained ||
           (remembered && bus_log_reaches(page, position, kept(read->history, read->room)));
}

/* Each of those who ask knows another position. What is proved for one of them is so for the room.
 */
static void judge(struct app_history_read *read, const struct bus_log_page *page)
{
    struct bus_envelope first = {0};
    bool any = page->count > 0 && !bus_log_envelope(page, 0, &first);
    read->from = !any             ? app_recent_from(read->room)
                 : first.previous ? first.previous
                                  : first.id - 1;
    LIST_FOR_EACH (node, next, &read->asking) {
        struct app_history_wait *wait = list_entry(node, struct app_history_wait, node);
        wait->complete = reaches(read, page, wait->position);
        if (wait->complete && wait->position.since < read->from) {
            read->from = wait->position.since;
        }
    }
}

static enum err keep_event(struct app_history_read *read, struct app_event *event)
{
    if (read->count == read->capacity) {
        size_t capacity = read->capacity ? 2 * read->capacity : 16;
        struct app_event **events = realloc(read->events, capacity * sizeof(struct app_event *));
        if (!events) {
            return ERR_NOMEM;
        }
        read->events = events;
        read->capacity = capacity;
    }
    read->events[read->count++] = event;
    return OK;
}

/* Memory holds all after app_recent_from; what no client may get is not missed by anyone. */
static enum err keep_page(struct app_history_read *read, const struct bus_log_page *page)
{
    enum err err = OK;
    for (size_t i = 0; !err && i < page->count; i++) {
        struct bus_envelope envelope;
        struct app_event *event;
        const char *why;
        if (bus_log_envelope(page, i, &envelope)) {
            continue;
        }
        read->since = envelope.id;
        if (envelope.id > app_recent_from(read->room)) {
            break;
        }
        err = app_event_new(&envelope, &event, &why);
        if (err == ERR_INVALID) {
            err = OK;
        } else if (!err && (err = keep_event(read, event))) {
            app_event_unref(&event);
        }
    }
    return err;
}

static bool in_memory(const struct app_history_wait *wait)
{
    unsigned count = 0;
    if (app_recent_from(wait->room) <= wait->position.since) {
        return true;
    }
    for (const struct app_recent_entry *entry = app_recent_past(wait->room, 0);
         entry && count < wait->most; entry = app_recent_next(entry)) {
        count++;
    }
    return wait->most > 0 && (count >= wait->most || wait->room->recent_is_all);
}

static struct app_history_read *read_new(struct app_history *history, struct app_room *room)
{
    struct app_history_read *read = calloc(1, sizeof *read);
    if (!read) {
        return NULL;
    }
    read->history = history;
    read->room = room;
    list_init(&read->asking);
    list_init(&read->behind);
    if (map_insert(&history->reading, &read->by_room)) {
        free(read);
        return NULL;
    }
    return read;
}

/*
 * Answers from memory those for whom it is enough, and asks Redis once for all others. The room may
 * be gone with the last answer.
 */
static void ask_for(struct app_history *history, struct app_room *room, struct list *waits)
{
    struct app_history_read *read = NULL;
    while (!list_empty(waits)) {
        struct app_history_wait *wait = list_entry(waits->next, struct app_history_wait, node);
        if (in_memory(wait)) {
            history->from_memory++;
            answer(wait, true);
        } else if (read || (read = read_new(history, room))) {
            list_remove(&wait->node);
            list_push_back(&read->asking, &wait->node);
        } else {
            answer(wait, false);
        }
    }
    if (read) {
        begin(read);
    }
}

/* False: there was no memory for all of it. */
static bool remember(struct app_history_read *read)
{
    struct app_room *room = read->room;
    uint64_t from = read->from;
    if (from >= app_recent_from(room)) {
        return true;
    }
    app_recent_put_before(read->history->recent, room, read->events, read->count, from);
    read->count = 0;
    return app_recent_from(room) == from;
}

static void finish(struct app_history_read *read)
{
    struct app_history *history = read->history;
    struct app_room *room = read->room;
    struct list asking, behind;
    list_init(&asking);
    list_init(&behind);
    list_splice_back(&asking, &read->asking);
    list_splice_back(&behind, &read->behind);
    bool whole = remember(read);
    room->recent_is_all = whole && read->all && app_recent_from(room) <= read->from;
    read_free(read);
    while (!list_empty(&asking)) {
        struct app_history_wait *wait = list_entry(asking.next, struct app_history_wait, node);
        answer(wait, (wait->complete && whole) || (wait->most > 0 && in_memory(wait)));
    }
    if (!list_empty(&behind)) {
        ask_for(history, room, &behind);
    }
    app_recent_trim(history->recent);
}

static void on_page(struct bus_log_query *query, const struct bus_log_page *page)
{
    struct app_history_read *read = container_of(query, struct app_history_read, query);
    if (page && read->first) {
        judge(read, page);
    }
    read->first = false;
    bool kept_all = page && !keep_page(read, page);
    if (page && page->last > read->since) {
        read->since = page->last; /* its end may be no event */
    }
    bool more = kept_all && page->more && read->since <= app_recent_from(read->room);
    if (!kept_all || (more && send(read))) {
        fail(read);
    } else if (!more) {
        finish(read);
    }
}

/* --- Asking --- */

void app_history_init(struct app_history *history, struct bus_subscriber *subscriber,
                      const struct bus_subscriber_options *bus, struct app_recent *recent)
{
    *history = (struct app_history){.subscriber = subscriber, .bus = bus, .recent = recent};
    map_init(&history->reading, key_of);
}

void app_history_fini(struct app_history *history)
{
    map_fini(&history->reading);
}

void app_history_ask(struct app_history *history, struct app_history_wait *wait)
{
    struct app_room *room = wait->room;
    struct app_history_read *read = reading(history, room);
    struct list alone;
    list_init(&alone);
    list_init(&wait->node);
    list_push_back(read ? &read->behind : &alone, &wait->node);
    history->asked++;
    if (!read || in_memory(wait)) {
        list_remove(&wait->node);
        list_push_back(&alone, &wait->node);
        ask_for(history, room, &alone);
    }
}

void app_history_cancel(struct app_history_wait *wait)
{
    list_remove(&wait->node);
}

void app_history_forget(struct app_history *history, struct app_room *room)
{
    struct app_history_read *read = reading(history, room);
    if (read) {
        read_free(read);
    }
    app_recent_clear(history->recent, room, 0);
}

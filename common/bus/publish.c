#include "bus/publish.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "bus/envelope.h"
#include "bus/replicas.h"
#include "bus/script.h"
#include "util/list.h"

enum {
    ONCE_MAX = 512,                       /* bytes of an idempotency key */
    WAITING_BYTES_MAX = 64 * 1024 * 1024, /* of all calls without an answer */
    REFUSAL_MAX = 256,
    /* command, script, number of keys; clock, once; a log each; event, rooms, payload, seconds;
       three each */
    ARGS_MAX = 3 + 2 + BUS_ENVELOPE_ROOMS_MAX + 4 + 3 * BUS_ENVELOPE_ROOMS_MAX,
    ARGS_BEFORE_KEYS = 3,
};

struct bus_publisher {
    struct redis_link *link;
    const struct bus_publish_options *options;
    struct list publications; /* whose `done` is due */
    struct list held;         /* calls to be sent when none is in flight any more */
    struct bus_replicas *replicas;
    size_t in_flight;
    size_t waiting_bytes;
    uint64_t epoch; /* of the connection that has been given the script, 0: none */
    bool closing;
};

/* One bus_publish: as many calls as its rooms have partitions, one answer. */
struct publication {
    struct list node;
    struct bus_waiter waiter;        /* wants no replicas where none are waited for */
    struct bus_publisher *publisher; /* NULL when it was freed: nobody waits any more */
    bus_published_fn done;
    void *context;
    unsigned calls_left;
    enum err err; /* of the first call that failed */
    struct bus_published result;
    struct str refusal;
    char refusal_text[REFUSAL_MAX];
};

/* One run of the script. Keeps its arguments: Redis may have forgotten the script and want it
 * again. */
struct call {
    struct list node; /* while held */
    struct publication *publication;
    bool names;  /* its id is the publication's */
    bool by_sha; /* sent as EVALSHA */
    unsigned key_count;
    unsigned count; /* of keys and arguments */
    uint32_t lengths[ARGS_MAX];
    struct buf text; /* keys and arguments, one behind the other */
};

static void send_held(struct bus_publisher *publisher);

/* --- A call's arguments --- */

static enum err add_bytes(struct call *call, struct str bytes)
{
    enum err err = buf_append(&call->text, bytes);
    if (!err) {
        call->lengths[call->count++] = (uint32_t)bytes.len;
    }
    return err;
}

static enum err add_number(struct call *call, uint64_t number)
{
    size_t before = call->text.len;
    enum err err = buf_append_u64(&call->text, number);
    if (!err) {
        call->lengths[call->count++] = (uint32_t)(call->text.len - before);
    }
    return err;
}

/* What `err` of a name builder and the length of its name make of the next argument. */
static enum err added(struct call *call, size_t before, enum err err)
{
    if (!err) {
        call->lengths[call->count++] = (uint32_t)(call->text.len - before);
    }
    return err;
}

static bool is_in(const struct bus_publisher *publisher, const struct room_name *room,
                  unsigned partition)
{
    return bus_partition(&publisher->options->keys, room_name_str(room)) == partition;
}

static enum err add_keys(const struct bus_publisher *publisher, struct call *call,
                         const struct bus_event *event, unsigned partition)
{
    const struct bus_keys *keys = &publisher->options->keys;
    size_t before = call->text.len;
    enum err err = added(call, before, bus_clock_key(keys, partition, &call->text));
    before = call->text.len;
    if (!err && event->once.len > 0) {
        err = added(call, before, bus_once_key(keys, partition, event->once, &call->text));
    }
    for (unsigned i = 0; i < event->room_count && !err; i++) {
        if (is_in(publisher, &event->rooms[i], partition)) {
            before = call->text.len;
            err = added(call, before,
                        bus_log_key(keys, room_name_str(&event->rooms[i]), &call->text));
        }
    }
    call->key_count = call->count;
    return err;
}

static enum err add_room_list(struct call *call, const struct bus_event *event)
{
    size_t before = call->text.len;
    enum err err = OK;
    for (unsigned i = 0; i < event->room_count && !err; i++) {
        err = i > 0 ? buf_append_char(&call->text, ',') : OK;
        if (!err) {
            err = buf_append(&call->text, room_name_str(&event->rooms[i]));
        }
    }
    return added(call, before, err);
}

static enum err add_room(const struct bus_publisher *publisher, struct call *call,
                         const struct room_name *room)
{
    const struct bus_history *history = &publisher->options->history[room->kind];
    size_t before = call->text.len;
    enum err err =
        added(call, before,
              bus_channel_name(&publisher->options->keys, room_name_str(room), &call->text));
    if (!err) {
        err = add_number(call, history->length);
    }
    return err ? err : add_number(call, history->age_seconds);
}

static enum err add_arguments(const struct bus_publisher *publisher, struct call *call,
                              const struct bus_event *event, unsigned partition)
{
    enum err err = add_bytes(call, event->name);
    if (!err) {
        err = add_room_list(call, event);
    }
    if (!err) {
        err = add_bytes(call, event->payload);
    }
    if (!err) {
        err = add_number(call, event->once.len > 0 ? publisher->options->once_seconds : 0);
    }
    for (unsigned i = 0; i < event->room_count && !err; i++) {
        if (is_in(publisher, &event->rooms[i], partition)) {
            err = add_room(publisher, call, &event->rooms[i]);
        }
    }
    return err;
}

/* --- Lives of calls and publications --- */

static void call_free(struct call *call)
{
    buf_fini(&call->text);
    free(call);
}

static enum err call_new(const struct bus_publisher *publisher, const struct bus_event *event,
                         unsigned partition, struct call **ret_call)
{
    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        return ERR_NOMEM;
    }
    list_init(&call->node);
    buf_init(&call->text, 0);
    enum err err = add_keys(publisher, call, event, partition);
    if (!err) {
        err = add_arguments(publisher, call, event, partition);
    }
    if (err) {
        call_free(call);
        return err;
    }
    *ret_call = call;
    return OK;
}

static void tell(const struct publication *publication, enum err err)
{
    bool stored = err == OK || err == ERR_AGAIN || err == ERR_TIMEOUT;
    if (publication->done) {
        publication->done(publication->context, err, stored ? &publication->result : NULL,
                          publication->refusal);
    }
}

/* The last word about a publication; its publisher may be gone afterwards. */
static void conclude(struct publication *publication)
{
    list_remove(&publication->node);
    bus_replicas_leave(&publication->waiter);
    tell(publication, publication->err);
    free(publication);
}

/* All calls have their answers, but its replicas are to have them too. */
static bool goes_on_waiting(struct publication *publication)
{
    if (publication->waiter.wanted == 0 || publication->err || !publication->publisher) {
        return false;
    }
    publication->err = bus_replicas_written(publication->publisher->replicas, &publication->waiter);
    return publication->err == OK;
}

static void note_failure(struct publication *publication, enum err err, struct str refusal)
{
    if (publication->err) {
        return;
    }
    size_t len = refusal.len < REFUSAL_MAX ? refusal.len : REFUSAL_MAX;
    memcpy(publication->refusal_text, refusal.ptr, len);
    publication->refusal = (struct str){publication->refusal_text, len};
    publication->err = err;
}

static void finish_call(struct call *call)
{
    struct publication *publication = call->publication;
    struct bus_publisher *publisher = publication->publisher;
    if (publisher) {
        publisher->waiting_bytes -= call->text.len;
    }
    call_free(call);
    if (--publication->calls_left > 0) {
        return;
    }
    if (goes_on_waiting(publication)) {
        tell(publication, ERR_AGAIN);
    } else {
        conclude(publication);
    }
}

static void fail_call(struct call *call, enum err err, struct str refusal)
{
    note_failure(call->publication, err, refusal);
    finish_call(call);
}

/* What replicas have of it. */
static void on_waited(struct bus_waiter *waiter, enum err err, struct str refusal)
{
    struct publication *publication = container_of(waiter, struct publication, waiter);
    publication->result.replicas = waiter->confirmed;
    if (err == ERR_AGAIN) {
        tell(publication, err);
        return;
    }
    if (err) {
        note_failure(publication, err, refusal);
    }
    conclude(publication);
}

/* --- Answers --- */

static bool is_no_script(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR &&
           str_starts((struct str){reply->str, reply->len}, STR("NOSCRIPT"));
}

/* {id, duplicate, receivers} */
static enum err note_result(struct call *call, const redisReply *reply)
{
    struct bus_published *result = &call->publication->result;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_INTEGER ||
        reply->element[2]->type != REDIS_REPLY_INTEGER) {
        return ERR_IO;
    }
    uint64_t id;
    if (str_to_u64((struct str){reply->element[0]->str, reply->element[0]->len}, &id)) {
        return ERR_IO;
    }
    if (call->names) {
        result->id = id;
        result->duplicate = reply->element[1]->integer != 0;
    }
    result->receivers += (uint64_t)reply->element[2]->integer;
    return OK;
}

static void take_answer(struct call *call, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_call(call, ERR_DENIED, (struct str){reply->str, reply->len});
        return;
    }
    enum err err = note_result(call, reply);
    if (err) {
        fail_call(call, err, STR(""));
    } else {
        finish_call(call);
    }
}

static void on_reply(void *context, enum err err, const struct redisReply *reply)
{
    struct call *call = context;
    struct bus_publisher *publisher = call->publication->publisher;
    if (!publisher) {
        finish_call(call);
        return;
    }
    publisher->in_flight--;
    bool again = !err && call->by_sha && is_no_script(reply);
    if (again) {
        list_push_back(&publisher->held, &call->node);
        publisher->epoch = 0;
    }
    /* Last, because `done` may free the publisher. */
    if (publisher->in_flight == 0 && !list_empty(&publisher->held)) {
        send_held(publisher);
    }
    if (err) {
        fail_call(call, err, STR(""));
    } else if (!again) {
        take_answer(call, reply);
    }
}

/* --- Sending --- */

static enum err send_call(struct bus_publisher *publisher, struct call *call)
{
    struct str args[ARGS_MAX];
    char digits[4];
    struct buf number = {.data = digits, .cap = sizeof digits, .limit = sizeof digits};
    enum err err = buf_append_u64(&number, call->key_count);
    if (err) {
        return err;
    }
    uint64_t epoch = redis_link_epoch(publisher->link);
    call->by_sha = publisher->epoch == epoch;
    args[0] = call->by_sha ? STR("EVALSHA") : STR("EVAL");
    args[1] = call->by_sha ? bus_publish_script.sha : bus_publish_script.text;
    args[2] = buf_str(&number);
    const char *at = call->text.data;
    for (unsigned i = 0; i < call->count; i++) {
        args[ARGS_BEFORE_KEYS + i] = (struct str){at, call->lengths[i]};
        at += call->lengths[i];
    }
    err = redis_link_send(publisher->link, args, ARGS_BEFORE_KEYS + call->count, on_reply, call);
    if (!err) {
        publisher->epoch = epoch;
        publisher->in_flight++;
    }
    return err;
}

/*
 * Redis forgot the script in the middle of a pipeline. What it refused, and what was published
 * since, goes out in the old order now that nothing else is on its way.
 */
static void send_held(struct bus_publisher *publisher)
{
    struct list due, failed;
    list_init(&due);
    list_init(&failed);
    list_splice_back(&due, &publisher->held);
    for (struct list *node; (node = list_pop_front(&due));) {
        struct call *call = list_entry(node, struct call, node);
        enum err err = send_call(publisher, call);
        if (err) {
            note_failure(call->publication, err, STR(""));
            list_push_back(&failed, &call->node);
        }
    }
    bus_replicas_ask(publisher->replicas);
    for (struct list *node; (node = list_pop_front(&failed));) {
        finish_call(list_entry(node, struct call, node));
    }
}

/* Behind held calls a new one waits its turn. */
static enum err send_or_hold(struct bus_publisher *publisher, struct call *call)
{
    if (list_empty(&publisher->held)) {
        return send_call(publisher, call);
    }
    list_push_back(&publisher->held, &call->node);
    return OK;
}

/* --- Publishing --- */

static bool seen_before(const struct bus_publisher *publisher, const struct bus_event *event,
                        unsigned i, unsigned partition)
{
    for (unsigned j = 0; j < i; j++) {
        if (is_in(publisher, &event->rooms[j], partition)) {
            return true;
        }
    }
    return false;
}

static void free_calls(struct list *calls)
{
    for (struct list *node; (node = list_pop_front(calls));) {
        call_free(list_entry(node, struct call, node));
    }
}

/* One call for each partition, that of the first room first. */
static enum err make_calls(const struct bus_publisher *publisher, const struct bus_event *event,
                           struct publication *publication, struct list *calls)
{
    for (unsigned i = 0; i < event->room_count; i++) {
        unsigned partition =
            bus_partition(&publisher->options->keys, room_name_str(&event->rooms[i]));
        if (seen_before(publisher, event, i, partition)) {
            continue;
        }
        struct call *call;
        enum err err = call_new(publisher, event, partition, &call);
        if (err) {
            free_calls(calls);
            return err;
        }
        call->publication = publication;
        call->names = i == 0;
        publication->calls_left++;
        list_push_back(calls, &call->node);
    }
    return OK;
}

/* Before anything was sent an error is the caller's; afterwards it is the publication's. */
static enum err send_calls(struct bus_publisher *publisher, struct publication *publication,
                           struct list *calls)
{
    bool sent = false;
    if (publication->waiter.wanted > 0) {
        bus_replicas_join(publisher->replicas, &publication->waiter);
    }
    for (struct list *node; (node = list_pop_front(calls));) {
        struct call *call = list_entry(node, struct call, node);
        enum err err = send_or_hold(publisher, call);
        if (err && !sent) {
            call_free(call);
            free_calls(calls);
            return err;
        }
        publisher->waiting_bytes += call->text.len;
        sent = true;
        if (err) {
            fail_call(call, err, STR(""));
        }
    }
    bus_replicas_ask(publisher->replicas);
    list_push_back(&publisher->publications, &publication->node);
    return OK;
}

static enum err check(const struct bus_publisher *publisher, const struct bus_event *event)
{
    if (publisher->closing || redis_link_state(publisher->link) != REDIS_LINK_UP) {
        return ERR_CLOSED;
    }
    if (event->room_count == 0) {
        return ERR_INVALID;
    }
    bool fits = event->payload.len <= BUS_PAYLOAD_MAX && event->once.len <= ONCE_MAX &&
                event->room_count <= BUS_ENVELOPE_ROOMS_MAX &&
                publisher->waiting_bytes + event->payload.len <= WAITING_BYTES_MAX;
    return fits ? OK : ERR_LIMIT;
}

/* NULL without memory. */
static struct publication *publication_new(struct bus_publisher *publisher,
                                           const struct bus_event *event, bus_published_fn done,
                                           void *context)
{
    struct publication *publication = calloc(1, sizeof *publication);
    if (publication) {
        list_init(&publication->node);
        list_init(&publication->waiter.node);
        publication->waiter.wanted = event->replicas;
        publication->waiter.until_ms = event->until_ms;
        publication->publisher = publisher;
        publication->done = done;
        publication->context = context;
    }
    return publication;
}

enum err bus_publish(struct bus_publisher *publisher, const struct bus_event *given,
                     bus_published_fn done, void *context)
{
    struct bus_event event = *given;
    if (publisher->options->once_seconds == 0) {
        event.once = STR(""); /* not to be remembered */
    }
    enum err err = check(publisher, &event);
    if (err) {
        return err;
    }
    struct publication *publication = publication_new(publisher, &event, done, context);
    if (!publication) {
        return ERR_NOMEM;
    }
    struct list calls;
    list_init(&calls);
    err = make_calls(publisher, &event, publication, &calls);
    if (!err) {
        err = send_calls(publisher, publication, &calls);
    }
    if (err) {
        bus_replicas_leave(&publication->waiter);
        free(publication);
    }
    return err;
}

/* --- Birth and death --- */

struct bus_publisher *bus_publisher_new(struct redis_link *link,
                                        const struct bus_publish_options *options)
{
    struct bus_publisher *publisher = calloc(1, sizeof *publisher);
    struct bus_replicas *replicas =
        publisher ? bus_replicas_new(link, options->wait_max_ms, on_waited) : NULL;
    if (!replicas) {
        free(publisher);
        return NULL;
    }
    publisher->link = link;
    publisher->options = options;
    publisher->replicas = replicas;
    list_init(&publisher->publications);
    list_init(&publisher->held);
    return publisher;
}

/* Calls in flight stay with the link until it answers or closes; they have nobody to tell any more.
 */
void bus_publisher_free(struct bus_publisher *publisher)
{
    if (!publisher) {
        return;
    }
    publisher->closing = true;
    for (struct list *node; (node = list_pop_front(&publisher->publications));) {
        struct publication *publication = list_entry(node, struct publication, node);
        bus_published_fn done = publication->done;
        void *context = publication->context;
        publication->publisher = NULL;
        publication->done = NULL;
        bus_replicas_leave(&publication->waiter);
        if (publication->calls_left == 0) {
            free(publication); /* its replicas were all that it waited for */
        }
        done(context, ERR_CLOSED, NULL, STR(""));
    }
    for (struct list *node; (node = list_pop_front(&publisher->held));) {
        finish_call(list_entry(node, struct call, node));
    }
    bus_replicas_free(publisher->replicas);
    free(publisher);
}

#include "bus/store.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/list.h"

enum {
    IN_FLIGHT_MAX = 1024, /* of the others each waits its turn */
    ARGS_BEFORE_KEYS = 3, /* EVALSHA, the script, the number of keys */
    RETRY_MS = 100,       /* after a refusal that passes */
};

struct bus_request {
    struct list node;
    struct bus_store *store;
    bus_answer_fn done; /* NULL: nobody wants to know */
    void *context;
    const struct bus_script *script; /* NULL: a plain command */
    char keys[4];                    /* how many of the arguments are keys, in digits */
    bool by_text;                    /* Redis does not know the script by its hash */
    bool sent;                       /* on its way: the link holds it */
    bool cancelled;                  /* while it was on its way */
    bool once;                       /* not to be repeated: nobody knows whether it was done */
    uint32_t count;
    uint32_t lengths[BUS_REQUEST_ARGS_MAX];
    char text[]; /* the arguments, one behind the other */
};

struct bus_store {
    struct loop *loop;
    const struct bus_store_ops *ops;
    void *owner;
    struct redis_link *link;
    struct list waiting; /* in the order of asking */
    struct list sent;
    struct list refused; /* to be sent again before those that wait */
    struct list lost;    /* sent on a connection that is going down */
    size_t count, in_flight;
    bool closing;
    struct wheel_timer retry; /* set while Redis is left in peace */
    struct loop_task pump;
    struct loop_reap reap;
};

static void on_pump(struct loop_task *task);

static void pump_later(struct bus_store *store)
{
    loop_defer(store->loop, &store->pump);
}

static void request_free(struct bus_request *request)
{
    list_remove(&request->node);
    request->store->count--;
    free(request);
}

/* --- Answers --- */

static bool begins(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_ERROR &&
           str_starts((struct str){reply->str, reply->len}, str_from(word));
}

/* What another moment, or another Redis, will not refuse. */
static bool passes(const redisReply *reply)
{
    static const char *const words[] = {"BUSY",     "LOADING",    "MASTERDOWN",
                                        "READONLY", "NOREPLICAS", "TRYAGAIN"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (begins(reply, words[i])) {
            return true;
        }
    }
    return false;
}

static void try_again(struct bus_request *request, const redisReply *reply)
{
    struct bus_store *store = request->store;
    list_remove(&request->node);
    list_push_back(&store->refused, &request->node);
    if (begins(reply, "NOSCRIPT")) {
        request->by_text = true;
        pump_later(store);
        return;
    }
    if (!wheel_timer_is_set(&store->retry)) {
        loop_timer_set(store->loop, &store->retry, RETRY_MS);
    }
    if (begins(reply, "READONLY")) {
        redis_link_renew(store->link, "Redis has become a replica");
    }
}

static void conclude(struct bus_request *request, const redisReply *reply)
{
    struct bus_store *store = request->store;
    bus_answer_fn done = request->cancelled ? NULL : request->done;
    void *context = request->context;
    bool told = reply && reply->type == REDIS_REPLY_ERROR && !request->cancelled;
    request_free(request);
    if (told) {
        store->ops->on_refused(store->owner, (struct str){reply->str, reply->len});
    }
    if (done) {
        done(context, reply);
    }
}

static void on_reply(void *context, enum err err, const struct redisReply *reply)
{
    struct bus_request *request = context;
    struct bus_store *store = request->store;
    store->in_flight--;
    request->sent = false;
    if (err && request->cancelled) {
        request_free(request);
        return;
    }
    if (err && request->once && !store->closing) {
        conclude(request, NULL);
        return;
    }
    if (err) {
        list_remove(&request->node);
        list_push_back(&store->lost, &request->node);
        return;
    }
    if (!list_empty(&store->waiting)) {
        pump_later(store);
    }
    bool again = (begins(reply, "NOSCRIPT") && !request->by_text) || passes(reply);
    if (again && !request->cancelled) {
        try_again(request, reply);
    } else {
        conclude(request, reply);
    }
}

/* --- Sending --- */

static enum err send(struct bus_request *request)
{
    struct str args[ARGS_BEFORE_KEYS + BUS_REQUEST_ARGS_MAX];
    size_t n = 0;
    if (request->script) {
        args[n++] = request->by_text ? STR("EVAL") : STR("EVALSHA");
        args[n++] = request->by_text ? request->script->text : request->script->sha;
        args[n++] = str_from(request->keys);
    }
    const char *at = request->text;
    for (uint32_t i = 0; i < request->count; i++) {
        args[n++] = (struct str){at, request->lengths[i]};
        at += request->lengths[i];
    }
    return redis_link_send(request->store->link, args, n, on_reply, request);
}

/* Moves all of `before` to the beginning of the waiting. */
static void put_before_waiting(struct bus_store *store, struct list *before)
{
    list_splice_back(before, &store->waiting);
    list_splice_back(&store->waiting, before);
}

static void pump(struct bus_store *store)
{
    put_before_waiting(store, &store->refused);
    while (!list_empty(&store->waiting) && store->in_flight < IN_FLIGHT_MAX) {
        struct list *first = store->waiting.next;
        enum err err = send(list_entry(first, struct bus_request, node));
        if (err == ERR_NOMEM) {
            loop_timer_set(store->loop, &store->retry, RETRY_MS);
        }
        if (err) {
            return; /* not up, or full: an answer or a connection starts it again */
        }
        list_remove(first);
        list_push_back(&store->sent, first);
        list_entry(first, struct bus_request, node)->sent = true;
        store->in_flight++;
    }
}

static void on_pump(struct loop_task *task)
{
    struct bus_store *store = container_of(task, struct bus_store, pump);
    if (!wheel_timer_is_set(&store->retry)) {
        pump(store);
    }
}

static void on_retry(struct wheel_timer *timer)
{
    pump(container_of(timer, struct bus_store, retry));
}

/* --- The connection --- */

static void on_up(void *owner)
{
    struct bus_store *store = owner;
    struct list before;
    list_init(&before);
    list_splice_back(&before, &store->waiting);
    store->ops->on_up(store->owner);
    list_splice_back(&store->waiting, &before);
    pump(store);
}

static void on_down(void *owner, enum err err, const char *why)
{
    struct bus_store *store = owner;
    put_before_waiting(store, &store->lost);
    put_before_waiting(store, &store->refused);
    store->ops->on_down(store->owner, err, why);
}

/* --- Birth and death --- */

struct bus_store *bus_store_new(struct loop *loop, const struct redis_link_options *redis,
                                const struct bus_store_ops *ops, void *owner)
{
    static const struct redis_link_ops link_ops = {.on_up = on_up, .on_down = on_down};
    struct bus_store *store = calloc(1, sizeof *store);
    if (!store) {
        return NULL;
    }
    *store = (struct bus_store){.loop = loop, .ops = ops, .owner = owner};
    list_init(&store->waiting);
    list_init(&store->sent);
    list_init(&store->refused);
    list_init(&store->lost);
    wheel_timer_init(&store->retry, on_retry);
    loop_task_init(&store->pump, on_pump);
    store->link = redis_link_new(loop, redis, &link_ops, store);
    if (!store->link) {
        free(store);
        return NULL;
    }
    return store;
}

static void reap(struct loop_reap *entry)
{
    free(container_of(entry, struct bus_store, reap));
}

static void forget_all(struct list *requests)
{
    LIST_FOR_EACH (node, next, requests) {
        request_free(list_entry(node, struct bus_request, node));
    }
}

void bus_store_free(struct bus_store *store)
{
    if (!store) {
        return;
    }
    store->closing = true;
    redis_link_free(store->link); /* hands over what was sent */
    forget_all(&store->lost);
    forget_all(&store->refused);
    forget_all(&store->sent);
    forget_all(&store->waiting);
    loop_timer_cancel(store->loop, &store->retry);
    loop_task_cancel(&store->pump);
    loop_reap(store->loop, &store->reap, reap);
}

/* --- Asking --- */

struct bus_request *bus_store_call(struct bus_store *store, const struct bus_script *script,
                                   size_t keys, const struct str *args, size_t count,
                                   bus_answer_fn done, void *context)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += args[i].len;
    }
    struct bus_request *request = calloc(1, sizeof *request + len);
    if (!request) {
        return NULL;
    }
    *request = (struct bus_request){.store = store,
                                    .done = done,
                                    .context = context,
                                    .script = script,
                                    .count = (uint32_t)count};
    snprintf(request->keys, sizeof request->keys, "%u", (unsigned)keys % 100);
    char *at = request->text;
    for (size_t i = 0; i < count; i++) {
        request->lengths[i] = (uint32_t)args[i].len;
        if (args[i].len > 0) {
            memcpy(at, args[i].ptr, args[i].len);
            at += args[i].len;
        }
    }
    list_init(&request->node);
    list_push_back(&store->waiting, &request->node);
    store->count++;
    pump_later(store);
    return request;
}

struct bus_request *bus_store_ask(struct bus_store *store, const struct str *args, size_t count,
                                  bus_answer_fn done, void *context)
{
    return bus_store_call(store, NULL, 0, args, count, done, context);
}

struct bus_request *bus_store_ask_once(struct bus_store *store, const struct str *args,
                                       size_t count, bus_answer_fn done, void *context)
{
    struct bus_request *request = bus_store_ask(store, args, count, done, context);
    if (request) {
        request->once = true;
    }
    return request;
}

void bus_store_cancel(struct bus_request *request)
{
    if (request && request->sent) {
        request->cancelled = true;
    } else if (request) {
        request_free(request);
    }
}

bool bus_store_connected(const struct bus_store *store)
{
    return redis_link_state(store->link) == REDIS_LINK_UP;
}

size_t bus_store_waiting(const struct bus_store *store)
{
    return store->count;
}

void bus_store_renew(struct bus_store *store, const char *why)
{
    redis_link_renew(store->link, why);
}

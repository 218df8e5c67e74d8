/*
 * The bus' second connection to Redis: for what Redis keeps, and for messages to other gateways. A
 * request is repeated until it has an answer, so it must be one that may be carried out twice; save
 * those of bus_store_ask_once. While Redis is away, or is a
 * replica, or busy, requests wait; how many there are is bounded by whoever asks.
 */
#ifndef BUS_STORE_H
#define BUS_STORE_H

#include <stddef.h>

#include "bus/script.h"
#include "loop/loop.h"
#include "redis/link.h"
#include "util/attr.h"
#include "util/str.h"

struct bus_store;
struct bus_request;
struct redisReply;

enum { BUS_REQUEST_ARGS_MAX = 16 };

struct bus_store_ops {
    /* The connection stands: what is asked from inside here is asked before all that waits. */
    void (*on_up)(void *owner);
    void (*on_down)(void *owner, enum err err, const char *why);
    /* Redis refused a request for good, in its words; the request's own callback follows. */
    void (*on_refused)(void *owner, struct str why);
};

/* The answer, borrowed; of type REDIS_REPLY_ERROR where Redis refused. The request is gone then. */
typedef void (*bus_answer_fn)(void *context, const struct redisReply *reply);

/* Borrows loop and options for its lifetime and connects at once. NULL without memory. */
struct bus_store *bus_store_new(struct loop *loop, const struct redis_link_options *redis,
                                const struct bus_store_ops *ops, void *owner);
/* What waits is forgotten without a word. NULL is fine. */
void bus_store_free(struct bus_store *store);

/* A command; copies its arguments. `done` comes later, never from inside. NULL without memory. */
struct bus_request *bus_store_ask(struct bus_store *store, const struct str *args, size_t count,
                                  bus_answer_fn done, void *context);
/*
 * A command that must not be carried out twice: where the connection is lost before the answer,
 * `done` is told NULL instead.
 */
struct bus_request *bus_store_ask_once(struct bus_store *store, const struct str *args,
                                       size_t count, bus_answer_fn done, void *context);
/* A script: `args` are its keys, then its arguments. */
struct bus_request *bus_store_call(struct bus_store *store, const struct bus_script *script,
                                   size_t keys, const struct str *args, size_t count,
                                   bus_answer_fn done, void *context);
/* It may be carried out all the same; `done` does not come. NULL is fine. */
void bus_store_cancel(struct bus_request *request);

bool bus_store_connected(const struct bus_store *store);
/* Requests without an answer yet. */
size_t bus_store_waiting(const struct bus_store *store);
/* Gives up a connection that is not to be trusted. */
void bus_store_renew(struct bus_store *store, const char *why);

#endif

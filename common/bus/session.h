/*
 * What connection state recovery needs of a client, as it stands in Redis: text of a line for the
 * client and a line a room. Whoever knows the pid and has the same user's token gets it.
 */
#ifndef BUS_SESSION_H
#define BUS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/keys.h"
#include "bus/store.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum { BUS_PID_LEN = 24, BUS_SESSION_ROOMS_MAX = 10002 };

struct bus_session {
    struct str gateway;      /* that the client is, or was, connected to */
    struct str epoch;        /* of the Redis that its events' ids are from */
    struct str sid;          /* its Socket.IO id */
    struct str sub, address; /* its user; address may be empty */
    uint64_t last_id;        /* of the last event that was sent to it; 0: none */
    uint64_t as_of;   /* microseconds since 1970 by Redis' clock: nothing was due to it until then
                         beyond last_id */
    struct str rooms; /* private: see bus_session_next */
};

struct bus_session_room {
    struct str name;
    uint64_t since; /* where it was entered: events up to this id are not due */
    bool visible;
};

/* Appends. INVALID: blanks or control bytes in a word, or no word at all. LIMIT, NOMEM. */
MUST_CHECK enum err bus_session_write(const struct bus_session *session, struct buf *out);
MUST_CHECK enum err bus_session_write_room(const struct bus_session_room *room, struct buf *out);
/* Views into `text`. PROTO: not of this form. */
MUST_CHECK enum err bus_session_parse(struct str text, struct bus_session *ret_session);
/* Takes the next room; false at the end. Every session that was parsed can be walked. */
bool bus_session_next(struct bus_session *session, struct bus_session_room *ret_room);

/* As bus_store_ask, each. Answers are read by the functions below. */

/* Asks for the session's text. */
struct bus_request *bus_session_load(struct bus_store *store, const struct bus_keys *keys,
                                     struct str pid, bus_answer_fn done, void *context);
/* Keeps the text for `ttl_ms`, whoever has the client: from now on it is the text's gateway. */
struct bus_request *bus_session_claim(struct bus_store *store, const struct bus_keys *keys,
                                      struct str pid, struct str text, uint64_t ttl_ms,
                                      bus_answer_fn done, void *context);
/* The same, unless another gateway than this, the text's, has the client. */
struct bus_request *bus_session_keep(struct bus_store *store, const struct bus_keys *keys,
                                     struct str pid, struct str gateway, struct str text,
                                     uint64_t ttl_ms, bus_answer_fn done, void *context);
/* Nobody is to come back to it. */
struct bus_request *bus_session_drop(struct bus_store *store, const struct bus_keys *keys,
                                     struct str pid);

/* What `load` brought, borrowed; empty where there is no such session. */
struct str bus_session_loaded(const struct redisReply *reply);
/* What became of `claim` or `keep`. */
enum bus_session_kept {
    BUS_SESSION_KEPT,
    BUS_SESSION_TAKEN,   /* another gateway has the client */
    BUS_SESSION_REFUSED, /* by Redis */
};
enum bus_session_kept bus_session_kept(const struct redisReply *reply);

#endif

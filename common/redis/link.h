/*
 * One connection to a Redis primary over the loop: asking sentinels where it is, connect, TLS,
 * AUTH, SELECT, pipelining, pushed messages, time limits, reconnecting with backoff and jitter.
 *
 * hiredis parses replies; the bytes are moved here, so that old and new hiredis behave alike. A
 * reply is borrowed until its callback returns; what it may cost in memory is bounded
 * (redis/replies.h).
 *
 * From its first SUBSCRIBE on, a connection is for subscriptions (and PING) alone.
 */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct redis_link;
struct redisReply;

/* Shared by gateway and publisher; one row each in their option tables (redis/options.def). */
struct redis_link_options {
    const char *host; /* and port: of the primary, where no sentinels are given */
    uint64_t port;
    const char *user;     /* NULL: AUTH with the password alone */
    const char *password; /* NULL: no AUTH */
    uint64_t db;
    bool tls;
    const char *tls_ca;             /* PEM file; NULL: the system's */
    const char *tls_cert, *tls_key; /* client certificate; NULL: none */
    const char *tls_server_name;    /* NULL: the host that is connected to */
    const char *client_name;        /* for CLIENT SETNAME; NULL: none */
    uint64_t connect_timeout_ms;    /* of asking sentinels, look-up, TCP, TLS and AUTH together */
    /*
     * No byte for so long while an answer is due: the link is broken. After half of it without a
     * byte the link itself asks, by PING.
     */
    uint64_t reply_timeout_ms;
    uint64_t backoff_min_ms, backoff_max_ms;
    bool reconnect; /* false: one attempt, then down for good */
    /*
     * "host:port,…": these are asked where the primary called `sentinel_master` is, with a user and
     * password of their own, by TLS if `tls`. NULL: none.
     */
    const char *sentinels, *sentinel_master;
    const char *sentinel_user, *sentinel_password;
    bool to_sentinel; /* the server is a sentinel: no primary, and without databases */
};

enum redis_link_state { REDIS_LINK_DOWN, REDIS_LINK_CONNECTING, REDIS_LINK_UP };

struct redis_link_ops {
    /* Authenticated and selected; commands may be sent. */
    void (*on_up)(void *owner);
    /*
     * The connection is lost, or an attempt failed; `why` says so in words for a log line. Every
     * waiting command has had its callback with CLOSED before. The link tries again by itself.
     *
     * DENIED: Redis refuses us, which trying again will hardly change. AGAIN: the server is loading
     * its data, or Sentinel named one that is no primary or cannot be reached, as happens in a
     * failover: trying again helps.
     */
    void (*on_down)(void *owner, enum err err, const char *why);
    /* A message of a subscription (the whole reply array: "message", "subscribe", …). NULL: none
     * expected. */
    void (*on_push)(void *owner, const struct redisReply *reply);
    /* All that has come for now was handed on, or as much as one turn should do. NULL: not wanted.
     */
    void (*on_rest)(void *owner);
};

/* reply is NULL unless err is OK; a Redis error reply is OK with type REDIS_REPLY_ERROR. */
typedef void (*redis_reply_fn)(void *context, enum err err, const struct redisReply *reply);

/* Starts connecting in the next turn. Borrows loop and options (strings too). NULL without memory.
 */
struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_options *options,
                                  const struct redis_link_ops *ops, void *owner);
/* Waiting commands get CLOSED. May be called from its callbacks. NULL is fine. */
void redis_link_free(struct redis_link *link);

enum redis_link_state redis_link_state(const struct redis_link *link);
/* How often it was up: differs where a command would go over another connection than before. */
uint64_t redis_link_epoch(const struct redis_link *link);
/* Connects now instead of when the backoff is over; also one that is down for good. */
void redis_link_retry_now(struct redis_link *link);
/* Gives a connection up that the owner has reason to distrust; on_down comes from inside. Nothing
 * while there is none. */
void redis_link_renew(struct redis_link *link, const char *why);

/*
 * Stops reading, so that what comes waits with Redis, until resumed or until the connection ends;
 * not before it is up. Its silence counts for nothing meanwhile. Idempotent, also from callbacks:
 * what was read already still comes.
 */
void redis_link_pause(struct redis_link *link);
void redis_link_resume(struct redis_link *link);

/*
 * Queues one command; all of a turn leave in one write. `reply` may be NULL for commands that are
 * answered by pushes (SUBSCRIBE, UNSUBSCRIBE). CLOSED: not up. LIMIT: too much is waiting. NOMEM.
 */
MUST_CHECK enum err redis_link_send(struct redis_link *link, const struct str *args, size_t count,
                                    redis_reply_fn reply, void *context);
/* Commands without an answer yet. */
size_t redis_link_pending(const struct redis_link *link);
/* How full it is: bytes queued and not yet written. */
size_t redis_link_queued_bytes(const struct redis_link *link);

#endif

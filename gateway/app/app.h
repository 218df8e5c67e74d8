/*
 * The application: GuessLyfe's clients, their rooms, and the events that reach them.
 *
 * Stands between the bus (rooms' channels) and Socket.IO (clients' sockets). Everything that
 * clients rely on is here; nothing of Engine.IO, WebSocket or HTTP is.
 */
#ifndef APP_APP_H
#define APP_APP_H

#include <stddef.h>
#include <stdint.h>

#include "app/auth.h"
#include "app/control.h"
#include "app/delivery.h"
#include "app/expiry.h"
#include "app/history.h"
#include "app/join.h"
#include "app/permit.h"
#include "app/recent.h"
#include "app/recovery.h"
#include "app/revocations.h"
#include "app/rooms.h"
#include "app/session.h"
#include "app/token_cache.h"
#include "app/walk.h"
#include "bus/subscriber.h"
#include "log/log.h"
#include "loop/loop.h"
#include "socketio/server.h"
#include "util/attr.h"

struct app_options {
    struct app_auth_options auth;
    uint64_t token_expiring_ms;    /* a client is told so long before its token's end; 0: never */
    uint64_t token_cache;          /* tokens known as good; 0: none */
    uint64_t token_cache_ttl_ms;   /* for so long at most */
    uint64_t subscribe_timeout_ms; /* for Redis to confirm a `subscribe` */
    uint64_t linger_ms;            /* a room stays subscribed after its last member left */
    uint64_t max_rooms;            /* visible rooms of one client */
    uint64_t max_idle_rooms;       /* rooms whose last member left and that are kept so, in all */
    struct bus_subscriber_options bus;
    uint64_t recovery_window_ms;       /* a client may come back for so long; 0: never */
    uint64_t recovery_bytes;           /* what may have been missed, and come meanwhile */
    uint64_t recent_bytes;             /* recent events in memory */
    uint64_t max_history;              /* events in one answer to `subscribe` */
    uint64_t max_connections_per_user; /* in all gateways; 0: any number */
    uint64_t heartbeat_ms;             /* from one entry in the registry to the next */
};

struct app_stats {
    size_t members;                     /* authenticated clients now */
    uint64_t connected;                 /* since the start, as are the following */
    uint64_t auth_missing;              /* CONNECT without a token */
    uint64_t auth_failed;               /* CONNECT with a bad one */
    uint64_t auth_revoked;              /* CONNECT with one that was revoked */
    uint64_t subscribed, refused;       /* by `subscribe` */
    uint64_t renewed, renewals_refused; /* by `authenticate` */
    uint64_t cut_off;   /* clients that were disconnected because events were missing */
    uint64_t revoked;   /* clients whose token was revoked while they were connected */
    uint64_t dismissed; /* clients that an operator disconnected */
};

struct app {
    struct loop *loop;
    const struct app_options *options;
    struct bus_subscriber *subscriber;
    struct app_token_cache tokens;
    struct app_expiry expiry;
    struct app_rooms rooms;
    struct app_joins joins;
    struct app_recent recent;
    struct app_history history;
    struct app_sessions sessions;
    struct app_delivery delivery;
    struct app_walks walks;
    struct app_revocations revocations;
    struct app_permits permits;
    struct app_control control;
    struct bus_listener close; /* another gateway has taken a client over */
    struct log_limit refusal_log, trouble_log;
    struct app_stats stats;
    struct app_recovery_stats recovery;
    struct list moves;                /* that wait for what is passed to move (app/move.c) */
    struct list recoveries;           /* that wait for what is passed to move (app/recovery.c) */
    void (*on_redis_up)(void *owner); /* see app_tell_redis_up */
    void *on_redis_up_owner;
};

/* Borrows loop and options for its lifetime; connects to Redis. NULL without memory. */
struct app *app_new(struct loop *loop, const struct app_options *options);
/* Of the options auth, subscribe_timeout_ms, linger_ms, max_rooms, max_idle_rooms and max_history
 * may have changed; what is known of tokens until now may be wrong. */
void app_options_changed(struct app *app);
/* All sockets must have been disconnected. NULL is fine. */
void app_free(struct app *app);
/*
 * Both connections to Redis stand again: `on_up` comes before anything else is asked of it. NULL:
 * nobody wants to know.
 */
void app_tell_redis_up(struct app *app, void (*on_up)(void *owner), void *owner);
/* Whether what is published reaches clients, and whoever has a bad token stays out. */
bool app_ready(const struct app *app);
/* The one namespace, "/": for sio_server_new. */
struct sio_namespace app_namespace(struct app *app);

#endif

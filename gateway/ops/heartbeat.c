#include "ops/heartbeat.h"

#include <stdio.h>
#include <unistd.h>

#include "ops/drain.h"
#include "util/clock.h"

enum { LAG_IS_OLD_MS = 10000 };

static struct bus_store *store_of(const struct ops_heartbeat *heartbeat)
{
    return bus_subscriber_store(heartbeat->sources.app->subscriber);
}

/* A name longer than an entry takes is cut. */
static void read_host(char host[BUS_HOST_MAX + 1])
{
    if (gethostname(host, BUS_HOST_MAX) < 0) {
        host[0] = '\0';
    }
    host[BUS_HOST_MAX] = '\0';
}

static uint64_t lag_ms(const struct app_delivery_stats *delivery, int64_t now_ms)
{
    return delivery->lag_at_ms + LAG_IS_OLD_MS > now_ms ? delivery->lag_ms : 0;
}

static void gather(struct ops_heartbeat *heartbeat)
{
    const struct app *app = heartbeat->sources.app;
    const struct eio_server_stats *engine = eio_server_stats(heartbeat->sources.engine);
    struct bus_gateway *entry = &heartbeat->entry;
    int64_t now_ms = clock_wall_ms();
    entry->time_ms = (uint64_t)now_ms;
    entry->polling = engine->polling;
    entry->websocket = engine->websocket;
    entry->clients = app->stats.members;
    entry->rooms = app->rooms.visible;
    entry->deliveries = app->delivery.stats.deliveries;
    entry->received = app->delivery.stats.messages;
    entry->queue_bytes = net_server_stats(heartbeat->sources.net)->queued_bytes;
    entry->lag_ms = lag_ms(&app->delivery.stats, now_ms);
    entry->probe_age_ms = bus_subscriber_probe_age_ms(app->subscriber);
    entry->max_connections = eio_server_max_sessions(heartbeat->sources.engine);
    entry->draining = ops_draining(heartbeat->sources.drain);
    entry->ready = app_ready(app) && !entry->draining;
}

static void on_written(void *context, const struct redisReply *reply)
{
    struct ops_heartbeat *heartbeat = context;
    (void)reply; /* a refusal was logged, and is not the gateway's end */
    heartbeat->request = NULL;
}

/* One that was not answered yet says no less than another one would. */
static void beat(struct ops_heartbeat *heartbeat)
{
    loop_timer_set(heartbeat->loop, &heartbeat->timer, heartbeat->interval_ms);
    if (heartbeat->request || !bus_store_connected(store_of(heartbeat))) {
        return;
    }
    gather(heartbeat);
    heartbeat->request = bus_registry_write(
        store_of(heartbeat), &heartbeat->sources.app->options->bus.keys, &heartbeat->entry,
        heartbeat->interval_ms * BUS_BEATS_MISSED, on_written, heartbeat);
}

static void on_timer(struct wheel_timer *timer)
{
    beat(container_of(timer, struct ops_heartbeat, timer));
}

/* The one that was asked before may have to be asked again, and says what was so then. */
static void on_redis_up(void *owner)
{
    struct ops_heartbeat *heartbeat = owner;
    bus_store_cancel(heartbeat->request);
    heartbeat->request = NULL;
    beat(heartbeat);
}

void ops_heartbeat_start(struct ops_heartbeat *heartbeat, struct loop *loop,
                         const struct ops_sources *sources, const struct bus_gateway *entry,
                         uint64_t interval_ms)
{
    *heartbeat = (struct ops_heartbeat){
        .loop = loop, .sources = *sources, .interval_ms = interval_ms, .entry = *entry};
    heartbeat->entry.pid = (uint64_t)getpid();
    heartbeat->entry.started_ms = (uint64_t)sources->started_ms;
    read_host(heartbeat->entry.host);
    wheel_timer_init(&heartbeat->timer, on_timer);
    app_tell_redis_up(sources->app, on_redis_up, heartbeat);
    beat(heartbeat);
}

void ops_heartbeat_now(struct ops_heartbeat *heartbeat)
{
    on_redis_up(heartbeat);
}

void ops_heartbeat_stop(struct ops_heartbeat *heartbeat)
{
    if (!heartbeat->loop) {
        return;
    }
    loop_timer_cancel(heartbeat->loop, &heartbeat->timer);
    app_tell_redis_up(heartbeat->sources.app, NULL, NULL);
    bus_store_cancel(heartbeat->request);
    if (bus_store_connected(store_of(heartbeat))) {
        bus_registry_remove(store_of(heartbeat), &heartbeat->sources.app->options->bus.keys,
                            str_from(heartbeat->entry.id));
    }
    *heartbeat = (struct ops_heartbeat){0};
}

#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "certificate.h"
#include "engineio/fleet.h"
#include "engineio/server.h"
#include "http/server.h"
#include "log/log.h"
#include "ops/answer.h"
#include "ops/drain.h"
#include "ops/heartbeat.h"
#include "ops/server.h"
#include "socketio/server.h"
#include "util/clock.h"
#include "util/rand.h"
#include "valve.h"
#include "workers/answers.h"

enum {
    LISTEN_BACKLOG = 4096,
    SLICE_US = 500,             /* longest stretch of one flushing pass */
    CONNECTIONS_PER_CLIENT = 2, /* a polling client holds a GET and a POST */
    CONNECTIONS_SPARE = 256,    /* for those that are only to be told 503 */
    ATTACHMENT_TIMEOUT_MS = 30000,
    SPARE_AFTER_MS = 2000, /* several round trips of a slow phone */
    CLIENT_JSON_DEPTH = 32,
};

enum { QUEUE_SHARE_OF_MISSED = 2, FAREWELL_MS = 1000 };

struct gateway {
    struct loop *loop;
    const struct gateway_settings *settings;
    char id[EIO_GATEWAY_ID_LEN + 1];
    struct app_options app_options;
    struct sio_server_options sio_options;
    struct eio_server_options eio_options;
    struct http_server_options http_options;
    struct sio_namespace namespace;
    struct http_handler handler;
    struct app *app;
    struct sio_server *sockets;
    struct eio_server *engine;
    struct http_server *http;
    struct valve valve;
    struct ops_sources sources;
    struct ops_server *ops;         /* of a gateway alone, … */
    struct worker_answers *answers; /* … or of a worker … */
    uint16_t supervisor_ops_port;   /* … whose supervisor listens there */
    struct ops_heartbeat heartbeat;
    struct ops_drain drain;
};

/* --- Settings that may change while the gateway runs --- */

static void change_app_options(struct app_options *options, const struct gateway_settings *settings)
{
    options->auth =
        (struct app_auth_options){.algorithm = (enum app_auth_algorithm)settings->jwt_algorithm,
                                  .secret = settings->jwt_secret,
                                  .issuer = settings->jwt_issuer,
                                  .audience = settings->jwt_audience,
                                  .leeway_s = settings->jwt_leeway_s};
    options->subscribe_timeout_ms = settings->subscribe_timeout_ms;
    options->linger_ms = settings->room_linger_ms;
    options->max_rooms = settings->max_rooms;
    /* As many as if every client had just left a page. */
    options->max_idle_rooms = settings->max_connections;
    options->max_history = settings->max_history;
}

static void change_http_options(struct http_server_options *options,
                                const struct gateway_settings *settings)
{
    options->net.max_connections =
        settings->max_connections * CONNECTIONS_PER_CLIENT + CONNECTIONS_SPARE;
    options->head_timeout_ms = settings->header_timeout_ms;
    options->body_timeout_ms = settings->body_timeout_ms;
    options->idle_timeout_ms = settings->idle_timeout_ms;
    options->cors_origins = settings->cors_origins;
}

static void change_eio_options(struct eio_server_options *options,
                               const struct gateway_settings *settings)
{
    options->upgrade_timeout_ms = settings->upgrade_timeout_ms;
    options->max_sessions = settings->max_connections;
    options->max_packets_per_post = settings->max_packets_per_post;
    options->handshake_rate = settings->handshake_rate;
    options->handshake_burst = settings->handshake_burst;
}

/* The rooms look most of them up whenever they need them. */
static void change_options(struct gateway *gateway, const struct gateway_settings *settings)
{
    gateway->settings = settings;
    change_app_options(&gateway->app_options, settings);
    change_http_options(&gateway->http_options, settings);
    change_eio_options(&gateway->eio_options, settings);
    gateway->sio_options.connect_timeout_ms = settings->connect_timeout_ms;
}

/*
 * The files were good a moment ago, when the settings were checked. Those who are connected stay
 * with the certificate that they have seen.
 */
static void reload_certificate(struct gateway *gateway, const struct gateway_settings *settings)
{
    struct tls_context *context = NULL;
    struct buf complaint = {0};
    enum err err = certificate_load(settings, &context, &complaint);
    if (err) {
        const char *why = buf_cstr(&complaint);
        log_error("certificate not renewed", LOG_CSTR("why", why && *why ? why : err_name(err)));
    } else {
        net_server_set_tls(http_server_net(gateway->http), context);
        certificate_log(settings, context);
    }
    tls_context_unref(context);
    buf_fini(&complaint);
}

void gateway_reload(struct gateway *gateway, const struct gateway_settings *settings)
{
    change_options(gateway, settings);
    reload_certificate(gateway, settings);
    http_server_change(gateway->http, &gateway->http_options);
    app_options_changed(gateway->app);
}

/* --- Settings that may not --- */

static void fill_app_options(struct app_options *options, const struct gateway_settings *settings,
                             const char *gateway_id)
{
    *options = (struct app_options){
        .token_expiring_ms = settings->token_expiring_ms,
        .token_cache = settings->token_cache,
        .token_cache_ttl_ms = settings->token_cache_ttl_ms,
        .bus = {.keys = bus_settings_keys(&settings->bus),
                .redis = &settings->redis,
                .batch = (unsigned)settings->bus.batch,
                .gateway_id = gateway_id,
                .probe_interval_ms = settings->bus.probe_interval_ms},
        .recovery_window_ms = settings->recovery_window_ms,
        /* It is handed over in one go, and other things may be waiting. */
        .recovery_bytes = settings->client_queue_bytes / QUEUE_SHARE_OF_MISSED,
        .recent_bytes = settings->recent_bytes,
        .max_connections_per_user = settings->max_connections_per_user,
        .heartbeat_ms = settings->bus.heartbeat_ms,
    };
    bus_settings_history(&settings->bus, options->bus.history);
}

static void fill_http_options(struct http_server_options *options,
                              const struct gateway_settings *settings)
{
    *options = (struct http_server_options){
        .net = {.host = settings->host,
                .port = settings->worker_channel ? settings->worker_port : (uint16_t)settings->port,
                .reuse_port = settings->worker_channel != 0,
                .backlog = LISTEN_BACKLOG,
                .defer_accept = true,
                .queue_bytes = settings->client_queue_bytes,
                .stall_ms = settings->client_stall_ms,
                .slice_us = SLICE_US},
        .max_head = settings->max_header_bytes,
        .max_headers = settings->max_headers,
        .max_body = settings->max_payload,
    };
}

static void fill_options(struct gateway *gateway, const struct gateway_settings *settings)
{
    rand_id(gateway->id, EIO_GATEWAY_ID_LEN);
    fill_app_options(&gateway->app_options, settings, gateway->id);
    fill_http_options(&gateway->http_options, settings);
    gateway->sio_options = (struct sio_server_options){
        .spare_after_ms = SPARE_AFTER_MS,
        .attachment_timeout_ms = ATTACHMENT_TIMEOUT_MS,
        .max_attachments = settings->max_attachments,
        .max_payload = settings->max_payload,
        .max_depth = CLIENT_JSON_DEPTH,
    };
    gateway->eio_options = (struct eio_server_options){
        .path = STR("/socket.io/"),
        .ping_interval_ms = settings->ping_interval_ms,
        .ping_timeout_ms = settings->ping_timeout_ms,
        .max_payload = settings->max_payload,
        .queue_bytes = settings->client_queue_bytes,
    };
    change_options(gateway, settings);
}

static enum err join_fleet(struct gateway *gateway, const struct gateway_settings *settings)
{
    const struct eio_fleet_options options = {
        .subscriber = gateway->app->subscriber,
        .keys = &gateway->app_options.bus.keys,
        .gateway_id = gateway->id,
        .timeout_ms = settings->relay_timeout_ms,
        .max_bytes = settings->relay_bytes,
    };
    return eio_server_join_fleet(gateway->engine, &options);
}

static enum err open_ops(struct gateway *gateway, struct loop *loop,
                         const struct gateway_settings *settings, struct buf *complaint)
{
    gateway->sources = (struct ops_sources){.app = gateway->app,
                                            .engine = gateway->engine,
                                            .net = http_server_net(gateway->http),
                                            .drain = &gateway->drain,
                                            .started_ms = clock_wall_ms()};
    ops_drain_init(&gateway->drain, loop, gateway->app, gateway->engine, gateway->http);
    gateway->supervisor_ops_port = settings->worker_ops_port;
    return settings->worker_channel
               ? worker_answers_open(loop, settings->worker_channel, &gateway->sources,
                                     &gateway->answers)
               : ops_server_open(loop, settings->ops_host, (uint16_t)settings->ops_port,
                                 ops_answerer_of(&gateway->sources), &gateway->ops, complaint);
}

static void enter_registry(struct gateway *gateway, const struct gateway_settings *settings)
{
    struct bus_gateway entry = {
        .version = GUESSLYFE_VERSION,
        .worker = (unsigned)settings->worker,
        .port = gateway_port(gateway),
        .ops_port = gateway_ops_port(gateway),
        .ping_interval_ms = settings->ping_interval_ms,
        .ping_timeout_ms = settings->ping_timeout_ms,
    };
    memcpy(entry.id, gateway->id, sizeof gateway->id);
    ops_heartbeat_start(&gateway->heartbeat, gateway->loop, &gateway->sources, &entry,
                        settings->bus.heartbeat_ms);
}

/*
 * With nobody there any more, what Redis is to know of that is on its way, the end of the
 * gateway's entry in the registry among it. Where Redis does not answer, that is gone by itself
 * after a while.
 */
static void say_farewell(struct gateway *gateway)
{
    const struct bus_store *store = bus_subscriber_store(gateway->app->subscriber);
    uint64_t until = clock_monotonic_ms() + FAREWELL_MS;
    enum err err = OK;
    while (!err && bus_store_connected(store) && bus_store_waiting(store) > 0 &&
           clock_monotonic_ms() < until) {
        err = loop_turn(gateway->loop, 10);
    }
}

static enum err open_http(struct gateway *gateway, struct loop *loop,
                          const struct gateway_settings *settings, struct buf *complaint)
{
    struct http_server_options *options = &gateway->http_options;
    enum err err = certificate_load(settings, &options->net.tls, complaint);
    if (!err) {
        certificate_log(settings, options->net.tls);
        err = http_server_open(loop, options, &gateway->handler, 1, &gateway->http, complaint);
        tls_context_unref(options->net.tls);
        options->net.tls = NULL; /* the server has its own reference */
    }
    return err;
}

/* From the bus towards the clients, so that whoever calls is there before who is called back. */
static enum err open_rooms(struct gateway *gateway, struct loop *loop,
                           const struct gateway_settings *settings, struct buf *complaint)
{
    gateway->app = app_new(loop, &gateway->app_options);
    if (!gateway->app) {
        return ERR_NOMEM;
    }
    gateway->namespace = app_namespace(gateway->app);
    gateway->sockets = sio_server_new(loop, &gateway->sio_options, &gateway->namespace, 1);
    if (!gateway->sockets) {
        return ERR_NOMEM;
    }
    gateway->engine =
        eio_server_new(loop, &gateway->eio_options, sio_server_session_ops(), gateway->sockets);
    if (!gateway->engine) {
        return ERR_NOMEM;
    }
    enum err err = join_fleet(gateway, settings);
    if (err) {
        return err;
    }
    gateway->handler = eio_server_handler(gateway->engine);
    err = open_http(gateway, loop, settings, complaint);
    if (err) {
        return err;
    }
    eio_server_set_http(gateway->engine, gateway->http);
    valve_open(&gateway->valve, loop, http_server_net(gateway->http), gateway->app->subscriber);
    err = open_ops(gateway, loop, settings, complaint);
    if (!err) {
        enter_registry(gateway, settings);
    }
    return err;
}

enum err gateway_open(struct loop *loop, const struct gateway_settings *settings,
                      struct gateway **ret_gateway, struct buf *complaint)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway) {
        return ERR_NOMEM;
    }
    gateway->loop = loop;
    fill_options(gateway, settings);
    enum err err = open_rooms(gateway, loop, settings, complaint);
    if (err) {
        gateway_close(gateway);
        return err;
    }
    *ret_gateway = gateway;
    return OK;
}

void gateway_drain(struct gateway *gateway, void (*on_done)(void *owner), void *owner)
{
    if (!gateway_draining(gateway)) {
        ops_drain_begin(&gateway->drain, gateway->settings->drain_delay_ms,
                        gateway->settings->drain_window_ms, on_done, owner);
        ops_heartbeat_now(&gateway->heartbeat);
    }
}

bool gateway_draining(const struct gateway *gateway)
{
    return ops_draining(&gateway->drain);
}

void gateway_close(struct gateway *gateway)
{
    if (!gateway) {
        return;
    }
    valve_fini(&gateway->valve);
    ops_heartbeat_stop(&gateway->heartbeat);
    ops_drain_fini(&gateway->drain);
    ops_server_free(gateway->ops);
    worker_answers_close(gateway->answers);
    if (gateway->http) {
        http_server_stop(gateway->http);
    }
    eio_server_free(gateway->engine);
    http_server_free(gateway->http);
    sio_server_free(gateway->sockets);
    if (gateway->app) {
        say_farewell(gateway);
    }
    app_free(gateway->app);
    free(gateway);
}

bool gateway_is_worker(const struct gateway *gateway)
{
    return gateway->answers != NULL;
}

uint16_t gateway_port(const struct gateway *gateway)
{
    return net_server_port(http_server_net(gateway->http));
}

uint16_t gateway_ops_port(const struct gateway *gateway)
{
    return gateway->ops ? ops_server_port(gateway->ops) : gateway->supervisor_ops_port;
}

const struct net_server_stats *gateway_net_stats(const struct gateway *gateway)
{
    return net_server_stats(http_server_net(gateway->http));
}

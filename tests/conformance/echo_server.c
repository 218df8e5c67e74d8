/*
 * Echo server for protocol conformance: everything up to socketio, and nothing of the gateway's own
 * application. That it builds without app/ proves the wall between them.
 */
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"
#include "engineio/fleet.h"
#include "engineio/server.h"
#include "http/server.h"
#include "log/log.h"
#include "loop/loop.h"
#include "util/rand.h"

struct settings {
    bool engine; /* echo at Engine.IO level */
    struct http_server_options http;
    struct eio_server_options eio;
    struct sio_server_options sio;
    struct redis_link_options redis; /* port 0: no fleet */
};

struct echo {
    struct settings settings;
    char id[EIO_GATEWAY_ID_LEN + 1];
    struct bus_subscriber_options bus_options;
    struct bus_subscriber *subscriber;
    struct loop *loop;
    struct sio_server *sio;
    struct eio_server *eio;
    struct http_server *http;
    struct http_handler handler;
    struct event *signals[2];
};

static const struct sio_namespace namespaces[] = {
    {.name = {"/", 1}, .ops = &echo_socketio_ops},
    {.name = {"/custom", 7}, .ops = &echo_socketio_ops},
};

/* Short intervals: what the public suites expect, and what makes tests of time-outs quick. */
static const struct settings defaults = {
    .http = {.net = {.host = "127.0.0.1",
                     .port = 3000,
                     .backlog = 511,
                     .max_connections = 10000,
                     .queue_bytes = 8 << 20,
                     .stall_ms = 10000,
                     .slice_us = 10000},
             .max_head = 16384,
             .max_headers = 64,
             .max_body = 1000000,
             .head_timeout_ms = 2000,
             .body_timeout_ms = 5000,
             .idle_timeout_ms = 60000,
             .cors_origins = "*"},
    .eio = {.path = {"/socket.io/", 11},
            .ping_interval_ms = 300,
            .ping_timeout_ms = 200,
            .upgrade_timeout_ms = 1000,
            .max_payload = 1000000,
            .max_sessions = 10000,
            .max_packets_per_post = 1000,
            .queue_bytes = 8 << 20},
    .sio = {.connect_timeout_ms = 1000,
            .spare_after_ms = 300,
            .attachment_timeout_ms = 500,
            .max_attachments = SIO_ATTACHMENTS_MAX,
            .max_payload = 1000000,
            .max_depth = 64},
    .redis = {.host = "127.0.0.1",
              .connect_timeout_ms = 2000,
              .reply_timeout_ms = 5000,
              .backoff_min_ms = 50,
              .backoff_max_ms = 500,
              .reconnect = true},
};

enum flag {
    FLAG_HOST,
    FLAG_PORT,
    FLAG_PATH,
    FLAG_PING_INTERVAL,
    FLAG_PING_TIMEOUT,
    FLAG_UPGRADE_TIMEOUT,
    FLAG_CONNECT_TIMEOUT,
    FLAG_CORS,
    FLAG_MAX_SESSIONS,
    FLAG_REDIS_PORT,
    FLAG_ENGINE,
    FLAG_DEBUG,
    FLAG_HELP,
};

static const struct option flags[] = {
    {"host", required_argument, NULL, FLAG_HOST},
    {"port", required_argument, NULL, FLAG_PORT},
    {"path", required_argument, NULL, FLAG_PATH},
    {"ping-interval", required_argument, NULL, FLAG_PING_INTERVAL},
    {"ping-timeout", required_argument, NULL, FLAG_PING_TIMEOUT},
    {"upgrade-timeout", required_argument, NULL, FLAG_UPGRADE_TIMEOUT},
    {"connect-timeout", required_argument, NULL, FLAG_CONNECT_TIMEOUT},
    {"cors", required_argument, NULL, FLAG_CORS},
    {"max-sessions", required_argument, NULL, FLAG_MAX_SESSIONS},
    {"redis-port", required_argument, NULL, FLAG_REDIS_PORT},
    {"engine", no_argument, NULL, FLAG_ENGINE},
    {"debug", no_argument, NULL, FLAG_DEBUG},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static void print_help(void)
{
    puts("echo_server: echoes Engine.IO messages, or Socket.IO events, for protocol tests.\n\n"
         "  --host ADDRESS --port PORT   where to listen (127.0.0.1, 3000; 0: any free port)\n"
         "  --path PATH                  of the endpoint (/socket.io/)\n"
         "  --engine                     echo at Engine.IO level, without Socket.IO\n"
         "  --ping-interval MS --ping-timeout MS (300, 200)\n"
         "  --upgrade-timeout MS --connect-timeout MS (1000, 1000)\n"
         "  --cors ORIGINS               comma list or * (*)\n"
         "  --max-sessions N             one more is answered 503 (10000)\n"
         "  --redis-port PORT            one of a fleet: sessions may be asked for at any of it\n"
         "  --debug                      log every step");
}

static uint64_t number(const char *text)
{
    uint64_t value;
    if (str_to_u64(str_from(text), &value)) {
        fprintf(stderr, "not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void set_flag(struct settings *settings, int flag, const char *value)
{
    switch (flag) {
    case FLAG_HOST:
        settings->http.net.host = value;
        break;
    case FLAG_PORT:
        settings->http.net.port = (uint16_t)number(value);
        break;
    case FLAG_PATH:
        settings->eio.path = str_from(value);
        break;
    case FLAG_PING_INTERVAL:
        settings->eio.ping_interval_ms = number(value);
        break;
    case FLAG_PING_TIMEOUT:
        settings->eio.ping_timeout_ms = number(value);
        break;
    case FLAG_UPGRADE_TIMEOUT:
        settings->eio.upgrade_timeout_ms = number(value);
        break;
    case FLAG_CONNECT_TIMEOUT:
        settings->sio.connect_timeout_ms = number(value);
        break;
    case FLAG_CORS:
        settings->http.cors_origins = value;
        break;
    case FLAG_MAX_SESSIONS:
        settings->eio.max_sessions = number(value);
        break;
    case FLAG_REDIS_PORT:
        settings->redis.port = number(value);
        break;
    case FLAG_ENGINE:
        settings->engine = true;
        break;
    case FLAG_DEBUG:
        log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, NULL, NULL);
        break;
    case FLAG_HELP:
        print_help();
        exit(0);
    default:
        exit(2);
    }
}

static void on_signal(evutil_socket_t number_of_signal, short what, void *context)
{
    (void)number_of_signal;
    (void)what;
    loop_stop(context);
}

static bool watch_signals(struct echo *echo)
{
    static const int wanted[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        echo->signals[i] = evsignal_new(loop_base(echo->loop), wanted[i], on_signal, echo->loop);
        if (!echo->signals[i] || event_add(echo->signals[i], NULL)) {
            return false;
        }
    }
    return signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

static bool open_layers(struct echo *echo)
{
    const struct settings *settings = &echo->settings;
    echo->sio = sio_server_new(echo->loop, &settings->sio, namespaces, ARRAY_LEN(namespaces));
    echo->eio = echo->sio
                    ? eio_server_new(echo->loop, &settings->eio,
                                     settings->engine ? &echo_engine_ops : sio_server_session_ops(),
                                     echo->sio)
                    : NULL;
    return echo->eio;
}

static void on_rooms(void *owner, struct bus_channel *channel)
{
    (void)owner;
    (void)channel;
}

static void on_room_message(void *owner, struct bus_channel *channel,
                            const struct bus_envelope *envelope)
{
    (void)owner;
    (void)channel;
    (void)envelope;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_lost(void *owner, const char *why)
{
    (void)owner;
    (void)why;
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    (void)owner;
    log_warn("message dropped", LOG_STR("channel", channel), LOG_ERR(err));
}

static void on_down(void *owner, enum err err, const char *why)
{
    (void)owner;
    log_warn("redis lost", LOG_ERR(err), LOG_CSTR("why", why));
}

static void on_refused(void *owner, struct str why)
{
    (void)owner;
    log_warn("redis refuses", LOG_STR("why", why));
}

/* An application without rooms. */
static const struct bus_subscriber_ops bus_ops = {
    .on_live = on_rooms,
    .on_message = on_room_message,
    .on_gap = on_rooms,
    .on_lost = on_lost,
    .on_passed = on_nothing,
    .on_garbage = on_garbage,
    .on_up = on_nothing,
    .on_down = on_down,
    .on_refused = on_refused,
};

/* One of a fleet, and not before the others can reach it. */
static bool join_fleet(struct echo *echo)
{
    rand_id(echo->id, EIO_GATEWAY_ID_LEN);
    echo->bus_options = (struct bus_subscriber_options){.keys = {STR("echo:"), 1},
                                                        .redis = &echo->settings.redis,
                                                        .batch = 16,
                                                        .gateway_id = echo->id,
                                                        .probe_interval_ms = 1000};
    echo->subscriber = bus_subscriber_new(echo->loop, &echo->bus_options, &bus_ops, echo);
    if (!echo->subscriber) {
        return false;
    }
    while (!bus_subscriber_ready(echo->subscriber)) {
        if (loop_turn(echo->loop, 100)) {
            return false;
        }
    }
    const struct eio_fleet_options options = {.subscriber = echo->subscriber,
                                              .keys = &echo->bus_options.keys,
                                              .gateway_id = echo->id,
                                              .timeout_ms = 2000,
                                              .max_bytes = 64 << 20};
    return !eio_server_join_fleet(echo->eio, &options);
}

static bool listen_for_clients(struct echo *echo)
{
    struct buf complaint;
    buf_init(&complaint, 0);
    echo->handler = eio_server_handler(echo->eio);
    enum err err = http_server_open(echo->loop, &echo->settings.http, &echo->handler, 1,
                                    &echo->http, &complaint);
    if (err) {
        fprintf(stderr, "%s: " STR_FMT "\n", err_name(err), STR_ARG(buf_str(&complaint)));
    }
    buf_fini(&complaint);
    return !err;
}

static void close_all(struct echo *echo)
{
    for (size_t i = 0; i < ARRAY_LEN(echo->signals); i++) {
        if (echo->signals[i]) {
            event_free(echo->signals[i]);
        }
    }
    if (echo->http) {
        http_server_stop(echo->http);
    }
    eio_server_free(echo->eio);
    http_server_free(echo->http);
    sio_server_free(echo->sio);
    bus_subscriber_free(echo->subscriber);
    loop_free(echo->loop);
}

static bool run(struct echo *echo)
{
    echo->loop = loop_new();
    if (!echo->loop || !watch_signals(echo) || !open_layers(echo) ||
        (echo->settings.redis.port > 0 && !join_fleet(echo)) || !listen_for_clients(echo)) {
        return false;
    }
    eio_server_set_http(echo->eio, echo->http);
    printf("listening on %s:%u\n", echo->settings.http.net.host,
           net_server_port(http_server_net(echo->http)));
    fflush(stdout);
    return loop_run(echo->loop) == OK;
}

int main(int argc, char **argv)
{
    struct echo echo = {.settings = defaults};
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        set_flag(&echo.settings, flag, optarg);
    }
    bool fine = run(&echo);
    close_all(&echo);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

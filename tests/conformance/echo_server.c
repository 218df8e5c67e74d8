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
#include "echo_fleet.h"
#include "engineio/server.h"
#include "http/server.h"
#include "log/log.h"
#include "loop/loop.h"

struct settings {
    bool engine;         /* echo at Engine.IO level */
    uint64_t redis_port; /* of those who share sessions; 0: alone */
    struct http_server_options http;
    struct eio_server_options eio;
    struct sio_server_options sio;
};

struct echo {
    struct settings settings;
    struct loop *loop;
    struct sio_server *sio;
    struct eio_server *eio;
    struct echo_fleet *fleet; /* NULL: alone */
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
    FLAG_ENGINE,
    FLAG_REDIS_PORT,
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
    {"engine", no_argument, NULL, FLAG_ENGINE},
    {"redis-port", required_argument, NULL, FLAG_REDIS_PORT},
    {"debug", no_argument, NULL, FLAG_DEBUG},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static void print_help(void)
{
    puts(
        "echo_server: echoes Engine.IO messages, or Socket.IO events, for protocol tests.\n\n"
        "  --host ADDRESS --port PORT   where to listen (127.0.0.1, 3000; 0: any free port)\n"
        "  --path PATH                  of the endpoint (/socket.io/)\n"
        "  --engine                     echo at Engine.IO level, without Socket.IO\n"
        "  --ping-interval MS --ping-timeout MS (300, 200)\n"
        "  --upgrade-timeout MS --connect-timeout MS (1000, 1000)\n"
        "  --cors ORIGINS               comma list or * (*)\n"
        "  --max-sessions N             one more is answered 503 (10000)\n"
        "  --redis-port PORT            share sessions with all echo servers that know this Redis\n"
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
    case FLAG_ENGINE:
        settings->engine = true;
        break;
    case FLAG_REDIS_PORT:
        settings->redis_port = number(value);
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
    return echo->eio &&
           (settings->redis_port == 0 ||
            echo_fleet_join(echo->loop, settings->redis_port, echo->eio, &echo->fleet) == OK);
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
    echo_fleet_free(echo->fleet);
    sio_server_free(echo->sio);
    loop_free(echo->loop);
}

static bool run(struct echo *echo)
{
    echo->loop = loop_new();
    if (!echo->loop || !watch_signals(echo) || !open_layers(echo) || !listen_for_clients(echo)) {
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

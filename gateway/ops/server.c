#include "ops/server.h"

#include <stdlib.h>

#include "ops/health.h"
#include "ops/metrics.h"
#include "ops/stats.h"

enum {
    CONNECTIONS_MAX = 64,
    ANSWER_MAX = 4 * 1024 * 1024,
    HEAD_MAX = 8192,
    HEADERS_MAX = 64,
    TIMEOUT_MS = 10000,
    SLICE_US = 10000,
    BACKLOG = 64,
};

struct ops_server {
    struct ops_sources sources;
    struct http_server_options options;
    struct http_handler handlers[4];
    struct http_server *http;
};

#define JSON STR("application/json")

/* Releases the body. */
static void answer(struct http_exchange *exchange, enum err err, unsigned status, struct str type,
                   struct buf *body)
{
    struct str extra = STR("Cache-Control: no-store\r\n");
    if (err) {
        http_respond(exchange, 500, JSON, extra, STR("{\"error\":\"out of memory\"}\n"));
    } else {
        http_respond(exchange, status, type, extra, buf_str(body));
    }
    buf_fini(body);
}

/* An empty body to write to; false: the request was answered, it is none that is answered here. */
static bool begin(struct http_exchange *exchange, const struct http_request *request,
                  struct buf *body)
{
    if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
        http_respond(exchange, 405, JSON, STR("Allow: GET, HEAD\r\n"),
                     STR("{\"error\":\"only GET is answered here\"}\n"));
        return false;
    }
    buf_init(body, ANSWER_MAX);
    return true;
}

/* Whoever answers here is alive; Redis may be away, which restarting would not mend. */
static void on_health(void *owner, struct http_exchange *exchange,
                      const struct http_request *request)
{
    const struct ops_server *server = owner;
    struct buf body;
    if (begin(exchange, request, &body)) {
        answer(exchange, ops_health_write(&server->sources, &body), 200, JSON, &body);
    }
}

static void on_readiness(void *owner, struct http_exchange *exchange,
                         const struct http_request *request)
{
    const struct ops_server *server = owner;
    struct buf body;
    if (begin(exchange, request, &body)) {
        bool ready = false;
        enum err err = ops_readiness_write(&server->sources, &ready, &body);
        answer(exchange, err, ready ? 200 : 503, JSON, &body);
    }
}

static void on_metrics(void *owner, struct http_exchange *exchange,
                       const struct http_request *request)
{
    const struct ops_server *server = owner;
    struct buf body;
    if (begin(exchange, request, &body)) {
        enum err err = ops_metrics_write(&server->sources, &body);
        answer(exchange, err, 200, STR(OPS_METRICS_TYPE), &body);
    }
}

static void on_stats(void *owner, struct http_exchange *exchange,
                     const struct http_request *request)
{
    const struct ops_server *server = owner;
    struct buf body;
    if (begin(exchange, request, &body)) {
        answer(exchange, ops_stats_write(server->sources.app, &body), 200, JSON, &body);
    }
}

static void fill_handlers(struct ops_server *server)
{
    server->handlers[0] = (struct http_handler){STR("/healthz"), true, on_health, server};
    server->handlers[1] = (struct http_handler){STR("/readyz"), true, on_readiness, server};
    server->handlers[2] = (struct http_handler){STR("/metrics"), true, on_metrics, server};
    server->handlers[3] = (struct http_handler){STR("/stats"), true, on_stats, server};
}

enum err ops_server_open(struct loop *loop, const char *host, uint16_t port,
                         const struct ops_sources *sources, struct ops_server **ret_server,
                         struct buf *complaint)
{
    struct ops_server *server = calloc(1, sizeof *server);
    if (!server) {
        return ERR_NOMEM;
    }
    server->sources = *sources;
    server->options = (struct http_server_options){
        .net = {.host = host,
                .port = port,
                .backlog = BACKLOG,
                .max_connections = CONNECTIONS_MAX,
                .queue_bytes = 2 * ANSWER_MAX,
                .stall_ms = TIMEOUT_MS,
                .slice_us = SLICE_US},
        .max_head = HEAD_MAX,
        .max_headers = HEADERS_MAX,
        .max_body = 0,
        .head_timeout_ms = TIMEOUT_MS,
        .body_timeout_ms = TIMEOUT_MS,
        .idle_timeout_ms = TIMEOUT_MS,
    };
    fill_handlers(server);
    enum err err = http_server_open(loop, &server->options, server->handlers,
                                    ARRAY_LEN(server->handlers), &server->http, complaint);
    if (err) {
        free(server);
        return err;
    }
    *ret_server = server;
    return OK;
}

void ops_server_free(struct ops_server *server)
{
    if (server) {
        http_server_free(server->http);
        free(server);
    }
}

uint16_t ops_server_port(const struct ops_server *server)
{
    return net_server_port(http_server_net(server->http));
}

#include "ops/server.h"

#include <stdlib.h>

#include "ops/exposition.h"

enum {
    CONNECTIONS_MAX = 64,
    HEAD_MAX = 8192,
    HEADERS_MAX = 64,
    TIMEOUT_MS = 10000,
    SLICE_US = 10000,
    BACKLOG = 64,
};

/* A path, and what is asked by it. */
struct page {
    struct ops_server *server;
    enum ops_question question;
};

struct ops_server {
    struct ops_answerer answerer;
    struct http_server_options options;
    struct page pages[OPS_QUESTIONS];
    struct http_handler handlers[OPS_QUESTIONS];
    struct http_server *http;
};

#define JSON STR("application/json")

static const char *const paths[] = {
    [OPS_HEALTH] = "/healthz",
    [OPS_READINESS] = "/readyz",
    [OPS_METRICS] = "/metrics",
    [OPS_STATS] = "/stats",
};

void ops_respond(struct http_exchange *exchange, enum ops_question question, enum err err,
                 unsigned status, struct str body)
{
    struct str extra = STR("Cache-Control: no-store\r\n");
    if (err) {
        http_respond(exchange, 500, JSON, extra, STR("{\"error\":\"out of memory\"}\n"));
    } else {
        struct str type = question == OPS_METRICS ? STR(OPS_METRICS_TYPE) : JSON;
        http_respond(exchange, status, type, extra, body);
    }
}

static void on_request(void *owner, struct http_exchange *exchange,
                       const struct http_request *request)
{
    const struct page *page = owner;
    const struct ops_answerer *answerer = &page->server->answerer;
    if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
        http_respond(exchange, 405, JSON, STR("Allow: GET, HEAD\r\n"),
                     STR("{\"error\":\"only GET is answered here\"}\n"));
    } else {
        answerer->on_question(answerer->owner, page->question, exchange);
    }
}

static void fill_handlers(struct ops_server *server)
{
    for (size_t i = 0; i < OPS_QUESTIONS; i++) {
        server->pages[i] = (struct page){server, (enum ops_question)i};
        server->handlers[i] = (struct http_handler){
            .prefix = str_from(paths[i]),
            .exact = true,
            .on_request = on_request,
            .owner = &server->pages[i],
        };
    }
}

enum err ops_server_open(struct loop *loop, const char *host, uint16_t port,
                         struct ops_answerer answerer, struct ops_server **ret_server,
                         struct buf *complaint)
{
    struct ops_server *server = calloc(1, sizeof *server);
    if (!server) {
        return ERR_NOMEM;
    }
    server->answerer = answerer;
    server->options = (struct http_server_options){
        .net = {.host = host,
                .port = port,
                .backlog = BACKLOG,
                .max_connections = CONNECTIONS_MAX,
                .queue_bytes = 2 * OPS_ANSWER_MAX,
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

#include "http/server.h"

#include <stdlib.h>

#include "http/internal.h"
#include "util/clock.h"

static bool matches(const struct http_handler *handler, struct str path)
{
    return handler->exact ? str_eq(path, handler->prefix) : str_starts(path, handler->prefix);
}

static void answer_preflight(struct http_exchange *exchange, const struct http_request *request)
{
    struct buf extra;
    buf_init(&extra, 0);
    bool made = http_cors_preflight(request, &extra) == OK;
    http_respond(exchange, made ? 204 : 503, STR(""), made ? buf_str(&extra) : STR(""), STR(""));
    buf_fini(&extra);
}

static const struct http_handler *handler_of(const struct http_server *server, struct str path)
{
    for (size_t i = 0; i < server->handler_count; i++) {
        if (matches(&server->handlers[i], path)) {
            return &server->handlers[i];
        }
    }
    return NULL;
}

bool http_server_body_begin(struct http_server *server, const struct http_request *request)
{
    const struct http_handler *handler = handler_of(server, request->path);
    return !handler || !handler->on_body_begin || handler->on_body_begin(handler->owner, request);
}

void http_server_body_end(struct http_server *server, const struct http_request *request)
{
    const struct http_handler *handler = handler_of(server, request->path);
    if (handler && handler->on_body_end) {
        handler->on_body_end(handler->owner, request);
    }
}

void http_server_route(struct http_server *server, struct http_exchange *exchange,
                       const struct http_request *request)
{
    const struct http_handler *handler = handler_of(server, request->path);
    if (request->method == HTTP_OPTIONS && server->cors.origins.ptr) {
        answer_preflight(exchange, request);
    } else if (handler) {
        handler->on_request(handler->owner, exchange, request);
    } else {
        http_respond(exchange, 404, STR("text/plain"), STR(""), http_reason(404));
    }
}

struct str http_server_date(struct http_server *server)
{
    int64_t second = clock_wall_ms() / 1000;
    if (second != server->date_second) {
        server->date_second = second;
        http_date(second, server->date);
    }
    return (struct str){server->date, HTTP_DATE_LEN};
}

static void on_accept(void *owner, struct net_conn *conn)
{
    http_conn_begin(owner, conn);
}

static const struct net_server_ops net_ops = {on_accept};

static void run_ready(struct loop_task *task)
{
    struct http_server *server = container_of(task, struct http_server, ready_task);
    struct list now;
    list_init(&now);
    list_splice_back(&now, &server->ready);
    for (struct list *node; (node = list_pop_front(&now));) {
        http_conn_continue(list_entry(node, struct http_rest, ready)->http);
    }
}

static void destroy(struct http_server *server)
{
    loop_task_cancel(&server->ready_task);
    buf_fini(&server->scratch);
    free(server->headers);
    free(server);
}

void http_server_change(struct http_server *server, const struct http_server_options *options)
{
    const char *origins = options->cors_origins;
    server->options.cors_origins = origins;
    server->cors.origins = origins ? str_from(origins) : (struct str){NULL, 0};
    server->options.head_timeout_ms = options->head_timeout_ms;
    server->options.body_timeout_ms = options->body_timeout_ms;
    server->options.idle_timeout_ms = options->idle_timeout_ms;
    if (server->net) {
        net_server_set_max_connections(server->net, options->net.max_connections);
    }
}

static struct http_server *make(struct loop *loop, const struct http_server_options *options,
                                const struct http_handler *handlers, size_t handler_count)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        return NULL;
    }
    *server = (struct http_server){
        .options = *options,
        .loop = loop,
        .handlers = handlers,
        .handler_count = handler_count,
        .date_second = -1,
    };
    http_server_change(server, options);
    list_init(&server->ready);
    loop_task_init(&server->ready_task, run_ready);
    server->headers = calloc(options->max_headers + 1, sizeof *server->headers);
    if (!server->headers) {
        destroy(server);
        return NULL;
    }
    return server;
}

enum err http_server_open(struct loop *loop, const struct http_server_options *options,
                          const struct http_handler *handlers, size_t handler_count,
                          struct http_server **ret_server, struct buf *complaint)
{
    struct http_server *server = make(loop, options, handlers, handler_count);
    if (!server) {
        return ERR_NOMEM;
    }
    enum err err = net_server_open(loop, &options->net, &net_ops, server, &server->net, complaint);
    if (err) {
        destroy(server);
        return err;
    }
    *ret_server = server;
    return OK;
}

void http_server_keep_none(struct http_server *server)
{
    server->stopping = true;
}

void http_server_stop(struct http_server *server)
{
    http_server_keep_none(server);
    net_server_stop(server->net);
}

void http_server_free(struct http_server *server)
{
    if (server) {
        server->handler_count = 0; /* their owners may be gone already */
        net_server_free(server->net);
        destroy(server);
    }
}

struct net_server *http_server_net(const struct http_server *server)
{
    return server->net;
}

bool http_server_allows_origin(const struct http_server *server, struct str origin)
{
    return !origin.ptr || http_cors_allows(&server->cors, origin);
}

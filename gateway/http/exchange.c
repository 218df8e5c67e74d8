#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "util/rcbuf.h"

struct http_conn *http_exchange_http(const struct http_exchange *exchange)
{
    return container_of(exchange, struct http_conn, exchange);
}

enum err http_exchange_begin(struct http_conn *http, const struct http_head *head)
{
    struct str origin = http_request_header(&head->request, STR("Origin"));
    http->exchange = (struct http_exchange){
        .head_only = head->request.method == HTTP_HEAD,
        .keep = head->keep_alive,
        .old = head->request.minor_version == 0,
    };
    if (!origin.ptr || !http->server->cors.origins.ptr) {
        return OK;
    }
    http->exchange.origin = str_dup(origin);
    return http->exchange.origin ? OK : ERR_NOMEM;
}

void http_exchange_begin_refused(struct http_conn *http, struct str head)
{
    struct str origin = http_head_origin(head);
    http->exchange = (struct http_exchange){.keep = false};
    if (origin.ptr) {
        http->exchange.origin = str_dup(origin); /* without memory the page can't read why */
    }
}

void http_exchange_end(struct http_exchange *exchange)
{
    free(exchange->origin);
    *exchange = (struct http_exchange){0};
}

/* Everything before the body, into the server's scratch. */
static enum err make_head(struct http_exchange *exchange, unsigned status, struct str type,
                          struct str extra, size_t length, bool keep)
{
    struct http_server *server = http_exchange_http(exchange)->server;
    struct buf *out = &server->scratch;
    struct http_response_head head = {
        .status = status,
        .content_type = type,
        .content_length = length,
        .date = http_server_date(server),
        .keep = keep,
        .old = exchange->old,
    };
    struct str origin = exchange->origin ? str_from(exchange->origin) : (struct str){NULL, 0};
    buf_clear(out);
    enum err err = http_response_begin(&head, out);
    if (!err) {
        err = http_cors_headers(&server->cors, origin, out);
    }
    if (!err) {
        err = buf_append(out, extra);
    }
    return err ? err : buf_append(out, STR("\r\n"));
}

static enum err send_bytes(struct net_conn *net, struct str head, struct str body)
{
    struct rcbuf *bytes = rcbuf_new(head.len + body.len);
    if (!bytes) {
        return ERR_NOMEM;
    }
    memcpy(bytes->data, head.ptr, head.len);
    if (body.len > 0) {
        memcpy(bytes->data + head.len, body.ptr, body.len);
    }
    enum err err = net_conn_send(net, bytes);
    rcbuf_unref(&bytes);
    return err;
}

static void answered(struct http_exchange *exchange, enum err err, bool keep)
{
    struct http_conn *http = http_exchange_http(exchange);
    if (err) {
        /* Part of an answer would be taken for something else. */
        net_conn_close(http->net, NET_CLOSED_ERROR);
    }
    http_exchange_end(exchange);
    http_conn_answered(http, keep && !err);
}

static bool is_kept(const struct http_exchange *exchange)
{
    return exchange->keep && !http_exchange_http(exchange)->server->stopping;
}

static bool has_body(const struct http_exchange *exchange, unsigned status)
{
    return !exchange->head_only && status != 204 && status != 304;
}

void http_respond(struct http_exchange *exchange, unsigned status, struct str content_type,
                  struct str extra, struct str body)
{
    struct http_conn *http = http_exchange_http(exchange);
    bool keep = is_kept(exchange);
    enum err err = make_head(exchange, status, content_type, extra, body.len, keep);
    if (!err) {
        err = send_bytes(http->net, buf_str(&http->server->scratch),
                         has_body(exchange, status) ? body : STR(""));
    }
    answered(exchange, err, keep);
}

void http_respond_shared(struct http_exchange *exchange, unsigned status, struct str content_type,
                         struct str extra, struct rcbuf *const *pieces, size_t count)
{
    struct http_conn *http = http_exchange_http(exchange);
    bool keep = is_kept(exchange);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += pieces[i]->len;
    }
    enum err err = make_head(exchange, status, content_type, extra, length, keep);
    if (!err) {
        err = send_bytes(http->net, buf_str(&http->server->scratch), STR(""));
    }
    for (size_t i = 0; i < count && !err && has_body(exchange, status); i++) {
        err = net_conn_send(http->net, pieces[i]);
    }
    answered(exchange, err, keep);
}

void http_exchange_close_after(struct http_exchange *exchange)
{
    exchange->keep = false;
}

void http_exchange_watch(struct http_exchange *exchange,
                         void (*on_abort)(struct http_exchange *exchange), void *owner)
{
    exchange->on_abort = on_abort;
    exchange->owner = owner;
}

void *http_exchange_owner(const struct http_exchange *exchange)
{
    return exchange->owner;
}

struct net_conn *http_exchange_conn(const struct http_exchange *exchange)
{
    return http_exchange_http(exchange)->net;
}

void http_upgrade(struct http_exchange *exchange, const struct net_conn_ops *ops, void *owner)
{
    struct http_conn *http = http_exchange_http(exchange);
    net_conn_set_owner(http->net, ops, owner);
    http_exchange_end(exchange);
    http->state = HTTP_GIVEN;
    http_conn_given(http);
}

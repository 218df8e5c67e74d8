#include <stdlib.h>

#include "http/internal.h"
#include "util/rcbuf.h"

/* What a step made of its input. */
enum outcome {
    STARVED, /* all that could be used was; more bytes are needed */
    WENT_ON, /* maybe another request is in the input */
    STOPPED, /* the connection waits, ends, or is no longer ours */
};

static void set_deadline(struct http_conn *http, uint64_t delay_ms)
{
    loop_timer_set(http->server->loop, &http->deadline, delay_ms);
}

static void free_upload(struct http_upload *upload)
{
    if (upload) {
        buf_fini(&upload->head);
        buf_fini(&upload->body);
        free(upload);
    }
}

static struct str rest_of(const struct http_conn *http)
{
    return http->rest ? buf_str(&http->rest->bytes) : STR("");
}

static void drop_rest(struct http_conn *http)
{
    struct http_rest *rest = http->rest;
    if (rest) {
        list_remove(&rest->ready);
        buf_fini(&rest->bytes);
        free(rest);
        http->rest = NULL;
    }
}

/* NOMEM; what was there before stays. */
static enum err add_to_rest(struct http_conn *http, struct str bytes)
{
    struct http_rest *rest = http->rest ? http->rest : calloc(1, sizeof *rest);
    if (!rest) {
        return ERR_NOMEM;
    }
    if (!http->rest) {
        rest->http = http;
        list_init(&rest->ready);
        http->rest = rest;
    }
    enum err err = buf_append(&rest->bytes, bytes);
    if (rest->bytes.len == 0) {
        drop_rest(http);
    }
    return err;
}

static void free_http(struct http_conn *http)
{
    loop_timer_cancel(http->server->loop, &http->deadline);
    http_exchange_end(&http->exchange);
    drop_rest(http);
    free_upload(http->upload);
    free(http);
}

/* Refuses a request in the handler's place; the connection does not outlive it. */
static enum outcome refuse(struct http_conn *http, unsigned status, struct str head)
{
    http_exchange_begin_refused(http, head);
    http->state = HTTP_ASKED;
    http_respond(&http->exchange, status, STR("text/plain"), STR(""), http_reason(status));
    return STOPPED;
}

enum after { MAY_STAY, MUST_CLOSE };

static enum outcome handle(struct http_conn *http, struct http_head *head, struct str body,
                           enum after after)
{
    loop_timer_cancel(http->server->loop, &http->deadline);
    if (http_exchange_begin(http, head)) {
        return refuse(http, 503, STR(""));
    }
    if (after == MUST_CLOSE) {
        http_exchange_close_after(&http->exchange);
    }
    head->request.body = body;
    http->state = HTTP_ASKED;
    http_server_route(http->server, &http->exchange, &head->request);
    return http->state == HTTP_IDLE && !net_conn_closing(http->net) ? WENT_ON : STOPPED;
}

static enum outcome send_continue(struct http_conn *http)
{
    struct rcbuf *bytes = rcbuf_copy(STR("HTTP/1.1 100 Continue\r\n\r\n"));
    enum err err = bytes ? net_conn_send(http->net, bytes) : ERR_NOMEM;
    rcbuf_unref(&bytes);
    if (err) {
        net_conn_close(http->net, NET_CLOSED_ERROR);
        return STOPPED;
    }
    return WENT_ON;
}

/* NULL without memory. */
static struct http_upload *upload_new(const struct http_server *server,
                                      const struct http_head *head, struct str head_bytes)
{
    struct http_upload *upload = calloc(1, sizeof *upload);
    if (!upload) {
        return NULL;
    }
    /* A limit of 0 would be none. */
    buf_init(&upload->body, server->options.max_body ? server->options.max_body : 1);
    upload->left = head->content_length;
    upload->is_chunked = head->chunked;
    if (buf_append(&upload->head, head_bytes)) {
        free_upload(upload);
        return NULL;
    }
    return upload;
}

/* The body is not all here: keeps the head and what there is, if anybody wants it. */
static enum outcome begin_body(struct http_conn *http, struct http_head *head, struct str bytes)
{
    if (!http_server_body_begin(http->server, &head->request)) {
        return handle(http, head, STR(""), MUST_CLOSE);
    }
    http->upload = upload_new(http->server, head, bytes);
    if (!http->upload) {
        http_server_body_end(http->server, &head->request);
        return refuse(http, 503, bytes);
    }
    http->state = HTTP_BODY_IN;
    set_deadline(http, http->server->options.body_timeout_ms);
    return head->expects_continue ? send_continue(http) : WENT_ON;
}

static enum err parse(struct http_conn *http, struct str bytes, struct http_head *ret_head,
                      unsigned *ret_status)
{
    struct http_server *server = http->server;
    return http_head_parse(bytes, server->headers, server->options.max_headers, ret_head,
                           ret_status);
}

static enum outcome starve_in_head(struct http_conn *http, struct str input)
{
    if (http->state == HTTP_IDLE && input.len > 0) {
        http->state = HTTP_HEAD_IN;
        set_deadline(http, http->server->options.head_timeout_ms);
    }
    return STARVED;
}

static enum outcome read_head(struct http_conn *http, struct str *input)
{
    const struct http_server_options *options = &http->server->options;
    struct http_head head;
    size_t size = 0, scanned = http->scanned;
    unsigned status = 0;
    enum err err = http_head_find(*input, options->max_head, &scanned, &size);
    http->scanned = (uint32_t)scanned;
    if (err == ERR_AGAIN) {
        return starve_in_head(http, *input);
    }
    if (err) {
        return refuse(http, err == ERR_LIMIT ? 431 : 400, *input);
    }
    struct str bytes = {input->ptr, size};
    http->scanned = 0;
    if (parse(http, bytes, &head, &status)) {
        return refuse(http, status, bytes);
    }
    *input = str_skip(*input, size);
    if (head.content_length > options->max_body) {
        return refuse(http, 413, bytes);
    }
    if (head.chunked || head.content_length > input->len) {
        return begin_body(http, &head, bytes);
    }
    struct str body = {input->ptr, (size_t)head.content_length};
    *input = str_skip(*input, body.len);
    return handle(http, &head, body, MAY_STAY);
}

/* In BODY_IN: whole or lost, nobody waits for the body any more. */
static void end_body(struct http_conn *http)
{
    struct http_head head;
    unsigned status;
    if (!parse(http, buf_str(&http->upload->head), &head, &status)) {
        http_server_body_end(http->server, &head.request);
    }
}

/* OK: the body is whole. */
static enum err take_body(struct http_upload *upload, struct str *input)
{
    if (upload->is_chunked) {
        return http_chunked_decode(&upload->chunked, input, &upload->body);
    }
    size_t n = input->len < upload->left ? input->len : (size_t)upload->left;
    enum err err = buf_append(&upload->body, (struct str){input->ptr, n});
    if (err) {
        return err;
    }
    *input = str_skip(*input, n);
    upload->left -= n;
    return upload->left ? ERR_AGAIN : OK;
}

static unsigned status_of(enum err err)
{
    return err == ERR_LIMIT ? 413 : err == ERR_PROTO ? 400 : 503;
}

static enum outcome read_body(struct http_conn *http, struct str *input)
{
    struct http_head head;
    unsigned status = 0;
    enum err err = take_body(http->upload, input);
    if (err == ERR_AGAIN) {
        return STARVED;
    }
    end_body(http);
    /* Out of the connection, which an upgrade or the next request may change meanwhile. */
    struct http_upload *upload = http->upload;
    http->upload = NULL;
    enum outcome outcome;
    if (err || parse(http, buf_str(&upload->head), &head, &status)) {
        outcome = refuse(http, err ? status_of(err) : status, buf_str(&upload->head));
    } else {
        outcome = handle(http, &head, buf_str(&upload->body), MAY_STAY);
    }
    free_upload(upload);
    return outcome;
}

static bool wants_input(const struct http_conn *http)
{
    return http->state <= HTTP_BODY_IN && !net_conn_closing(http->net);
}

/* Uses as many requests of the input as it may; what is left over stays in *input. */
static void consume(struct http_conn *http, struct str *input)
{
    enum outcome outcome = WENT_ON;
    while (outcome == WENT_ON && wants_input(http)) {
        if (http->state == HTTP_BODY_IN) {
            outcome = read_body(http, input);
        } else if (input->len == 0) {
            outcome = STARVED;
        } else {
            outcome = read_head(http, input);
        }
    }
}

static bool is_inside(struct str whole, struct str s)
{
    return whole.len > 0 && s.ptr >= whole.ptr && s.ptr < whole.ptr + whole.len;
}

/* Keeps what could not be used; more than a head of a peer that does not wait is left to TCP. */
static void keep_rest(struct http_conn *http, struct str rest)
{
    if (rest.len == 0 || http->state == HTTP_DONE) {
        drop_rest(http);
        return;
    }
    if (is_inside(rest_of(http), rest)) {
        buf_consume(&http->rest->bytes, http->rest->bytes.len - rest.len);
    } else if (add_to_rest(http, rest)) {
        net_conn_close(http->net, NET_CLOSED_ERROR);
        return;
    }
    if (http->state == HTTP_ASKED && rest_of(http).len > http->server->options.max_head) {
        net_conn_pause(http->net);
    }
}

static void give_away(struct http_conn *http, struct str rest)
{
    struct net_conn *net = http->net;
    if (rest.len > 0) {
        net_conn_deliver(net, rest);
    }
    free_http(http);
}

void http_conn_given(struct http_conn *http)
{
    if (!http->busy) { /* else run() does it */
        net_conn_resume(http->net);
        give_away(http, rest_of(http));
    }
}

static void run(struct http_conn *http, struct str input)
{
    http->busy = true;
    consume(http, &input);
    http->busy = false;
    if (http->state == HTTP_GIVEN) {
        give_away(http, input);
        return;
    }
    keep_rest(http, input);
    if (http->state == HTTP_IDLE) {
        set_deadline(http, http->server->options.idle_timeout_ms);
    }
}

static void on_read(struct net_conn *net, struct str bytes)
{
    struct http_conn *http = net_conn_owner(net);
    if (http->state == HTTP_DONE) {
        return;
    }
    if (http->state == HTTP_ASKED) {
        keep_rest(http, bytes);
        return;
    }
    if (!http->rest) {
        run(http, bytes);
        return;
    }
    if (add_to_rest(http, bytes)) {
        net_conn_close(net, NET_CLOSED_ERROR);
        return;
    }
    run(http, rest_of(http));
}

void http_conn_continue(struct http_conn *http)
{
    net_conn_resume(http->net);
    if (wants_input(http)) {
        run(http, rest_of(http));
    }
}

void http_conn_answered(struct http_conn *http, bool keep)
{
    if (!keep) {
        http->state = HTTP_DONE;
        loop_timer_cancel(http->server->loop, &http->deadline);
        net_conn_finish(http->net);
        return;
    }
    http->state = HTTP_IDLE;
    if (http->busy) {
        return;
    }
    if (http->rest) {
        if (!list_linked(&http->rest->ready)) {
            list_push_back(&http->server->ready, &http->rest->ready);
        }
        loop_defer(http->server->loop, &http->server->ready_task);
    } else {
        set_deadline(http, http->server->options.idle_timeout_ms);
    }
}

static void on_close(struct net_conn *net, enum net_close_reason reason)
{
    struct http_conn *http = net_conn_owner(net);
    (void)reason;
    if (http->state == HTTP_ASKED && http->exchange.on_abort) {
        http->exchange.on_abort(&http->exchange);
    } else if (http->state == HTTP_BODY_IN) {
        end_body(http);
    }
    free_http(http);
}

static const struct net_conn_ops conn_ops = {.on_read = on_read, .on_close = on_close};

static void on_deadline(struct wheel_timer *timer)
{
    struct http_conn *http = container_of(timer, struct http_conn, deadline);
    if (http->state == HTTP_IDLE) {
        net_conn_finish(http->net);
    } else if (http->state == HTTP_HEAD_IN) {
        refuse(http, 408, rest_of(http));
    } else if (http->state == HTTP_BODY_IN) {
        end_body(http);
        refuse(http, 408, buf_str(&http->upload->head));
    }
}

void http_conn_begin(struct http_server *server, struct net_conn *net)
{
    struct http_conn *http = calloc(1, sizeof *http);
    if (!http) {
        net_conn_close(net, NET_CLOSED_ERROR);
        return;
    }
    http->server = server;
    http->net = net;
    http->state = HTTP_IDLE;
    wheel_timer_init(&http->deadline, on_deadline);
    set_deadline(http, server->options.head_timeout_ms);
    net_conn_set_owner(net, &conn_ops, http);
}

#include "visitor.h"

#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <unistd.h>

#include "message.h"
#include "util/attr.h"

enum { TUNNEL_QUEUE = 1 << 20 }; /* bytes to one side at which the other is not read any more */

enum visitor_state {
    ASKING,    /* a request is being read, or awaited */
    WAITING,   /* the request is on its way to a server; nothing has come back */
    ANSWERING, /* the answer's head has come */
    TUNNEL,
    LEAVING, /* one side is gone; the other is closed as soon as everything is written to it */
};

struct visitor {
    struct list node; /* of all visitors */
    struct backends *backends;
    enum visitor_state state;
    struct bufferevent *client; /* NULL when it left a tunnel first */
    struct bufferevent *server; /* NULL while there is no request */
    struct backend *backend;
    bool connected; /* to the server, maybe since an earlier request */
    bool kept;      /* that connection was there before this request */
    unsigned tries;
    struct evbuffer *request; /* as it is sent, kept until an answer begins */
    struct message asked;
    uint64_t left; /* bytes of the answer's body that are still to come */
    bool endless;  /* it ends with the connection */
    bool server_closes;
};

static void drop_server(struct visitor *visitor)
{
    if (visitor->server != NULL) {
        bufferevent_free(visitor->server);
        visitor->server = NULL;
    }
}

static void visitor_free(struct visitor *visitor)
{
    list_remove(&visitor->node);
    drop_server(visitor);
    if (visitor->client != NULL) {
        bufferevent_free(visitor->client);
    }
    if (visitor->request != NULL) {
        evbuffer_free(visitor->request);
    }
    free(visitor);
}

/* The other side is gone; this one still gets what is written to it. */
static void linger(struct visitor *visitor, struct bufferevent *side)
{
    visitor->state = LEAVING;
    if (evbuffer_get_length(bufferevent_get_output(side)) == 0) {
        visitor_free(visitor);
        return;
    }
    bufferevent_disable(side, EV_READ);
}

/* The last that is done with the visitor. */
static void leave(struct visitor *visitor)
{
    drop_server(visitor);
    linger(visitor, visitor->client);
}

static void refuse(struct visitor *visitor, const char *status)
{
    evbuffer_add_printf(bufferevent_get_output(visitor->client),
                        "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
    leave(visitor);
}

static void on_server_read(struct bufferevent *server, void *arg);
static void on_server_event(struct bufferevent *server, short what, void *arg);
static void on_write(struct bufferevent *drained, void *arg);

/* --- To a server */

static void ask_next(struct visitor *visitor)
{
    drop_server(visitor);
    struct backends *backends = visitor->backends;
    visitor->backend = visitor->tries < backends_listed(backends) ? backends_next(backends) : NULL;
    if (visitor->backend != NULL) {
        visitor->server = backend_connection(backends, visitor->backend, &visitor->kept);
    }
    if (visitor->server == NULL) {
        refuse(visitor, "502 Bad Gateway");
        return;
    }
    visitor->tries++;
    visitor->connected = visitor->kept;
    visitor->backend->requests++;
    visitor->state = WAITING;
    bufferevent_setcb(visitor->server, on_server_read, on_write, on_server_event, visitor);
    bufferevent_enable(visitor->server, EV_READ | EV_WRITE);
    bufferevent_write(visitor->server, evbuffer_pullup(visitor->request, -1),
                      evbuffer_get_length(visitor->request));
}

/* Its connection is over, and there is no answer. */
static void on_no_answer(struct visitor *visitor)
{
    if (!visitor->connected) {
        backend_rest(visitor->backend);
        ask_next(visitor);
        return;
    }
    visitor->backend->cut++;
    if (!visitor->asked.safe) {
        refuse(visitor, "502 Bad Gateway");
        return;
    }
    visitor->tries -= visitor->kept; /* every kept connection of a server that restarts may fail */
    ask_next(visitor);
}

/* --- The request */

static void take_request(struct visitor *visitor)
{
    struct evbuffer *input = bufferevent_get_input(visitor->client);
    struct message *asked = &visitor->asked;
    enum message_result result = message_read(input, asked);
    if (result == MESSAGE_MORE) {
        return;
    }
    if (result == MESSAGE_BAD || asked->status != 0) {
        refuse(visitor, "400 Bad Request");
        return;
    }
    if (asked->body > REQUEST_BODY_MAX) {
        refuse(visitor, "413 Content Too Large");
        return;
    }
    if (evbuffer_get_length(input) < asked->head + asked->body) {
        return;
    }
    evbuffer_drain(visitor->request, evbuffer_get_length(visitor->request));
    message_move_head(input, visitor->request, asked, asked->upgrade, false);
    evbuffer_remove_buffer(input, visitor->request, asked->body);
    visitor->tries = 0;
    ask_next(visitor);
}

/* --- The answer */

static void end_answer(struct visitor *visitor)
{
    if (!visitor->server_closes && !visitor->endless) {
        backend_keep(visitor->backend, visitor->server);
        visitor->server = NULL;
    }
    if (visitor->asked.close || visitor->endless ||
        (visitor->asked.upgrade && visitor->server_closes)) {
        leave(visitor);
        return;
    }
    drop_server(visitor);
    visitor->state = ASKING;
    take_request(visitor);
}

static void move_body(struct visitor *visitor)
{
    struct evbuffer *input = bufferevent_get_input(visitor->server);
    size_t len = evbuffer_get_length(input);
    len = visitor->endless || len < visitor->left ? len : (size_t)visitor->left;
    evbuffer_remove_buffer(input, bufferevent_get_output(visitor->client), len);
    visitor->left -= visitor->endless ? 0 : len;
    if (visitor->left == 0 && !visitor->endless) {
        end_answer(visitor);
    }
}

static void move_all(struct bufferevent *from, struct bufferevent *to)
{
    evbuffer_add_buffer(bufferevent_get_output(to), bufferevent_get_input(from));
    if (evbuffer_get_length(bufferevent_get_output(to)) > TUNNEL_QUEUE) {
        bufferevent_disable(from, EV_READ);
    }
}

static void open_tunnel(struct visitor *visitor, const struct message *answer)
{
    message_move_head(bufferevent_get_input(visitor->server),
                      bufferevent_get_output(visitor->client), answer, true, false);
    visitor->state = TUNNEL;
    visitor->backend->tunnels++;
    move_all(visitor->server, visitor->client);
    move_all(visitor->client, visitor->server);
}

static void begin_answer(struct visitor *visitor)
{
    struct evbuffer *input = bufferevent_get_input(visitor->server);
    struct message answer;
    enum message_result result = message_read(input, &answer);
    if (result == MESSAGE_MORE) {
        return;
    }
    if (result == MESSAGE_BAD || answer.status == 0) {
        refuse(visitor, "502 Bad Gateway");
        return;
    }
    if (answer.status == 101) {
        open_tunnel(visitor, &answer);
        return;
    }
    if (answer.status < 200) {
        evbuffer_drain(input, answer.head);
        begin_answer(visitor);
        return;
    }
    bool empty = visitor->asked.head_only || answer.status == 204 || answer.status == 304;
    visitor->left = empty ? 0 : answer.body;
    visitor->endless = !empty && !answer.has_length;
    visitor->server_closes = answer.close;
    /* Whoever wanted a WebSocket is told all that was said instead, and may be hung up on. */
    message_move_head(input, bufferevent_get_output(visitor->client), &answer,
                      visitor->asked.upgrade, visitor->asked.close || visitor->endless);
    visitor->state = ANSWERING;
    move_body(visitor);
}

/* --- Callbacks */

static void on_server_read(struct bufferevent *server, void *arg)
{
    struct visitor *visitor = arg;
    switch (visitor->state) {
    case WAITING:
        begin_answer(visitor);
        break;
    case ANSWERING:
        move_body(visitor);
        break;
    case TUNNEL:
        move_all(server, visitor->client);
        break;
    case ASKING:
    case LEAVING:
        break;
    }
}

static void on_server_event(struct bufferevent *server, short what, void *arg)
{
    struct visitor *visitor = arg;
    (void)server;
    if (what & BEV_EVENT_CONNECTED) {
        visitor->connected = true;
    } else if (visitor->state == WAITING) {
        on_no_answer(visitor);
    } else if (visitor->state == LEAVING) {
        visitor_free(visitor);
    } else {
        leave(visitor);
    }
}

static void on_client_read(struct bufferevent *client, void *arg)
{
    struct visitor *visitor = arg;
    if (visitor->state == ASKING) {
        take_request(visitor);
    } else if (visitor->state == TUNNEL) {
        move_all(client, visitor->server);
    }
}

static void on_client_event(struct bufferevent *client, short what, void *arg)
{
    struct visitor *visitor = arg;
    if (visitor->state != TUNNEL || !(what & BEV_EVENT_EOF)) {
        visitor_free(visitor);
        return;
    }
    bufferevent_free(client);
    visitor->client = NULL;
    linger(visitor, visitor->server);
}

/* Everything is written to one side: the other may be read again. */
static void on_write(struct bufferevent *drained, void *arg)
{
    struct visitor *visitor = arg;
    if (visitor->state == LEAVING) {
        visitor_free(visitor);
    } else if (visitor->state == TUNNEL) {
        bufferevent_enable(drained == visitor->client ? visitor->server : visitor->client, EV_READ);
    }
}

void visitor_open(struct list *visitors, struct backends *backends, evutil_socket_t fd)
{
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL) {
        close(fd);
        return;
    }
    list_init(&visitor->node);
    list_push_back(visitors, &visitor->node);
    visitor->backends = backends;
    visitor->request = evbuffer_new();
    visitor->client = bufferevent_socket_new(backends->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (visitor->client == NULL || visitor->request == NULL) {
        visitor_free(visitor);
        return;
    }
    bufferevent_setcb(visitor->client, on_client_read, on_write, on_client_event, visitor);
    bufferevent_enable(visitor->client, EV_READ | EV_WRITE);
}

void visitors_close(struct list *visitors)
{
    while (!list_empty(visitors)) {
        visitor_free(container_of(visitors->next, struct visitor, node));
    }
}

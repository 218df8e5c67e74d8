#include "eio_world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE = 2000, SETTLE = 12 };

static void note(struct world *world, const char *what, struct str detail)
{
    assert_int_equal(buf_printf(&world->log, "%s" STR_FMT ";", what, STR_ARG(detail)), OK);
}

/* Whose session it is lies in its room. */
static void take_in(struct world *world, struct eio_session *session)
{
    *(struct world **)eio_session_room(session) = world;
    world->session = session;
}

static struct world *world_of(struct eio_session *session)
{
    return *(struct world **)eio_session_room(session);
}

static enum err on_open(void *owner, struct eio_session *session,
                        const struct http_request *request)
{
    struct world *world = owner;
    (void)request;
    if (world->refuse) {
        return world->refuse;
    }
    take_in(world, session);
    note(world, "open", STR(""));
    if (world->greet) {
        struct rcbuf *packet = eio_encode_text(STR("welcome"));
        enum err err = packet ? eio_session_send(session, packet) : ERR_NOMEM;
        rcbuf_unref(&packet);
        if (err) {
            world->session = NULL;
            return err;
        }
    }
    if (world->close_in_open) {
        eio_session_close(session, EIO_CLOSE_SERVER);
    }
    return OK;
}

static void on_message(struct eio_session *session, bool binary, struct str data)
{
    struct world *world = world_of(session);
    note(world, binary ? "bytes " : "text ", data);
    if (world->echo) {
        struct rcbuf *packet = binary ? eio_encode_binary(data) : eio_encode_text(data);
        enum err err = packet ? eio_session_send(session, packet) : ERR_NOMEM;
        rcbuf_unref(&packet);
        if (err) {
            note(world, "unsent", STR(""));
        }
    }
}

static void on_close(struct eio_session *session, enum eio_close_reason reason)
{
    struct world *world = world_of(session);
    note(world, "close ", str_from(eio_close_reason_name(reason)));
    if (world->session == session) {
        world->session = NULL;
    }
}

/* --- Sessions that move --- */

static enum world_move ask_test(struct world *world, struct eio_session *session, const char *step)
{
    return world->on_move ? world->on_move(world, session, step) : WORLD_GIVES;
}

static void on_move(struct eio_session *session)
{
    struct world *world = world_of(session);
    note(world, "leave", STR(""));
    if (ask_test(world, session, "leave") == WORLD_GIVES) {
        eio_session_pack(session, STR("state"));
    }
}

static enum err on_arrive(void *owner, struct eio_session *session, struct str state)
{
    struct world *world = owner;
    note(world, "arrive ", state);
    take_in(world, session);
    enum world_move move = ask_test(world, session, "arrive");
    if (move == WORLD_REFUSES) {
        world->session = NULL;
        return ERR_DENIED;
    }
    if (move == WORLD_GIVES) {
        eio_session_ask(session, STR("place"));
    }
    return OK;
}

static void on_ask(struct eio_session *session, struct str place)
{
    struct world *world = world_of(session);
    note(world, "ask ", place);
    if (ask_test(world, session, "ask") == WORLD_GIVES) {
        eio_session_hand_over(session, STR("rest"));
    }
}

static void on_arrived(struct eio_session *session, struct str rest)
{
    struct world *world = world_of(session);
    note(world, "arrived ", rest);
    (void)ask_test(world, session, "arrived");
}

static const struct eio_session_ops ops = {
    .room_size = sizeof(struct world *),
    .on_open = on_open,
    .on_message = on_message,
    .on_close = on_close,
    .on_move = on_move,
    .on_arrive = on_arrive,
    .on_ask = on_ask,
    .on_arrived = on_arrived,
};

void world_init(struct world *world)
{
    *world = (struct world){
        .clock = {.monotonic_ms = 1000000},
        .options = {.path = STR("/socket.io/"),
                    .ping_interval_ms = 300,
                    .ping_timeout_ms = 200,
                    .upgrade_timeout_ms = 10000,
                    .max_payload = 100000,
                    .max_sessions = 10,
                    .max_packets_per_post = 50,
                    .queue_bytes = 1 << 20},
        .http_options = {.net = {.host = "127.0.0.1",
                                 .backlog = 16,
                                 .max_connections = 64,
                                 .queue_bytes = 1 << 22,
                                 .stall_ms = 60000,
                                 .slice_us = 10000},
                         .max_head = 8192,
                         .max_headers = 50,
                         .max_body = 150000,
                         .head_timeout_ms = 600000,
                         .body_timeout_ms = 600000,
                         .idle_timeout_ms = 600000,
                         .cors_origins = "http://good.example"},
        .echo = true,
    };
    /* At once, so that a test may make allocations fail. */
    buf_init(&world->log, 0);
    assert_int_equal(buf_reserve(&world->log, 1 << 17), OK);
}

static void open_server(struct world *world)
{
    struct buf complaint;
    buf_init(&complaint, 0);
    world->server = eio_server_new(world->loop, &world->options, &ops, world);
    assert_non_null(world->server);
    world->handler = eio_server_handler(world->server);
    assert_int_equal(http_server_open(world->loop, &world->http_options, &world->handler, 1,
                                      &world->http, &complaint),
                     OK);
    eio_server_set_http(world->server, world->http);
    buf_fini(&complaint);
}

void world_open(struct world *world)
{
    clock_set_fake(&world->clock);
    world->loop = loop_new();
    open_server(world);
}

void world_open_beside(struct world *world, struct world *first)
{
    world->beside = true;
    world->loop = first->loop;
    open_server(world);
}

void world_close(struct world *world)
{
    eio_server_free(world->server);
    http_server_free(world->http);
    buf_fini(&world->log);
    if (!world->beside) {
        loop_free(world->loop);
        clock_set_fake(NULL);
    }
}

static void turn(struct world *world, unsigned wait_ms)
{
    assert_int_equal(loop_turn(world->loop, wait_ms), OK);
}

void world_settle(struct world *world)
{
    for (int i = 0; i < SETTLE; i++) {
        turn(world, 1);
    }
}

void world_advance(struct world *world, unsigned ms)
{
    while (ms > 0) {
        unsigned step = ms < 4 ? ms : 4;
        world->clock.monotonic_ms += step;
        clock_set_fake(&world->clock);
        ms -= step;
        turn(world, 0);
    }
    world_settle(world);
}

void world_expect(struct world *world, const char *log)
{
    world_settle(world);
    assert_string_equal(buf_cstr(&world->log), log);
    buf_clear(&world->log);
}

void client_open(struct client *client, struct world *world)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(net_server_port(http_server_net(world->http))),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    client->world = world;
    buf_init(&client->in, 0);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
    /* What is sent must arrive without waiting for real time to pass. */
    const int on = 1;
    assert_int_equal(setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
}

void client_close(struct client *client)
{
    close(client->fd);
    buf_fini(&client->in);
}

void client_send(struct client *client, struct str bytes)
{
    for (int tries = 0; bytes.len > 0; tries++) {
        ssize_t n = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN);
        assert_true(tries < PATIENCE);
        bytes = str_skip(bytes, n > 0 ? (size_t)n : 0);
        turn(client->world, 0);
    }
}

void client_try(struct client *client, struct str bytes)
{
    ssize_t n = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    assert_true(n != 0);
    world_settle(client->world);
}

/* What has arrived; false at the connection's end. */
static bool receive(struct client *client)
{
    for (;;) {
        assert_int_equal(buf_reserve(&client->in, 65536), OK);
        ssize_t n = recv(client->fd, client->in.data + client->in.len, 65536, 0);
        if (n <= 0) {
            return n < 0 && errno == EAGAIN;
        }
        client->in.len += (size_t)n;
    }
}

static void await_more(struct client *client)
{
    size_t had = client->in.len;
    for (int i = 0; client->in.len == had; i++) {
        assert_true(i < PATIENCE);
        turn(client->world, 1);
        assert_true(receive(client) || client->in.len > had);
    }
}

bool client_quiet(struct client *client)
{
    world_settle(client->world);
    return receive(client) && client->in.len == 0;
}

bool client_sees_end(struct client *client)
{
    for (int i = 0; i < PATIENCE; i++) {
        turn(client->world, 1);
        if (!receive(client)) {
            return true;
        }
    }
    return false;
}

void client_request(struct client *client, const char *method, const char *more, struct str body)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(buf_printf(&out,
                                "%s /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\n"
                                "Host: localhost\r\nContent-Length: %zu\r\n\r\n",
                                method, more, body.len),
                     OK);
    assert_int_equal(buf_append(&out, body), OK);
    client_send(client, buf_str(&out));
    buf_fini(&out);
}

static size_t head_size(struct client *client)
{
    const char *end;
    while (!buf_cstr(&client->in) || !(end = strstr(client->in.data, "\r\n\r\n"))) {
        await_more(client);
    }
    return (size_t)(end - client->in.data) + 4;
}

static void take_head(struct client *client)
{
    size_t size = head_size(client);
    assert_true(size < sizeof client->head);
    memcpy(client->head, client->in.data, size);
    client->head[size] = '\0';
    buf_consume(&client->in, size);
    assert_int_equal(sscanf(client->head, "HTTP/1.1 %u", &client->status), 1);
}

static void take_body(struct client *client, size_t len)
{
    assert_true(len < sizeof client->body);
    while (client->in.len < len) {
        await_more(client);
    }
    if (len > 0) {
        memcpy(client->body, client->in.data, len);
    }
    client->body[len] = '\0';
    client->body_len = len;
    buf_consume(&client->in, len);
}

void client_answer(struct client *client)
{
    take_head(client);
    const char *length = strcasestr(client->head, "\r\nContent-Length: ");
    assert_non_null(length);
    take_body(client, (size_t)strtoul(strchr(length, ' '), NULL, 10));
}

void client_get(struct client *client, const char *more)
{
    client_request(client, "GET", more, STR(""));
    client_answer(client);
}

void client_post(struct client *client, const char *sid, struct str body)
{
    char more[100];
    snprintf(more, sizeof more, "&sid=%s", sid);
    client_request(client, "POST", more, body);
    client_answer(client);
}

void client_poll(struct client *client, const char *sid)
{
    char more[100];
    snprintf(more, sizeof more, "&sid=%s", sid);
    client_request(client, "GET", more, STR(""));
    world_settle(client->world);
}

static void take_sid(struct client *client)
{
    assert_int_equal(sscanf(client->body, "0{\"sid\":\"%63[A-Za-z0-9_-]\"", client->sid), 1);
}

void client_handshake(struct client *client)
{
    client_get(client, "");
    assert_int_equal(client->status, 200);
    take_sid(client);
}

void client_expect(struct client *client, unsigned status, const char *body)
{
    client_answer(client);
    assert_int_equal(client->status, status);
    assert_string_equal(client->body, body);
}

void client_ws_request(struct client *client, const char *more, const char *headers)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(buf_printf(&out,
                                "GET /socket.io/?EIO=4&transport=websocket%s HTTP/1.1\r\n"
                                "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                                more, headers),
                     OK);
    client_send(client, buf_str(&out));
    buf_fini(&out);
}

void client_ws_open(struct client *client, const char *sid)
{
    char more[100] = "";
    if (sid) {
        snprintf(more, sizeof more, "&sid=%s", sid);
    }
    client_ws_request(client, more, "Sec-WebSocket-Version: 13\r\n");
    take_head(client);
    assert_int_equal(client->status, 101);
    if (!sid) {
        assert_int_equal(client_ws_frame(client), WS_TEXT);
        take_sid(client);
    }
}

void client_ws_send(struct client *client, enum ws_opcode opcode, struct str payload)
{
    struct rcbuf *frame = ws_frame_encode(opcode, payload);
    size_t header = frame->len - payload.len;
    struct buf out;
    buf_init(&out, 0);
    frame->data[1] = (char)(frame->data[1] | 0x80);
    assert_int_equal(buf_append(&out, str_range(frame->data, header)), OK);
    assert_int_equal(buf_append(&out, STR("\0\0\0\0")), OK);
    assert_int_equal(buf_append(&out, payload), OK);
    client_send(client, buf_str(&out));
    buf_fini(&out);
    rcbuf_unref(&frame);
}

enum ws_opcode client_ws_frame(struct client *client)
{
    struct ws_frame_header header;
    enum err err;
    while ((err = ws_frame_parse(buf_str(&client->in), &header)) == ERR_AGAIN) {
        await_more(client);
    }
    assert_int_equal(err, OK);
    assert_false(header.masked);
    buf_consume(&client->in, header.size);
    take_body(client, (size_t)header.length);
    return header.opcode;
}

void client_ws_expect(struct client *client, const char *text)
{
    assert_int_equal(client_ws_frame(client), WS_TEXT);
    assert_string_equal(client->body, text);
}

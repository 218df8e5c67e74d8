#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "util/clock.h"

enum { PATIENCE_MS = 5000, MAX_BODY = 1000, MAX_HEAD = 2000, MAX_HEADERS = 8 };

/* A server with one client, and what the handlers saw. */
struct world {
    struct loop *loop;
    struct http_server *server;
    int client;
    bool ended;       /* the client saw the end */
    struct buf got;   /* by the client */
    struct buf asked; /* "METHOD-NUMBER path?query:body;" of every request that was delivered */
    struct http_exchange *waiting;
    unsigned aborts;
    struct net_conn *given;
    struct buf given_read;
    unsigned given_closes;
    unsigned bodies, body_ends; /* that /choosy waited for */
};

static void note(struct world *world, const struct http_request *request)
{
    assert_int_equal(buf_printf(&world->asked, "%d " STR_FMT "?" STR_FMT ":" STR_FMT ";",
                                (int)request->method, STR_ARG(request->path),
                                STR_ARG(request->query), STR_ARG(request->body)),
                     OK);
}

static void on_echo(void *owner, struct http_exchange *exchange, const struct http_request *request)
{
    note(owner, request);
    http_respond(exchange, 200, STR("text/plain"), STR("Cache-Control: no-store\r\n"),
                 request->body.len ? request->body : request->path);
}

static void on_shared(void *owner, struct http_exchange *exchange,
                      const struct http_request *request)
{
    struct rcbuf *pieces[] = {rcbuf_copy(STR("one ")), rcbuf_copy(STR("two"))};
    note(owner, request);
    http_respond_shared(exchange, 200, STR("text/plain"), STR(""), pieces, 2);
    rcbuf_unref(&pieces[0]);
    rcbuf_unref(&pieces[1]);
}

static void on_abort(struct http_exchange *exchange)
{
    struct world *world = http_exchange_owner(exchange);
    assert_ptr_equal(exchange, world->waiting);
    world->waiting = NULL;
    world->aborts++;
}

static void on_wait(void *owner, struct http_exchange *exchange, const struct http_request *request)
{
    struct world *world = owner;
    note(world, request);
    world->waiting = exchange;
    http_exchange_watch(exchange, on_abort, world);
}

static void given_on_read(struct net_conn *conn, struct str bytes)
{
    struct world *world = net_conn_owner(conn);
    assert_int_equal(buf_append(&world->given_read, bytes), OK);
}

static void given_on_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct world *world = net_conn_owner(conn);
    (void)reason;
    world->given = NULL;
    world->given_closes++;
}

static void on_upgrade(void *owner, struct http_exchange *exchange,
                       const struct http_request *request)
{
    static const struct net_conn_ops ops = {.on_read = given_on_read, .on_close = given_on_close};
    struct world *world = owner;
    note(world, request);
    world->given = http_exchange_conn(exchange);
    struct rcbuf *bytes = rcbuf_copy(STR("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    assert_int_equal(net_conn_send(world->given, bytes), OK);
    rcbuf_unref(&bytes);
    http_upgrade(exchange, &ops, world);
}

static void on_last(void *owner, struct http_exchange *exchange, const struct http_request *request)
{
    note(owner, request);
    http_exchange_close_after(exchange);
    http_respond(exchange, 200, STR(""), STR(""), STR("last"));
}

static bool on_body_begin(void *owner, const struct http_request *request)
{
    struct world *world = owner;
    bool wanted = str_eq(request->query, STR("wanted"));
    world->bodies += wanted;
    return wanted;
}

static void on_body_end(void *owner, const struct http_request *request)
{
    struct world *world = owner;
    assert_true(str_eq(request->query, STR("wanted")));
    world->body_ends++;
}

static struct http_handler handlers[] = {
    {.prefix = {"/choosy", 7},
     .on_request = on_echo,
     .on_body_begin = on_body_begin,
     .on_body_end = on_body_end},
    {.prefix = {"/echo", 5}, .on_request = on_echo},
    {.prefix = {"/shared", 7}, .exact = true, .on_request = on_shared},
    {.prefix = {"/wait", 5}, .on_request = on_wait},
    {.prefix = {"/upgrade", 8}, .on_request = on_upgrade},
    {.prefix = {"/last", 5}, .on_request = on_last},
};

static void turn(struct world *world)
{
    char bytes[4096];
    assert_int_equal(loop_turn(world->loop, 5), OK);
    ssize_t n;
    while (!world->ended && (n = recv(world->client, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
        world->ended = n == 0;
        assert_int_equal(buf_append(&world->got, (struct str){bytes, (size_t)n}), OK);
    }
}

#define AWAIT(world, condition)                                                                    \
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; !(condition);) {                     \
        if (clock_monotonic_ms() >= until) {                                                       \
            fail_msg("still waiting for %s; got %s", #condition, got(world));                      \
        }                                                                                          \
        turn(world);                                                                               \
    }

static const char *got(struct world *world)
{
    const char *text = buf_cstr(&world->got);
    assert_non_null(text);
    return text;
}

static const char *asked(struct world *world)
{
    const char *text = buf_cstr(&world->asked);
    assert_non_null(text);
    return text;
}

static bool has(struct world *world, const char *text)
{
    return strstr(got(world), text) != NULL;
}

static unsigned answers(struct world *world)
{
    unsigned count = 0;
    for (const char *at = got(world); (at = strstr(at, "HTTP/1.1 ")); at++) {
        count++;
    }
    return count;
}

static void say(struct world *world, const char *text)
{
    assert_int_equal(write(world->client, text, strlen(text)), strlen(text));
}

static void dial(struct world *world)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(net_server_port(http_server_net(world->server))),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    world->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(world->client, (struct sockaddr *)&address, sizeof address), 0);
}

static const struct http_server_options defaults = {
    .net = {.host = "127.0.0.1",
            .backlog = 16,
            .max_connections = 16,
            .queue_bytes = 1 << 20,
            .stall_ms = 5000,
            .slice_us = 1000},
    .max_head = MAX_HEAD,
    .max_headers = MAX_HEADERS,
    .max_body = MAX_BODY,
    .head_timeout_ms = 5000,
    .body_timeout_ms = 5000,
    .idle_timeout_ms = 5000,
    .cors_origins = "https://a.example, https://b.example",
};

static void open_world(struct world *world, const struct http_server_options *options)
{
    struct buf complaint = {0};
    *world = (struct world){.loop = loop_new()};
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        handlers[i].owner = world;
    }
    assert_int_equal(http_server_open(world->loop, options, handlers, ARRAY_LEN(handlers),
                                      &world->server, &complaint),
                     OK);
    dial(world);
}

static int begin(void **state)
{
    struct world *world = malloc(sizeof *world);
    open_world(world, &defaults);
    *state = world;
    return 0;
}

static int begin_impatient(void **state)
{
    struct world *world = malloc(sizeof *world);
    struct http_server_options options = defaults;
    options.head_timeout_ms = options.body_timeout_ms = options.idle_timeout_ms = 100;
    open_world(world, &options);
    *state = world;
    return 0;
}

static int begin_any_origin(void **state)
{
    struct world *world = malloc(sizeof *world);
    struct http_server_options options = defaults;
    options.cors_origins = "*";
    open_world(world, &options);
    *state = world;
    return 0;
}

static int begin_no_cors(void **state)
{
    struct world *world = malloc(sizeof *world);
    struct http_server_options options = defaults;
    options.cors_origins = NULL;
    open_world(world, &options);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    close(world->client);
    http_server_free(world->server);
    assert_null(world->waiting);
    assert_null(world->given);
    loop_free(world->loop);
    buf_fini(&world->got);
    buf_fini(&world->asked);
    buf_fini(&world->given_read);
    free(world);
    return 0;
}

static void a_request_is_answered_and_the_connection_kept(void **state)
{
    struct world *world = *state;
    for (unsigned i = 1; i <= 3; i++) {
        say(world, "GET /echo?a=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        AWAIT(world, answers(world) == i && has(world, "\r\n\r\n/echo"));
    }
    assert_string_equal(asked(world), "0 /echo?a=1:;0 /echo?a=1:;0 /echo?a=1:;");
    assert_true(has(world, "HTTP/1.1 200 OK\r\nDate: "));
    assert_true(has(world, "Content-Type: text/plain\r\nContent-Length: 5\r\n"));
    assert_true(has(world, "Cache-Control: no-store\r\n"));
    assert_false(has(world, "Connection:"));
}

static void a_request_may_come_byte_by_byte(void **state)
{
    struct world *world = *state;
    const char *text = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: v\r\n\r\n";
    for (const char *c = text; *c; c++) {
        say(world, (char[]){*c, '\0'});
        turn(world);
    }
    AWAIT(world, answers(world) == 2);
    assert_string_equal(asked(world), "1 /echo?:hello;1 /echo?:abcde;");
}

static void it_makes_no_difference_where_requests_are_cut(void **state)
{
    struct world *world = *state;
    const char *text = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
                       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nab\r\n0\r\n\r\nGET /echo/z HTTP/1.1\r\nHost: x\r\n\r\n";
    for (size_t cut = 1; cut < strlen(text); cut++) {
        uint64_t before = net_server_stats(http_server_net(world->server))->bytes_in;
        buf_clear(&world->got);
        buf_clear(&world->asked);
        assert_int_equal(write(world->client, text, cut), cut);
        AWAIT(world, net_server_stats(http_server_net(world->server))->bytes_in == before + cut);
        say(world, text + cut);
        AWAIT(world, answers(world) == 3 && has(world, "\r\n\r\n/echo/z"));
        assert_string_equal(asked(world), "1 /echo?:hi;1 /echo?:ab;0 /echo/z?:;");
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct world *world = *state;
    say(world, "GET /wait/1 HTTP/1.1\r\nHost: x\r\n\r\n"
               "POST /echo/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
               "GET /wait/3 HTTP/1.1\r\nHost: x\r\n\r\nGET /echo/4 HTTP/1.1\r\nHost");
    AWAIT(world, world->waiting);
    say(world, ": x\r\n\r\n");
    turn(world);
    assert_string_equal(asked(world), "0 /wait/1?:;");
    http_respond(world->waiting, 200, STR(""), STR(""), STR("first"));
    world->waiting = NULL;
    AWAIT(world, world->waiting);
    http_respond(world->waiting, 200, STR(""), STR(""), STR("third"));
    world->waiting = NULL;
    AWAIT(world, has(world, "/echo/4"));
    assert_int_equal(answers(world), 4);
    assert_true(strstr(got(world), "first") < strstr(got(world), "abc"));
    assert_true(strstr(got(world), "abc") < strstr(got(world), "third"));
}

static void what_a_peer_pipelines_is_bounded(void **state)
{
    struct world *world = *state;
    static char noise[65536];
    int flags = fcntl(world->client, F_GETFL);
    say(world, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->waiting);
    fcntl(world->client, F_SETFL, flags | O_NONBLOCK);
    uint64_t in = 0;
    for (int i = 0; i < 200; i++) {
        (void)!write(world->client, memset(noise, 'x', sizeof noise), sizeof noise);
        turn(world);
        in = net_server_stats(http_server_net(world->server))->bytes_in;
    }
    assert_true(in < 300000);
    http_respond(world->waiting, 200, STR(""), STR(""), STR("first"));
    world->waiting = NULL;
    AWAIT(world, has(world, "HTTP/1.1 431"));
}

static void head_gets_no_body(void **state)
{
    struct world *world = *state;
    say(world, "HEAD /shared HTTP/1.1\r\nHost: x\r\n\r\nHEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, answers(world) == 2);
    assert_true(has(world, "Content-Length: 7\r\n"));
    assert_true(has(world, "Content-Length: 5\r\n"));
    assert_false(has(world, "two"));
    assert_false(has(world, "/echo"));
}

static void shared_pieces_are_one_body(void **state)
{
    struct world *world = *state;
    say(world, "GET /shared HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, has(world, "\r\n\r\none two"));
    assert_true(has(world, "Content-Length: 7\r\n"));
}

static void an_old_client_is_kept_only_if_it_asks(void **state)
{
    struct world *world = *state;
    say(world, "GET /echo HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    AWAIT(world, answers(world) == 1);
    assert_true(has(world, "Connection: keep-alive\r\n"));
    say(world, "GET /echo HTTP/1.0\r\n\r\n");
    AWAIT(world, world->ended);
    assert_int_equal(answers(world), 2);
    assert_true(has(world, "Connection: close\r\n"));
}

static void both_sides_can_ask_to_close(void **state)
{
    struct world *world = *state;
    say(world, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: x, close\r\n\r\n");
    AWAIT(world, world->ended);
    assert_true(has(world, "Connection: close\r\n"));
    close(world->client);
    dial(world);
    world->ended = false;
    say(world,
        "GET /last HTTP/1.1\r\nHost: x\r\n\r\nGET /echo/dropped HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->ended);
    assert_int_equal(answers(world), 2);
    assert_false(has(world, "dropped"));
}

static void a_stopped_server_asks_to_close(void **state)
{
    struct world *world = *state;
    say(world, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->waiting);
    http_server_stop(world->server);
    http_respond(world->waiting, 200, STR(""), STR(""), STR("bye"));
    world->waiting = NULL;
    AWAIT(world, world->ended);
    assert_true(has(world, "Connection: close\r\n"));
}

static void who_waits_is_told_to_go_on(void **state)
{
    struct world *world = *state;
    say(world,
        "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    AWAIT(world, has(world, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_string_equal(asked(world), "");
    say(world, "hi");
    AWAIT(world, has(world, "\r\n\r\nhi"));
}

static void the_end_of_the_peer_aborts_what_waits(void **state)
{
    struct world *world = *state;
    say(world, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->waiting);
    shutdown(world->client, SHUT_WR);
    AWAIT(world, world->aborts == 1);
}

static void an_upgraded_connection_gets_what_came_behind(void **state)
{
    struct world *world = *state;
    say(world, "GET /upgrade HTTP/1.1\r\nHost: x\r\nUpgrade: z\r\n\r\nbehind");
    AWAIT(world, world->given_read.len == 6);
    AWAIT(world, has(world, "101 Switching"));
    say(world, " and after");
    AWAIT(world, world->given_read.len == 16);
    assert_memory_equal(world->given_read.data, "behind and after", 16);
    shutdown(world->client, SHUT_WR);
    AWAIT(world, world->given_closes == 1);
    assert_int_equal(world->aborts, 0);
}

static void an_upgrade_may_come_behind_another_request(void **state)
{
    struct world *world = *state;
    say(world,
        "GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /upgrade HTTP/1.1\r\nHost: x\r\n\r\nbehind");
    AWAIT(world, world->waiting);
    http_respond(world->waiting, 200, STR(""), STR(""), STR("first"));
    world->waiting = NULL;
    AWAIT(world, world->given_read.len == 6);
}

/* Each is refused with its status, CORS headers and the end of the connection. */
static void assert_refused(struct world *world, const char *text, const char *status)
{
    buf_clear(&world->got);
    world->ended = false;
    close(world->client);
    dial(world);
    say(world, text);
    AWAIT(world, world->ended);
    if (!has(world, status) || !has(world, "Connection: close\r\n") ||
        !has(world, "Access-Control-Allow-Origin: https://a.example\r\n") ||
        !has(world, "Access-Control-Allow-Credentials: true\r\n") || answers(world) != 1) {
        fail_msg("for %s\nno %s in %s", text, status, got(world));
    }
}

#define ORIGIN "Origin: https://a.example\r\n"

static void refusals_can_be_read_by_pages(void **state)
{
    struct world *world = *state;
    char big[MAX_HEAD + 200] = "GET /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN "X: ";
    size_t len = strlen(big);
    memset(big + len, 'x', sizeof big - len - 1);
    assert_refused(world, big, "HTTP/1.1 431 ");
    assert_refused(world, "GET / HTTP/2.0\r\nHost: x\r\n" ORIGIN "\r\n", "HTTP/1.1 505 ");
    assert_refused(world, "BAD\r\n" ORIGIN "\r\n", "HTTP/1.1 400 ");
    assert_refused(world, "GET / HTTP/1.1\r\n" ORIGIN "\r\n", "HTTP/1.1 400 ");
    assert_refused(world, "GET / HTTP/1.1\r\nHost: x\r\n" ORIGIN "Bad\n\r\n", "HTTP/1.1 400 ");
    assert_refused(world,
                   "POST /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN "Content-Length: 1001\r\n\r\n",
                   "HTTP/1.1 413 ");
    assert_refused(world,
                   "POST /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN
                   "Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
                   "HTTP/1.1 413 ");
    assert_refused(world,
                   "POST /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN
                   "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                   "HTTP/1.1 400 ");
    assert_refused(world,
                   "POST /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN
                   "Transfer-Encoding: gzip, chunked\r\n\r\n",
                   "HTTP/1.1 501 ");
    assert_string_equal(asked(world), "");
}

static void an_unknown_path_is_404_with_cors(void **state)
{
    struct world *world = *state;
    say(world, "GET /sharedx HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n");
    AWAIT(world, has(world, "HTTP/1.1 404 Not Found\r\n"));
    assert_true(has(world, "Access-Control-Allow-Origin: https://b.example\r\n"));
    assert_true(has(world, "Vary: Origin\r\n"));
}

static void an_unlisted_origin_is_not_echoed(void **state)
{
    struct world *world = *state;
    say(world, "GET /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://c.example\r\n\r\n");
    AWAIT(world, answers(world) == 1);
    assert_false(has(world, "Access-Control"));
    assert_true(has(world, "Vary: Origin\r\n"));
}

static void a_preflight_is_answered(void **state)
{
    struct world *world = *state;
    say(world,
        "OPTIONS /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN "Access-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Headers: x-mine\r\n\r\n");
    AWAIT(world, has(world, "HTTP/1.1 204 No Content\r\n"));
    assert_true(
        has(world, "Access-Control-Allow-Headers: content-type, authorization, x-mine\r\n"));
    assert_true(has(world, "Access-Control-Allow-Methods: GET, POST"));
    assert_true(has(world, "Access-Control-Max-Age: "));
    assert_false(has(world, "Content-Length"));
    assert_string_equal(asked(world), "");
}

static void with_any_origin_it_is_echoed(void **state)
{
    struct world *world = *state;
    say(world, "GET /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://c.example:8\r\n\r\n");
    AWAIT(world, has(world, "Access-Control-Allow-Origin: https://c.example:8\r\n"));
    assert_true(http_server_allows_origin(world->server, STR("null")));
}

static void without_a_policy_there_are_no_cors_headers(void **state)
{
    struct world *world = *state;
    say(world, "OPTIONS /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN "\r\n");
    AWAIT(world, answers(world) == 1);
    assert_string_equal(asked(world), "2 /echo?:;");
    assert_false(has(world, "Access-Control"));
    assert_false(has(world, "Vary"));
    assert_false(http_server_allows_origin(world->server, STR("https://a.example")));
    assert_true(http_server_allows_origin(world->server, (struct str){NULL, 0}));
}

static void a_slow_head_is_cut_off_however_it_drips(void **state)
{
    struct world *world = *state;
    uint64_t before = clock_monotonic_ms();
    say(world, "GET /echo HTTP/1.1\r\n" ORIGIN);
    for (uint64_t last = before; !world->ended && last - before < PATIENCE_MS;) {
        if (clock_monotonic_ms() - last >= 5) {
            (void)!send(world->client, "X", 1, MSG_NOSIGNAL);
            last = clock_monotonic_ms();
        }
        turn(world);
    }
    assert_true(has(world, "HTTP/1.1 408 "));
    assert_true(has(world, "Access-Control-Allow-Origin: "));
}

static void a_slow_body_is_cut_off(void **state)
{
    struct world *world = *state;
    say(world, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    AWAIT(world, world->ended);
    assert_true(has(world, "HTTP/1.1 408 "));
    assert_string_equal(asked(world), "");
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct world *world = *state;
    say(world, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->ended);
    assert_int_equal(answers(world), 1);
}

static void a_silent_connection_is_closed_without_a_word(void **state)
{
    struct world *world = *state;
    AWAIT(world, world->ended);
    assert_string_equal(got(world), "");
}

static void an_exchange_may_wait_longer_than_that(void **state)
{
    struct world *world = *state;
    say(world, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->waiting);
    for (uint64_t until = clock_monotonic_ms() + 250; clock_monotonic_ms() < until;) {
        turn(world);
    }
    assert_non_null(world->waiting);
    http_respond(world->waiting, 200, STR(""), STR(""), STR("late"));
    world->waiting = NULL;
    AWAIT(world, has(world, "late"));
}

static void converse(struct world *world)
{
    const char *text = "POST /echo HTTP/1.1\r\nHost: x\r\n" ORIGIN "Content-Length: 4\r\n\r\nab";
    uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
    char all[2048] = "";
    size_t heard = 0;
    const struct net_server_stats *stats = net_server_stats(http_server_net(world->server));
    (void)!send(world->client, text, strlen(text), MSG_NOSIGNAL);
    while (stats->bytes_in < strlen(text) && stats->refused == 0 && clock_monotonic_ms() < until &&
           (stats->accepted == 0 || stats->connections > 0)) {
        assert_int_equal(loop_turn(world->loop, 5), OK);
    }
    (void)!send(world->client, "cd", 2, MSG_NOSIGNAL);
    while (clock_monotonic_ms() < until) {
        char bytes[1024];
        assert_int_equal(loop_turn(world->loop, 5), OK);
        ssize_t n = recv(world->client, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return;
        }
        size_t len = n > 0 ? (size_t)n : 0;
        assert_true(heard + len < sizeof all);
        memcpy(all + heard, bytes, len);
        heard += len;
        if (strstr(all, " 503 ") || strstr(all, "\r\n\r\nabcd")) {
            return;
        }
    }
    fail_msg("neither answered nor closed");
}

static void try_to_open(void *context)
{
    struct loop *loop = context;
    struct http_server *server = NULL;
    struct buf complaint = {0};
    enum err err = http_server_open(loop, &defaults, handlers, 1, &server, &complaint);
    assert_true(!err == (server != NULL));
    http_server_free(server);
    buf_fini(&complaint);
}

static void opening_survives_any_failing_allocation(void **state)
{
    struct world *world = *state;
    failing_alloc_each(try_to_open, world->loop);
}

static void what_waits_or_came_early_survives_failing_allocations(void **state)
{
    struct world *world = *state;
    say(world, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    AWAIT(world, world->waiting);
    say(world, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    failing_alloc_at(0);
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; world->aborts == 0;) {
        assert_true(clock_monotonic_ms() < until);
        assert_int_equal(loop_turn(world->loop, 5), OK);
    }
    assert_true(failing_alloc_hit());
}

static void any_failing_allocation_ends_in_an_answer_or_a_close(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        struct world world;
        open_world(&world, &defaults);
        world.asked.limit = 0;
        assert_int_equal(buf_reserve(&world.asked, 100), OK);
        failing_alloc_at(n);
        converse(&world);
        bool hit = failing_alloc_hit();
        close(world.client);
        http_server_free(world.server);
        loop_free(world.loop);
        buf_fini(&world.asked);
        if (!hit) {
            assert_true(n > 4);
            return;
        }
    }
}

static void a_handler_may_do_without_a_body(void **state)
{
    struct world *world = *state;
    say(world, "POST /choosy HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n123");
    AWAIT(world, world->ended);
    assert_true(has(world, "HTTP/1.1 200 OK"));
    assert_string_equal(asked(world), "1 /choosy?:;");
    assert_int_equal(world->bodies + world->body_ends, 0);
}

static void a_wanted_body_ends_before_its_request_comes(void **state)
{
    struct world *world = *state;
    say(world, "POST /choosy?wanted HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n1");
    AWAIT(world, world->bodies == 1);
    assert_int_equal(world->body_ends, 0);
    say(world, "234");
    AWAIT(world, answers(world) == 1);
    assert_string_equal(asked(world), "1 /choosy?wanted:1234;");
    assert_int_equal(world->body_ends, 1);
}

static void a_lost_body_ends_too(void **state)
{
    struct world *world = *state;
    say(world, "POST /choosy?wanted HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n1");
    AWAIT(world, world->bodies == 1);
    assert_int_equal(shutdown(world->client, SHUT_WR), 0);
    AWAIT(world, world->body_ends == 1);
    assert_string_equal(asked(world), "");
}

static void a_late_body_ends_too(void **state)
{
    struct world *world = *state;
    say(world, "POST /choosy?wanted HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n1");
    AWAIT(world, has(world, "HTTP/1.1 408"));
    assert_int_equal(world->bodies, 1);
    assert_int_equal(world->body_ends, 1);
}

/* Its owner may be gone by then. */
static void no_handler_is_told_when_the_server_goes(void **state)
{
    struct world *world = *state;
    say(world, "POST /choosy?wanted HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n1");
    AWAIT(world, world->bodies == 1);
    http_server_free(world->server);
    world->server = NULL;
    assert_int_equal(world->body_ends, 0);
}

#define IN_WORLD(test)      cmocka_unit_test_setup_teardown(test, begin, end)
#define IN_IMPATIENT(test)  cmocka_unit_test_setup_teardown(test, begin_impatient, end)
#define IN_ANY_ORIGIN(test) cmocka_unit_test_setup_teardown(test, begin_any_origin, end)
#define IN_NO_CORS(test)    cmocka_unit_test_setup_teardown(test, begin_no_cors, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_request_is_answered_and_the_connection_kept),
        IN_WORLD(a_request_may_come_byte_by_byte),
        IN_WORLD(it_makes_no_difference_where_requests_are_cut),
        IN_WORLD(pipelined_requests_are_answered_in_order),
        IN_WORLD(what_a_peer_pipelines_is_bounded),
        IN_WORLD(head_gets_no_body),
        IN_WORLD(shared_pieces_are_one_body),
        IN_WORLD(an_old_client_is_kept_only_if_it_asks),
        IN_WORLD(both_sides_can_ask_to_close),
        IN_WORLD(a_stopped_server_asks_to_close),
        IN_WORLD(who_waits_is_told_to_go_on),
        IN_WORLD(the_end_of_the_peer_aborts_what_waits),
        IN_WORLD(an_upgraded_connection_gets_what_came_behind),
        IN_WORLD(an_upgrade_may_come_behind_another_request),
        IN_WORLD(refusals_can_be_read_by_pages),
        IN_WORLD(an_unknown_path_is_404_with_cors),
        IN_WORLD(an_unlisted_origin_is_not_echoed),
        IN_WORLD(a_preflight_is_answered),
        IN_ANY_ORIGIN(with_any_origin_it_is_echoed),
        IN_NO_CORS(without_a_policy_there_are_no_cors_headers),
        IN_IMPATIENT(a_slow_head_is_cut_off_however_it_drips),
        IN_IMPATIENT(a_slow_body_is_cut_off),
        IN_IMPATIENT(an_idle_connection_is_closed_without_a_word),
        IN_IMPATIENT(a_silent_connection_is_closed_without_a_word),
        IN_IMPATIENT(an_exchange_may_wait_longer_than_that),
        IN_WORLD(opening_survives_any_failing_allocation),
        IN_WORLD(what_waits_or_came_early_survives_failing_allocations),
        IN_WORLD(a_handler_may_do_without_a_body),
        IN_WORLD(a_wanted_body_ends_before_its_request_comes),
        IN_WORLD(a_lost_body_ends_too),
        IN_IMPATIENT(a_late_body_ends_too),
        IN_WORLD(no_handler_is_told_when_the_server_goes),
        cmocka_unit_test(any_failing_allocation_ends_in_an_answer_or_a_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

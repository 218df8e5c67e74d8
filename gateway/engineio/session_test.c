/* Sessions on WebSocket from the beginning, and what all sessions share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "eio_world.h"
#include "engineio/internal.h"
#include "failing_alloc.h"

static struct world world;
static struct client a, b;

static int begin(void **state)
{
    (void)state;
    world_init(&world);
    world.options.ping_interval_ms = 25000;
    world_open(&world);
    client_open(&a, &world);
    client_open(&b, &world);
    return 0;
}

static int end(void **state)
{
    (void)state;
    client_close(&a);
    client_close(&b);
    world_close(&world);
    return 0;
}

static unsigned close_code(const struct client *client)
{
    return client->body_len < 2
               ? 0
               : (unsigned)(unsigned char)client->body[0] << 8 | (unsigned char)client->body[1];
}

static void a_session_is_small(void **state)
{
    (void)state;
    assert_in_range(sizeof(struct eio_session) + 20 + sizeof "203.0.113.7:52100", 1, 320);
    assert_in_range(sizeof(struct ws_stream), 1, 32);
}

static void a_handshake_by_websocket_offers_no_upgrade(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    assert_non_null(strstr(a.body, "\"upgrades\":[],"));
    assert_true(str_eq(eio_session_sid(world.session), str_from(a.sid)));
    assert_string_equal(eio_session_transport(world.session), "websocket");
    assert_int_equal(strncmp(eio_session_peer(world.session), "127.0.0.1:", 10), 0);
    assert_int_equal(eio_server_stats(world.server)->websocket, 1);
}

static void messages_go_both_ways(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    client_ws_send(&a, WS_TEXT, STR("4hello"));
    client_ws_expect(&a, "4hello");
    client_ws_send(&a, WS_BINARY, STR("\x01\x02\x03\x04"));
    assert_int_equal(client_ws_frame(&a), WS_BINARY);
    assert_string_equal(a.body, "\x01\x02\x03\x04");
    world_expect(&world, "open;text hello;bytes \x01\x02\x03\x04;");
}

static void data_may_follow_the_handshake_at_once(void **state)
{
    (void)state;
    client_send(&a, STR("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
                        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                        "\x81\x86\0\0\0\0"
                        "4early"));
    world_expect(&world, "open;text early;");
}

static void fragments_become_one_packet(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    client_send(&a, STR("\x01\x83\0\0\0\0"
                        "4on\x89\x81\0\0\0\0?\x80\x81\0\0\0\0"
                        "e"));
    assert_int_equal(client_ws_frame(&a), WS_PONG);
    client_ws_expect(&a, "4one");
}

static void check_ends(struct str text, unsigned code, const char *log)
{
    client_ws_open(&a, NULL);
    client_ws_send(&a, WS_TEXT, text);
    assert_int_equal(client_ws_frame(&a), WS_CLOSE);
    assert_int_equal(close_code(&a), code);
    assert_true(client_sees_end(&a));
    world_expect(&world, log);
    client_close(&a);
    client_open(&a, &world);
}

static void broken_packets_end_the_session(void **state)
{
    (void)state;
    check_ends(STR("abc"), WS_POLICY, "open;close protocol error;");
    check_ends(STR(""), WS_POLICY, "open;close protocol error;");
    check_ends(STR("2"), WS_POLICY, "open;close protocol error;");
    check_ends(STR("2probe"), WS_POLICY, "open;close protocol error;");
    check_ends(STR("1"), WS_NORMAL, "open;close client;");
    check_ends(STR("4\xff"), WS_INVALID_DATA, "open;close protocol error;");
    static char large[100001];
    memset(large, '4', sizeof large);
    check_ends(str_range(large, sizeof large), WS_TOO_BIG, "open;close protocol error;");
}

static void the_connections_end_is_the_sessions(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    client_close(&a);
    world_expect(&world, "open;close transport;");
    client_open(&a, &world);
    client_ws_open(&a, NULL);
    client_ws_send(&a, WS_CLOSE, STR("\x03\xe8"));
    assert_int_equal(client_ws_frame(&a), WS_CLOSE);
    world_expect(&world, "open;close transport;");
}

static void our_close_waits_for_the_clients_answer(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    assert_int_equal(client_ws_frame(&a), WS_CLOSE);
    assert_int_equal(close_code(&a), WS_NORMAL);
    world_expect(&world, "open;");
    client_ws_send(&a, WS_TEXT, STR("4late"));
    client_ws_send(&a, WS_CLOSE, STR("\x03\xe8"));
    assert_true(client_sees_end(&a));
    world_expect(&world, "close server;");
}

static void our_close_does_not_wait_for_ever(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    world_advance(&world, 5100);
    world_expect(&world, "open;close server;");
    assert_int_equal(eio_server_stats(world.server)->sessions, 0);
}

static void what_is_sent_before_the_close_arrives(void **state)
{
    (void)state;
    world.greet = world.close_in_open = true;
    client_ws_open(&a, NULL);
    client_ws_expect(&a, "4welcome");
    assert_int_equal(client_ws_frame(&a), WS_CLOSE);
    client_ws_send(&a, WS_CLOSE, STR(""));
    world_expect(&world, "open;close server;");
}

/* One piece of memory for all, whatever the transport. */
static void a_packet_is_shared(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    struct eio_session *first = world.session;
    client_handshake(&b);
    struct rcbuf *packet = eio_encode_text(STR("for all"));
    assert_int_equal(eio_session_send(first, packet), OK);
    assert_int_equal(eio_session_send(world.session, packet), OK);
    assert_int_equal(packet->refs, 3);
    client_ws_expect(&a, "4for all");
    client_poll(&b, b.sid);
    client_expect(&b, 200, "4for all");
    assert_int_equal(packet->refs, 1);
    rcbuf_unref(&packet);
}

/* And one piece of memory for all packets of a batch, where frames leave. */
static void a_batch_is_shared(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    struct eio_session *first = world.session;
    client_handshake(&b);
    struct rcbuf *packets[] = {eio_encode_text(STR("one")), eio_encode_text(STR("two"))};
    struct eio_batch batch = {.packets = packets, .count = ARRAY_LEN(packets)};
    assert_int_equal(eio_session_send_batch(first, &batch), OK);
    assert_int_equal(packets[0]->refs, 1);
    assert_int_equal(batch.frames->refs, 2);
    assert_int_equal(eio_session_send_batch(world.session, &batch), OK);
    assert_int_equal(packets[1]->refs, 2);
    eio_batch_fini(&batch);
    client_ws_expect(&a, "4one");
    client_ws_expect(&a, "4two");
    client_poll(&b, b.sid);
    client_expect(&b, 200,
                  "4one\x1e"
                  "4two");
    rcbuf_unref(&packets[0]);
    rcbuf_unref(&packets[1]);
}

static void a_batch_of_one_is_the_packet(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    struct rcbuf *packet = eio_encode_text(STR("alone"));
    struct eio_batch batch = {.packets = &packet, .count = 1};
    assert_int_equal(eio_session_send_batch(world.session, &batch), OK);
    assert_null(batch.frames);
    assert_int_equal(packet->refs, 2);
    client_ws_expect(&a, "4alone");
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    assert_int_equal(eio_session_send_batch(world.session, &batch), ERR_CLOSED);
    rcbuf_unref(&packet);
}

static void origins_decide_over_handshakes(void **state)
{
    (void)state;
    client_ws_request(&a, "", "Sec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n");
    client_expect(&a, 403, "{\"code\":4,\"message\":\"Forbidden\"}");
    assert_true(client_sees_end(&a));
    client_ws_request(&b, "", "Sec-WebSocket-Version: 13\r\nOrigin: http://good.example\r\n");
    world_expect(&world, "open;");
}

static void bad_handshakes_are_refused_before_101(void **state)
{
    (void)state;
    client_ws_request(&a, "", "Sec-WebSocket-Version: 12\r\n");
    client_answer(&a);
    assert_int_equal(a.status, 426);
    assert_non_null(strcasestr(a.head, "\r\nSec-WebSocket-Version: 13\r\n"));
    client_send(&b, STR("GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\nHost: x\r\n"
                        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    client_expect(&b, 400, "{\"code\":5,\"message\":\"Unsupported protocol version\"}");
    world_expect(&world, "");
    assert_int_equal(eio_server_stats(world.server)->sessions, 0);
}

static void compression_is_offered_in_vain(void **state)
{
    (void)state;
    client_ws_request(&a, "",
                      "Sec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    world_settle(&world);
    assert_false(client_quiet(&a));
    assert_non_null(buf_cstr(&a.in));
    assert_null(strcasestr(a.in.data, "permessage-deflate"));
    world_expect(&world, "open;");
}

static void whoever_is_above_may_refuse(void **state)
{
    (void)state;
    world.refuse = ERR_DENIED;
    client_ws_request(&a, "", "Sec-WebSocket-Version: 13\r\n");
    client_expect(&a, 403, "{\"code\":4,\"message\":\"Forbidden\"}");
    world_expect(&world, "");
    assert_int_equal(eio_server_stats(world.server)->websocket, 0);
}

static void the_servers_end_is_every_sessions_end(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    client_ws_open(&b, NULL);
    eio_server_free(world.server);
    world.server = NULL;
    world_expect(&world, "open;open;close server;close server;");
}

static void the_http_server_may_go_first(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    client_handshake(&b);
    client_poll(&b, b.sid);
    http_server_free(world.http);
    world.http = NULL;
    world_expect(&world, "open;open;close transport;close transport;");
}

/* Bytes on the wire and turns, without an allocation of the test's own. */
static void raw(struct client *client, const char *bytes, size_t len)
{
    if (send(client->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len) {
        world_settle(&world);
    }
}

static void raw_request(struct client *client, const char *method, const char *transport,
                        const char *headers, const char *body)
{
    char request[600];
    struct str sid = world.session ? eio_session_sid(world.session) : STR("");
    int len = snprintf(request, sizeof request,
                       "%s /socket.io/?EIO=4&transport=%s&sid=" STR_FMT " HTTP/1.1\r\nHost: x\r\n"
                       "Content-Length: %zu\r\n%s\r\n%s",
                       method, transport, STR_ARG(sid), strlen(body), headers, body);
    raw(client, request, (size_t)len);
}

#define WS_HEADERS                                                                                 \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define RAW(client, text) raw((client), (text), sizeof(text) - 1)

/* Polling, an upgrade, messages and fragments: most of what a session can live through. */
static void whole_life(void)
{
    static struct client c;
    client_open(&c, &world);
    raw_request(&a, "GET", "polling", "", "");
    raw_request(&a, "GET", "polling", "", "");
    raw_request(&b, "POST", "polling", "",
                "4text\x1e"
                "bAQID");
    raw_request(&c, "GET", "websocket", WS_HEADERS, "");
    RAW(&c, "\x81\x86\0\0\0\0"
            "2probe");
    raw_request(&a, "POST", "polling", "", "4more");
    RAW(&c, "\x81\x81\0\0\0\0"
            "5");
    RAW(&c, "\x01\x82\0\0\0\0"
            "4a\x89\x80\0\0\0\0\x80\x81\0\0\0\0"
            "b");
    RAW(&c, "\x82");
    client_close(&c);
}

static void websocket_life(void)
{
    raw_request(&a, "GET", "websocket", WS_HEADERS, "");
    RAW(&a, "\x81\x82\0\0\0\0"
            "4x");
}

/* No answer is promised; nothing may be left behind, and the next client is served. */
static void check_survives(void (*life)(void))
{
    bool failed = true;
    for (long n = 0; failed; n++) {
        client_close(&a);
        client_close(&b);
        world_close(&world);
        world_init(&world);
        world.greet = true;
        world_open(&world);
        client_open(&a, &world);
        client_open(&b, &world);
        world_settle(&world);
        failing_alloc_at(n);
        life();
        failed = failing_alloc_hit();
        client_close(&b);
        client_open(&b, &world);
        client_ws_open(&b, NULL);
        client_ws_expect(&b, "4welcome");
        assert_in_range(n, 0, 1000);
    }
}

static void without_memory_the_server_lives_on(void **state)
{
    (void)state;
    check_survives(whole_life);
    check_survives(websocket_life);
}

static void reopen(void)
{
    struct eio_server_options options = world.options;
    struct http_server_options http_options = world.http_options;
    client_close(&a);
    client_close(&b);
    world_close(&world);
    world_init(&world);
    world.options = options;
    world.http_options = http_options;
    world_open(&world);
    client_open(&a, &world);
    client_open(&b, &world);
}

/* Sends as often to the session, whose client reads nothing. The last error. */
static enum err pour(unsigned times)
{
    static char text[100000];
    struct rcbuf *packet = eio_encode_text(str_range(text, sizeof text));
    enum err err = OK;
    for (unsigned i = 0; i < times && !err; i++) {
        err = eio_session_send(world.session, packet);
    }
    rcbuf_unref(&packet);
    return err;
}

static void too_much_for_the_connection_ends_the_session(void **state)
{
    (void)state;
    world.http_options.net.queue_bytes = 500000;
    reopen();
    client_ws_open(&a, NULL);
    assert_int_equal(pour(4), OK);
    assert_int_equal(pour(2), ERR_LIMIT);
    world_expect(&world, "open;close too slow;");
}

static void a_client_that_takes_nothing_ends(void **state)
{
    (void)state;
    world.options.ping_interval_ms = 1000000;
    world.http_options.net.queue_bytes = 1u << 27;
    reopen();
    client_ws_open(&a, NULL);
    assert_int_equal(pour(200), OK); /* more than the kernel holds */
    world_advance(&world, 59000);
    world_expect(&world, "open;");
    world_advance(&world, 3000);
    world_expect(&world, "close too slow;");
}

static void make_server(void *context)
{
    (void)context;
    struct eio_server *server =
        eio_server_new(world.loop, &world.options, &(struct eio_session_ops){0}, NULL);
    eio_server_free(server);
}

static void without_memory_there_is_no_server(void **state)
{
    (void)state;
    failing_alloc_each(make_server, NULL);
}

static void every_reason_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < EIO_CLOSE_REASONS; i++) {
        assert_non_null(eio_close_reason_name((enum eio_close_reason)i));
    }
    assert_string_equal(eio_close_reason_name(EIO_CLOSE_REASONS), "unknown");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_session_is_small),
        TEST(a_handshake_by_websocket_offers_no_upgrade),
        TEST(messages_go_both_ways),
        TEST(data_may_follow_the_handshake_at_once),
        TEST(fragments_become_one_packet),
        TEST(broken_packets_end_the_session),
        TEST(the_connections_end_is_the_sessions),
        TEST(our_close_waits_for_the_clients_answer),
        TEST(our_close_does_not_wait_for_ever),
        TEST(what_is_sent_before_the_close_arrives),
        TEST(a_packet_is_shared),
        TEST(a_batch_is_shared),
        TEST(a_batch_of_one_is_the_packet),
        TEST(origins_decide_over_handshakes),
        TEST(bad_handshakes_are_refused_before_101),
        TEST(compression_is_offered_in_vain),
        TEST(whoever_is_above_may_refuse),
        TEST(the_servers_end_is_every_sessions_end),
        TEST(the_http_server_may_go_first),
        TEST(without_memory_the_server_lives_on),
        TEST(too_much_for_the_connection_ends_the_session),
        TEST(a_client_that_takes_nothing_ends),
        TEST(without_memory_there_is_no_server),
        TEST(every_reason_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

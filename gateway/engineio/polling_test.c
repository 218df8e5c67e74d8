#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eio_world.h"

static struct world world;
static struct client a, b;

static int begin(void **state)
{
    (void)state;
    world_init(&world);
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

static void reopen_with_changes(void)
{
    client_close(&a);
    client_close(&b);
    struct world changed = world;
    world_close(&world);
    world_init(&world);
    world.options = changed.options;
    world.refuse = changed.refuse;
    world.close_in_open = changed.close_in_open;
    world.greet = changed.greet;
    world_open(&world);
    client_open(&a, &world);
    client_open(&b, &world);
}

static void check_gone(void)
{
    client_poll(&b, a.sid);
    client_expect(&b, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

static void has_header(const struct client *client, const char *line)
{
    if (!strcasestr(client->head, line)) {
        fail_msg("no %s in %s", line, client->head);
    }
}

static void a_handshake_opens_a_session(void **state)
{
    (void)state;
    client_handshake(&a);
    assert_int_equal(strlen(a.sid), 20);
    assert_non_null(strstr(a.body, "\"upgrades\":[\"websocket\"],\"pingInterval\":300,"
                                   "\"pingTimeout\":200,\"maxPayload\":100000}"));
    has_header(&a, "\r\nContent-Type: text/plain; charset=UTF-8\r\n");
    has_header(&a, "\r\nCache-Control: no-store\r\n");
    world_expect(&world, "open;");
    const struct eio_server_stats *stats = eio_server_stats(world.server);
    assert_int_equal(stats->sessions, 1);
    assert_int_equal(stats->polling, 1);
    assert_int_equal(stats->opened, 1);
}

static void the_last_slash_may_be_missing(void **state)
{
    (void)state;
    client_send(&a, STR("GET /socket.io?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_answer(&a);
    assert_int_equal(a.status, 200);
    client_send(&a, STR("GET /socket.iox?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_answer(&a);
    assert_int_equal(a.status, 404);
}

static void refusals_are_json_with_the_protocols_codes(void **state)
{
    (void)state;
    client_send(&a, STR("GET /socket.io/?EIO=4&transport=abc HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_expect(&a, 400, "{\"code\":0,\"message\":\"Transport unknown\"}");
    has_header(&a, "\r\nContent-Type: application/json\r\n");
    client_get(&a, "&sid=nobody");
    assert_string_equal(a.body, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    client_request(&a, "POST", "", STR(""));
    client_expect(&a, 400, "{\"code\":2,\"message\":\"Bad handshake method\"}");
    client_get(&a, "&j=0");
    assert_string_equal(a.body, "{\"code\":3,\"message\":\"Bad request\"}");
    client_send(&a, STR("GET /socket.io/?EIO=3&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_expect(&a, 400, "{\"code\":5,\"message\":\"Unsupported protocol version\"}");
    assert_int_equal(eio_server_stats(world.server)->refused, 5);
    world_expect(&world, "");
}

static void messages_go_both_ways(void **state)
{
    (void)state;
    client_handshake(&a);
    client_post(&a, a.sid, STR("4hello"));
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "ok");
    has_header(&a, "\r\nContent-Type: text/html\r\n");
    has_header(&a, "\r\nCache-Control: no-store\r\n");
    client_poll(&a, a.sid);
    client_expect(&a, 200, "4hello");
    has_header(&a, "\r\nContent-Type: text/plain; charset=UTF-8\r\n");
    world_expect(&world, "open;text hello;");
}

static void bytes_travel_as_base64(void **state)
{
    (void)state;
    client_handshake(&a);
    client_post(&a, a.sid,
                STR("4hello\x1e"
                    "bAQID\nBA==\n"));
    client_poll(&a, a.sid);
    client_expect(&a, 200,
                  "4hello\x1e"
                  "bAQIDBA==");
    world_expect(&world, "open;text hello;bytes \x01\x02\x03\x04;");
}

static void packets_of_one_turn_leave_in_one_answer(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_post(&b, a.sid,
                STR("4one\x1e"
                    "4two\x1e"
                    "4three"));
    client_expect(&a, 200,
                  "4one\x1e"
                  "4two\x1e"
                  "4three");
}

static void a_poll_without_news_waits(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    assert_true(client_quiet(&a));
    client_post(&b, a.sid, STR("4news"));
    client_expect(&a, 200, "4news");
}

/* The Python client refuses a seventeenth packet. */
static void an_answer_has_sixteen_packets_at_most(void **state)
{
    (void)state;
    client_handshake(&a);
    char body[200] = "";
    for (int i = 0; i < 20; i++) {
        snprintf(body + strlen(body), sizeof body - strlen(body), "%s4%d", i ? "\x1e" : "", i);
    }
    client_post(&a, a.sid, str_from(body));
    client_poll(&a, a.sid);
    client_answer(&a);
    assert_string_equal(strrchr(a.body, '\x1e'), "\x1e"
                                                 "415");
    client_poll(&a, a.sid);
    client_expect(&a, 200,
                  "416\x1e"
                  "417\x1e"
                  "418\x1e"
                  "419");
}

static void an_answer_is_bounded_in_bytes(void **state)
{
    (void)state;
    client_handshake(&a);
    static char body[40000];
    memset(body, 'x', sizeof body);
    body[0] = '4';
    for (int i = 0; i < 3; i++) {
        client_post(&a, a.sid, str_range(body, sizeof body));
    }
    client_poll(&a, a.sid);
    client_answer(&a);
    assert_int_equal(a.body_len, 2 * sizeof body + 1);
    client_poll(&a, a.sid);
    client_answer(&a);
    assert_int_equal(a.body_len, sizeof body);
}

static void two_polls_at_once_end_the_session(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_poll(&b, a.sid);
    client_answer(&b);
    assert_int_equal(b.status, 400);
    client_expect(&a, 200, "1");
    check_gone();
    world_expect(&world, "open;close protocol error;");
}

static void a_poll_given_up_ends_the_session(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_close(&a);
    world_expect(&world, "open;close transport;");
    check_gone();
    client_open(&a, &world);
}

static void a_connection_lost_between_polls_ends_nothing(void **state)
{
    (void)state;
    client_handshake(&a);
    client_close(&a);
    client_poll(&b, a.sid);
    assert_true(client_quiet(&b));
    world_expect(&world, "open;");
    client_open(&a, &world);
}

static void a_body_of_bytes_ends_the_session(void **state)
{
    (void)state;
    client_handshake(&a);
    char request[300];
    snprintf(request, sizeof request,
             "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n"
             "Content-Type: Application/Octet-Stream; x=y\r\nContent-Length: 2\r\n\r\n4a",
             a.sid);
    client_send(&a, str_from(request));
    client_answer(&a);
    assert_int_equal(a.status, 400);
    check_gone();
    world_expect(&world, "open;close protocol error;");
}

static void too_large_a_body_is_413_and_costs_nothing_else(void **state)
{
    (void)state;
    client_handshake(&a);
    static char body[100001];
    memset(body, 'x', sizeof body);
    body[0] = '4';
    client_post(&a, a.sid, str_range(body, sizeof body));
    assert_int_equal(a.status, 413);
    client_post(&b, a.sid, STR("4small"));
    assert_int_equal(b.status, 200);
    world_expect(&world, "open;text small;");
}

static void too_many_packets_end_the_session(void **state)
{
    (void)state;
    client_handshake(&a);
    char body[51 * 2];
    for (size_t i = 0; i < 51; i++) {
        body[2 * i] = '4';
        body[2 * i + 1] = '\x1e';
    }
    client_post(&a, a.sid, str_range(body, sizeof body - 1));
    assert_int_equal(a.status, 400);
    check_gone();
    world_expect(&world, "open;close protocol error;");
}

static void check_body_ends_session(struct str body)
{
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_post(&b, a.sid, body);
    assert_int_equal(b.status, 400);
    client_expect(&a, 200, "1");
    check_gone();
    world_expect(&world, "open;close protocol error;");
}

static void malformed_bodies_end_the_session(void **state)
{
    (void)state;
    check_body_ends_session(STR("abc"));
    check_body_ends_session(STR(""));
    check_body_ends_session(STR("bA"));
    check_body_ends_session(STR("4\xff"));
}

/* Since protocol 4 only the server pings. The body was well-formed, the session is over all the
 * same. */
static void a_clients_ping_ends_the_session(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_post(&b, a.sid, STR("2"));
    client_expect(&a, 200, "1");
    check_gone();
    world_expect(&world, "open;close protocol error;");
}

static void a_close_packet_ends_with_a_noop(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_post(&b, a.sid,
                STR("4last\x1e"
                    "1\x1e"
                    "4never"));
    assert_string_equal(b.body, "ok");
    client_expect(&a, 200, "6");
    check_gone();
    world_expect(&world, "open;text last;close client;");
}

static void packets_of_no_meaning_are_ignored(void **state)
{
    (void)state;
    client_handshake(&a);
    client_post(&a, a.sid,
                STR("5\x1e"
                    "6\x1e"
                    "0{}\x1e"
                    "4still"));
    assert_int_equal(a.status, 200);
    world_expect(&world, "open;text still;");
}

static void other_methods_are_refused(void **state)
{
    (void)state;
    client_handshake(&a);
    char more[80];
    snprintf(more, sizeof more, "&sid=%s", a.sid);
    client_request(&a, "PUT", more, STR(""));
    client_answer(&a);
    assert_int_equal(a.status, 400);
    world_expect(&world, "open;");
}

static void our_close_comes_behind_what_is_queued(void **state)
{
    (void)state;
    client_handshake(&a);
    client_post(&a, a.sid, STR("4before"));
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    eio_session_close(world.session, EIO_CLOSE_SLOW);
    world_expect(&world, "open;text before;");
    client_poll(&a, a.sid);
    client_expect(&a, 200,
                  "4before\x1e"
                  "1");
    world_expect(&world, "close server;");
    check_gone();
}

static void our_close_ends_a_waiting_poll(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    client_expect(&a, 200, "1");
    world_expect(&world, "open;close server;");
}

static void our_close_does_not_wait_for_ever(void **state)
{
    (void)state;
    client_handshake(&a);
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    world_advance(&world, 4900);
    world_expect(&world, "open;");
    world_advance(&world, 200);
    world_expect(&world, "close server;");
    check_gone();
}

static void a_closing_session_hears_and_sends_nothing(void **state)
{
    (void)state;
    client_handshake(&a);
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    struct rcbuf *packet = eio_encode_text(STR("late"));
    assert_int_equal(eio_session_send(world.session, packet), ERR_CLOSED);
    rcbuf_unref(&packet);
    client_post(&a, a.sid, STR("4late"));
    world_expect(&world, "open;");
}

static void what_waits_is_bounded(void **state)
{
    (void)state;
    world.options.queue_bytes = 1100;
    reopen_with_changes();
    client_handshake(&a);
    char text[300] = "";
    memset(text, 'x', sizeof text - 1);
    struct rcbuf *packet = eio_encode_text(str_from(text));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(eio_session_send(world.session, packet), OK);
    }
    assert_int_equal(packet->refs, 4);
    assert_int_equal(eio_session_send(world.session, packet), ERR_LIMIT);
    assert_int_equal(eio_session_send(world.session, packet), ERR_CLOSED);
    assert_int_equal(packet->refs, 1);
    rcbuf_unref(&packet);
    world_expect(&world, "open;close too slow;");
    check_gone();
}

static void one_session_too_many_is_503(void **state)
{
    (void)state;
    world.options.max_sessions = 1;
    reopen_with_changes();
    client_handshake(&a);
    client_get(&b, "");
    assert_int_equal(b.status, 503);
    assert_string_equal(b.body, "{\"code\":4,\"message\":\"Too many connections\"}");
    client_post(&a, a.sid, STR("1"));
    client_handshake(&b);
    world_expect(&world, "open;close client;open;");
}

static void whoever_is_above_may_refuse(void **state)
{
    (void)state;
    world.refuse = ERR_DENIED;
    client_get(&a, "");
    assert_int_equal(a.status, 403);
    assert_string_equal(a.body, "{\"code\":4,\"message\":\"Forbidden\"}");
    world.refuse = ERR_NOMEM;
    client_get(&a, "");
    assert_int_equal(a.status, 503);
    world_expect(&world, "");
    assert_int_equal(eio_server_stats(world.server)->sessions, 0);
    assert_int_equal(eio_server_stats(world.server)->polling, 0);
}

static void on_open_may_send_and_close(void **state)
{
    (void)state;
    world.greet = world.close_in_open = true;
    client_get(&a, "");
    assert_non_null(strstr(a.body, "}\x1e"
                                   "4welcome\x1e"
                                   "1"));
    world_expect(&world, "open;close server;");
}

static void the_servers_end_is_every_sessions_end(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    client_handshake(&b);
    eio_server_free(world.server);
    world.server = NULL;
    world_expect(&world, "open;open;close server;close server;");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_opens_a_session),
        TEST(the_last_slash_may_be_missing),
        TEST(refusals_are_json_with_the_protocols_codes),
        TEST(messages_go_both_ways),
        TEST(bytes_travel_as_base64),
        TEST(packets_of_one_turn_leave_in_one_answer),
        TEST(a_poll_without_news_waits),
        TEST(an_answer_has_sixteen_packets_at_most),
        TEST(an_answer_is_bounded_in_bytes),
        TEST(two_polls_at_once_end_the_session),
        TEST(a_poll_given_up_ends_the_session),
        TEST(a_connection_lost_between_polls_ends_nothing),
        TEST(a_body_of_bytes_ends_the_session),
        TEST(too_large_a_body_is_413_and_costs_nothing_else),
        TEST(too_many_packets_end_the_session),
        TEST(malformed_bodies_end_the_session),
        TEST(a_clients_ping_ends_the_session),
        TEST(a_close_packet_ends_with_a_noop),
        TEST(packets_of_no_meaning_are_ignored),
        TEST(other_methods_are_refused),
        TEST(our_close_comes_behind_what_is_queued),
        TEST(our_close_ends_a_waiting_poll),
        TEST(our_close_does_not_wait_for_ever),
        TEST(a_closing_session_hears_and_sends_nothing),
        TEST(what_waits_is_bounded),
        TEST(one_session_too_many_is_503),
        TEST(whoever_is_above_may_refuse),
        TEST(on_open_may_send_and_close),
        TEST(the_servers_end_is_every_sessions_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

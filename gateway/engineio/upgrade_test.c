#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eio_world.h"

/* `http` and `other` poll and post, `ws` is the candidate. */
static struct world world;
static struct client http, other, ws;

static void open_clients(void)
{
    client_open(&http, &world);
    client_open(&other, &world);
    client_open(&ws, &world);
}

static int begin(void **state)
{
    (void)state;
    world_init(&world);
    world.options.ping_interval_ms = 25000;
    world.options.ping_timeout_ms = 60000;
    world_open(&world);
    open_clients();
    return 0;
}

/* Pings soon. */
static int begin_quick(void **state)
{
    (void)state;
    world_init(&world);
    world_open(&world);
    open_clients();
    return 0;
}

static int end(void **state)
{
    (void)state;
    client_close(&http);
    client_close(&other);
    client_close(&ws);
    world_close(&world);
    return 0;
}

static void open_candidate(void)
{
    client_handshake(&http);
    client_ws_open(&ws, http.sid);
}

static void probe(void)
{
    open_candidate();
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
}

static void finish(void)
{
    client_ws_send(&ws, WS_TEXT, STR("5"));
    world_settle(&world);
    assert_string_equal(eio_session_transport(world.session), "websocket");
}

static void say(const char *text)
{
    struct rcbuf *packet = eio_encode_text(str_from(text));
    assert_int_equal(eio_session_send(world.session, packet), OK);
    rcbuf_unref(&packet);
}

/* The candidate is closed, the session goes on by polling. */
static void check_candidate_lost(void)
{
    assert_int_equal(client_ws_frame(&ws), WS_CLOSE);
    assert_true(client_sees_end(&ws));
    assert_string_equal(eio_session_transport(world.session), "polling");
    client_post(&other, http.sid, STR("4alive"));
    client_poll(&http, http.sid);
    client_expect(&http, 200, "4alive");
    world_expect(&world, "open;text alive;");
}

static void a_session_moves_to_websocket(void **state)
{
    (void)state;
    probe();
    finish();
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
    world_expect(&world, "open;text hello;");
    const struct eio_server_stats *stats = eio_server_stats(world.server);
    assert_int_equal(stats->upgraded, 1);
    assert_int_equal(stats->websocket, 1);
    assert_int_equal(stats->polling, 0);
}

static void a_waiting_poll_is_ended_by_the_probe(void **state)
{
    (void)state;
    open_candidate();
    client_poll(&http, http.sid);
    assert_true(client_quiet(&http));
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    client_expect(&http, 200, "6");
}

/* A client may poll again while it upgrades: one noop is not enough. */
static void every_poll_gets_a_noop_while_upgrading(void **state)
{
    (void)state;
    probe();
    for (int i = 0; i < 5; i++) {
        client_poll(&http, http.sid);
        world_advance(&world, 110);
        client_expect(&http, 200, "6");
    }
    finish();
    world_expect(&world, "open;");
}

static void a_second_poll_while_upgrading_replaces_the_first(void **state)
{
    (void)state;
    probe();
    client_poll(&http, http.sid);
    client_poll(&other, http.sid);
    client_expect(&http, 200, "6");
    world_advance(&world, 110);
    client_expect(&other, 200, "6");
    finish();
    world_expect(&world, "open;");
}

static void a_poll_that_waits_at_the_end_gets_a_noop(void **state)
{
    (void)state;
    probe();
    client_poll(&http, http.sid);
    finish();
    client_expect(&http, 200, "6");
}

static void messages_leave_by_poll_before_and_by_websocket_after(void **state)
{
    (void)state;
    probe();
    say("one");
    say("two");
    client_poll(&http, http.sid);
    client_expect(&http, 200,
                  "4one\x1e"
                  "4two");
    say("three");
    say("four");
    assert_true(client_quiet(&ws));
    finish();
    say("five");
    client_ws_expect(&ws, "4three");
    client_ws_expect(&ws, "4four");
    client_ws_expect(&ws, "4five");
    assert_true(client_quiet(&http));
}

static void posts_before_the_switch_come_first(void **state)
{
    (void)state;
    probe();
    client_post(&http, http.sid, STR("4posted"));
    assert_int_equal(http.status, 200);
    client_ws_send(&ws, WS_TEXT, STR("5"));
    client_ws_send(&ws, WS_TEXT, STR("4sent"));
    world_expect(&world, "open;text posted;text sent;");
}

static void requests_after_the_switch_are_refused(void **state)
{
    (void)state;
    probe();
    finish();
    client_poll(&http, http.sid);
    client_expect(&http, 400, "{\"code\":3,\"message\":\"Bad request\"}");
    client_post(&other, http.sid, STR("4late"));
    assert_int_equal(other.status, 400);
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
    world_expect(&world, "open;text hello;");
}

static void anything_but_a_probe_closes_the_candidate(void **state)
{
    (void)state;
    open_candidate();
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    check_candidate_lost();
}

static void a_switch_without_probe_closes_the_candidate(void **state)
{
    (void)state;
    open_candidate();
    client_ws_send(&ws, WS_TEXT, STR("5"));
    check_candidate_lost();
}

static void anything_but_a_switch_closes_the_candidate(void **state)
{
    (void)state;
    probe();
    client_ws_send(&ws, WS_BINARY, STR("5"));
    check_candidate_lost();
}

static void a_broken_frame_closes_the_candidate(void **state)
{
    (void)state;
    probe();
    client_send(&ws, STR("\xc1\x80\0\0\0\0"));
    check_candidate_lost();
}

static void patience_ends_the_candidate_alone(void **state)
{
    (void)state;
    open_candidate();
    world_advance(&world, 9900);
    assert_true(client_quiet(&ws));
    world_advance(&world, 200);
    check_candidate_lost();
}

static void patience_ends_a_probed_candidate_too(void **state)
{
    (void)state;
    probe();
    world_advance(&world, 10100);
    check_candidate_lost();
}

static void a_lost_candidate_may_be_followed_by_another(void **state)
{
    (void)state;
    probe();
    client_close(&ws);
    world_settle(&world);
    world_expect(&world, "open;");
    client_open(&ws, &world);
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
    say("there");
    client_ws_expect(&ws, "4there");
}

static void check_turned_away(struct client *client)
{
    client_ws_open(client, http.sid);
    assert_int_equal(client_ws_frame(client), WS_CLOSE);
    assert_true(client_sees_end(client));
}

static void a_second_candidate_is_closed_alone(void **state)
{
    (void)state;
    probe();
    check_turned_away(&other);
    finish();
    world_expect(&world, "open;");
}

static void a_websocket_for_an_upgraded_session_is_closed_alone(void **state)
{
    (void)state;
    probe();
    finish();
    check_turned_away(&other);
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
}

static void an_unknown_session_is_refused_before_101(void **state)
{
    (void)state;
    client_ws_request(&ws, "&sid=nobody", "Sec-WebSocket-Version: 13\r\n");
    client_expect(&ws, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    assert_true(client_sees_end(&ws));
}

static void a_foreign_page_can_not_upgrade(void **state)
{
    (void)state;
    client_handshake(&http);
    char more[80];
    snprintf(more, sizeof more, "&sid=%s", http.sid);
    client_ws_request(&ws, more, "Sec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n");
    client_expect(&ws, 403, "{\"code\":4,\"message\":\"Forbidden\"}");
    client_close(&ws);
    client_open(&ws, &world);
    client_ws_request(&ws, more, "Sec-WebSocket-Version: 8\r\n");
    client_answer(&ws);
    assert_int_equal(ws.status, 426);
    assert_non_null(strcasestr(ws.head, "\r\nSec-WebSocket-Version: 13\r\n"));
    world_expect(&world, "open;");
}

static void closing_while_upgrading_ends_both(void **state)
{
    (void)state;
    probe();
    say("last");
    eio_session_close(world.session, EIO_CLOSE_SERVER);
    assert_int_equal(client_ws_frame(&ws), WS_CLOSE);
    client_poll(&http, http.sid);
    client_expect(&http, 200,
                  "4last\x1e"
                  "1");
    world_expect(&world, "open;close server;");
}

static void a_poll_given_up_while_upgrading_ends_both(void **state)
{
    (void)state;
    open_candidate();
    client_poll(&http, http.sid);
    client_close(&http);
    world_expect(&world, "open;close transport;");
    assert_int_equal(client_ws_frame(&ws), WS_CLOSE);
    assert_true(client_sees_end(&ws));
    client_open(&http, &world);
}

static void no_ping_leaves_by_poll_while_upgrading(void **state)
{
    (void)state;
    probe();
    client_poll(&http, http.sid);
    world_advance(&world, 110);
    client_expect(&http, 200, "6");
    world_advance(&world, 900); /* several intervals and timeouts */
    client_poll(&http, http.sid);
    world_advance(&world, 110);
    client_expect(&http, 200, "6");
    finish();
    client_ws_expect(&ws, "2");
    world_advance(&world, 150);
    client_ws_send(&ws, WS_TEXT, STR("3"));
    world_advance(&world, 250);
    world_expect(&world, "open;");
}

static void a_ping_that_no_poll_took_follows_to_websocket(void **state)
{
    (void)state;
    client_handshake(&http);
    world_advance(&world, 310);
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    client_poll(&http, http.sid);
    world_advance(&world, 110);
    client_expect(&http, 200, "6");
    finish();
    client_ws_expect(&ws, "2");
}

static void a_held_ping_returns_to_polling_with_the_candidates_loss(void **state)
{
    (void)state;
    probe();
    world_advance(&world, 900);
    client_close(&ws);
    world_settle(&world);
    client_poll(&http, http.sid);
    client_expect(&http, 200, "2");
    world_advance(&world, 210);
    world_expect(&world, "open;close ping timeout;");
    client_open(&ws, &world);
}

static void a_pong_may_come_by_the_other_transport(void **state)
{
    (void)state;
    client_handshake(&http);
    client_poll(&http, http.sid);
    world_advance(&world, 310);
    client_expect(&http, 200, "2");
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
    client_ws_send(&ws, WS_TEXT, STR("3"));
    world_advance(&world, 280);
    world_expect(&world, "open;");
    world_advance(&world, 30);
    client_ws_expect(&ws, "2");
}

static void the_switch_does_not_restart_the_interval(void **state)
{
    (void)state;
    client_handshake(&http);
    world_advance(&world, 200);
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
    world_advance(&world, 110);
    client_ws_expect(&ws, "2");
}

int main(void)
{
#define TEST(name)  cmocka_unit_test_setup_teardown(name, begin, end)
#define QUICK(name) cmocka_unit_test_setup_teardown(name, begin_quick, end)
    const struct CMUnitTest tests[] = {
        TEST(a_session_moves_to_websocket),
        TEST(a_waiting_poll_is_ended_by_the_probe),
        TEST(every_poll_gets_a_noop_while_upgrading),
        TEST(a_second_poll_while_upgrading_replaces_the_first),
        TEST(a_poll_that_waits_at_the_end_gets_a_noop),
        TEST(messages_leave_by_poll_before_and_by_websocket_after),
        TEST(posts_before_the_switch_come_first),
        TEST(requests_after_the_switch_are_refused),
        TEST(anything_but_a_probe_closes_the_candidate),
        TEST(a_switch_without_probe_closes_the_candidate),
        TEST(anything_but_a_switch_closes_the_candidate),
        TEST(a_broken_frame_closes_the_candidate),
        TEST(patience_ends_the_candidate_alone),
        TEST(patience_ends_a_probed_candidate_too),
        TEST(a_lost_candidate_may_be_followed_by_another),
        TEST(a_second_candidate_is_closed_alone),
        TEST(a_websocket_for_an_upgraded_session_is_closed_alone),
        TEST(an_unknown_session_is_refused_before_101),
        TEST(a_foreign_page_can_not_upgrade),
        TEST(closing_while_upgrading_ends_both),
        TEST(a_poll_given_up_while_upgrading_ends_both),
        QUICK(no_ping_leaves_by_poll_while_upgrading),
        QUICK(a_ping_that_no_poll_took_follows_to_websocket),
        QUICK(a_held_ping_returns_to_polling_with_the_candidates_loss),
        QUICK(a_pong_may_come_by_the_other_transport),
        QUICK(the_switch_does_not_restart_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

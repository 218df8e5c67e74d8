/* Handshakes that come at a bad time, and sessions of a server that goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eio_world.h"

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

static const struct eio_server_stats *stats(void)
{
    return eio_server_stats(world.server);
}

static void expect_busy(struct client *client, const char *message)
{
    client_answer(client);
    assert_int_equal(client->status, 503);
    assert_non_null(strstr(client->body, message));
    assert_non_null(strstr(client->head, "\r\nRetry-After: 1\r\n"));
    assert_non_null(strstr(client->head, "\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(client->head, "\r\nVary: Origin\r\n"));
}

static const char good_headers[] = "Sec-WebSocket-Version: 13\r\nOrigin: http://good.example\r\n";

/* Whatever it is, the page may read it. */
static void expect_cors(const struct client *client)
{
    assert_non_null(
        strstr(client->head, "\r\nAccess-Control-Allow-Origin: http://good.example\r\n"));
}

/* --- Handshakes --- */

static void more_handshakes_than_the_rate_are_refused(void **state)
{
    (void)state;
    world.options.handshake_rate = 10;
    world.options.handshake_burst = 2;
    client_handshake(&a);
    client_handshake(&a);
    client_request(&a, "GET", "", STR(""));
    expect_busy(&a, "Too many handshakes");
    assert_null(strstr(a.head, "Connection: close"));
    client_ws_request(&b, "", good_headers);
    expect_busy(&b, "Too many handshakes");
    expect_cors(&b);
    assert_true(client_sees_end(&b));
    assert_int_equal(stats()->sessions, 2);
    assert_int_equal(stats()->turned_away[EIO_REFUSAL_RATE], 2);
    assert_int_equal(stats()->refused, 2);
    world_advance(&world, 100);
    client_handshake(&a);
    world_expect(&world, "open;open;open;");
}

/* A crowd of broken requests keeps nobody out. */
static void bad_handshakes_cost_no_place(void **state)
{
    (void)state;
    world.options.handshake_rate = 1;
    client_get(&a, "&EIO=3&transport=x&j=1");
    assert_int_equal(a.status, 400);
    client_post(&a, "", STR("4x"));
    assert_int_equal(a.status, 400);
    client_handshake(&a);
    client_request(&a, "GET", "", STR(""));
    expect_busy(&a, "Too many handshakes");
}

static void a_full_server_says_when_to_come_again(void **state)
{
    (void)state;
    world.options.max_sessions = 1;
    client_handshake(&a);
    client_request(&a, "GET", "", STR(""));
    expect_busy(&a, "Too many connections");
    client_ws_request(&b, "", good_headers);
    expect_busy(&b, "Too many connections");
    expect_cors(&b);
    assert_int_equal(stats()->turned_away[EIO_REFUSAL_FULL], 2);
}

static void a_leaving_server_takes_nobody(void **state)
{
    (void)state;
    client_handshake(&a);
    eio_server_leave(world.server);
    client_request(&a, "GET", "", STR(""));
    expect_busy(&a, "{\"code\":4,\"message\":\"Server is shutting down\"}");
    assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
    assert_true(client_sees_end(&a));
    client_ws_request(&b, "", good_headers);
    expect_busy(&b, "Server is shutting down");
    expect_cors(&b);
    assert_int_equal(stats()->turned_away[EIO_REFUSAL_LEAVING], 2);
    assert_int_equal(stats()->sessions, 1);
    world_expect(&world, "open;");
}

/* --- Sessions --- */

static void a_websocket_gets_what_is_queued_and_a_close_frame(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    client_ws_send(&a, WS_TEXT, STR("4last"));
    world_settle(&world);
    assert_int_equal(eio_server_release(world.server, 5), 1);
    assert_int_equal(stats()->sessions, 0);
    client_ws_expect(&a, "4last");
    assert_int_equal(client_ws_frame(&a), WS_CLOSE);
    assert_int_equal((unsigned char)a.body[0] << 8 | (unsigned char)a.body[1], WS_GOING_AWAY);
    world_expect(&world, "open;text last;close drain;");
    assert_true(eio_server_empty(world.server));
    client_ws_send(&a, WS_CLOSE, STR("\x03\xe9"));
    assert_true(client_sees_end(&a));
    assert_int_equal(stats()->closed[EIO_CLOSE_DRAIN], 1);
}

static void a_waiting_poll_fails(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    assert_int_equal(eio_server_release(world.server, 5), 1);
    expect_busy(&a, "Server is shutting down");
    world_expect(&world, "open;close drain;");
}

/* Until it has all that was due to it the session goes on, in both directions. */
static void without_a_poll_the_next_but_one_is_waited_for(void **state)
{
    (void)state;
    client_handshake(&a);
    client_post(&a, a.sid, STR("4one"));
    assert_int_equal(eio_server_release(world.server, 5), 1);
    assert_int_equal(eio_server_release(world.server, 5), 0);
    assert_int_equal(stats()->leaving, 1);
    client_post(&a, a.sid, STR("4two"));
    client_poll(&a, a.sid);
    client_expect(&a, 200,
                  "4one\x1e"
                  "4two");
    assert_false(eio_server_empty(world.server));
    client_poll(&a, a.sid);
    expect_busy(&a, "Server is shutting down");
    world_expect(&world, "open;text one;text two;close drain;");
    assert_int_equal(stats()->leaving, 0);
    assert_int_equal(stats()->sessions, 0);
}

static void who_leaves_is_not_upgraded(void **state)
{
    (void)state;
    client_handshake(&a);
    assert_int_equal(eio_server_release(world.server, 1), 1);
    client_ws_open(&b, a.sid);
    assert_int_equal(client_ws_frame(&b), WS_CLOSE);
    client_poll(&a, a.sid);
    expect_busy(&a, "Server is shutting down");
}

/* Its client has stopped to poll, and would not hear of the end of a session that goes back to it.
 */
static void an_upgrade_is_waited_for(void **state)
{
    (void)state;
    client_handshake(&a);
    client_ws_open(&b, a.sid);
    client_ws_send(&b, WS_TEXT, STR("2probe"));
    client_ws_expect(&b, "3probe");
    assert_int_equal(eio_server_release(world.server, 5), 0);
    client_ws_send(&b, WS_TEXT, STR("5"));
    world_settle(&world);
    assert_int_equal(eio_server_release(world.server, 5), 1);
    assert_int_equal(client_ws_frame(&b), WS_CLOSE);
    world_expect(&world, "open;close drain;");
}

static void all_are_released_a_few_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        client_handshake(&a);
    }
    assert_int_equal(eio_server_release(world.server, 0), 0);
    assert_int_equal(eio_server_release(world.server, 3), 3);
    client_post(&a, a.sid, STR("1")); /* goes by itself */
    size_t rest = stats()->sessions - stats()->leaving;
    assert_in_range(rest, 6, 7);
    assert_int_equal(eio_server_release(world.server, 4), 4);
    assert_int_equal(eio_server_release(world.server, 4), rest - 4);
    assert_int_equal(stats()->leaving, 9);
}

static void what_nobody_takes_is_cut(void **state)
{
    (void)state;
    client_handshake(&a);
    client_handshake(&a);
    assert_int_equal(eio_server_release(world.server, 2), 2);
    client_ws_open(&b, NULL);
    assert_int_equal(eio_server_cut(world.server, 2), 2);
    assert_false(eio_server_empty(world.server));
    assert_int_equal(eio_server_cut(world.server, 2), 1);
    assert_int_equal(eio_server_cut(world.server, 2), 0);
    assert_false(eio_server_empty(world.server)); /* nobody has been told yet */
    world_expect(&world, "open;open;open;close drain;close drain;close drain;");
    assert_true(eio_server_empty(world.server));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(more_handshakes_than_the_rate_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(bad_handshakes_cost_no_place, begin, end),
        cmocka_unit_test_setup_teardown(a_full_server_says_when_to_come_again, begin, end),
        cmocka_unit_test_setup_teardown(a_leaving_server_takes_nobody, begin, end),
        cmocka_unit_test_setup_teardown(a_websocket_gets_what_is_queued_and_a_close_frame, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_waiting_poll_fails, begin, end),
        cmocka_unit_test_setup_teardown(without_a_poll_the_next_but_one_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(who_leaves_is_not_upgraded, begin, end),
        cmocka_unit_test_setup_teardown(an_upgrade_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(all_are_released_a_few_at_a_time, begin, end),
        cmocka_unit_test_setup_teardown(what_nobody_takes_is_cut, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

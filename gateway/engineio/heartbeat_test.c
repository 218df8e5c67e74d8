#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static void polls_carry_pings(void **state)
{
    (void)state;
    client_handshake(&a);
    for (int i = 0; i < 3; i++) {
        client_poll(&a, a.sid);
        world_advance(&world, 280);
        assert_true(client_quiet(&a));
        world_advance(&world, 30);
        client_expect(&a, 200, "2");
        client_post(&b, a.sid, STR("3"));
        assert_string_equal(b.body, "ok");
    }
    world_expect(&world, "open;");
}

static void without_a_pong_the_session_ends(void **state)
{
    (void)state;
    client_handshake(&a);
    client_poll(&a, a.sid);
    world_advance(&world, 310);
    client_expect(&a, 200, "2");
    client_poll(&a, a.sid);
    world_advance(&world, 150);
    world_expect(&world, "open;");
    world_advance(&world, 40);
    world_expect(&world, "close ping timeout;");
    client_expect(&a, 200, "1");
}

/* Patience begins when the ping is queued, not when a poll takes it. */
static void patience_runs_without_a_poll(void **state)
{
    (void)state;
    client_handshake(&a);
    world_advance(&world, 500);
    world_expect(&world, "open;close ping timeout;");
    client_poll(&a, a.sid);
    client_expect(&a, 400, "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

static void a_late_poll_gets_the_ping_before_anything_else(void **state)
{
    (void)state;
    client_handshake(&a);
    world_advance(&world, 310);
    client_post(&b, a.sid, STR("4hello"));
    client_poll(&a, a.sid);
    client_expect(&a, 200,
                  "2\x1e"
                  "4hello");
    client_post(&b, a.sid, STR("3"));
    world_advance(&world, 250);
    world_expect(&world, "open;text hello;");
}

static void a_pong_is_followed_by_a_whole_interval(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    world_advance(&world, 310);
    client_ws_expect(&a, "2");
    world_advance(&world, 150);
    client_ws_send(&a, WS_TEXT, STR("3"));
    world_advance(&world, 280);
    assert_true(client_quiet(&a));
    world_advance(&world, 30);
    client_ws_expect(&a, "2");
}

/* Nothing but a pong counts, else a client that only sends would never notice that it hears
 * nothing. */
static void messages_are_no_pongs(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    world_advance(&world, 310);
    client_ws_send(&a, WS_TEXT, STR("4busy"));
    client_ws_send(&a, WS_PONG, STR(""));
    world_advance(&world, 200);
    world_expect(&world, "open;text busy;close ping timeout;");
}

static void an_unasked_pong_changes_nothing(void **state)
{
    (void)state;
    client_ws_open(&a, NULL);
    world_advance(&world, 200);
    client_ws_send(&a, WS_TEXT, STR("3"));
    world_advance(&world, 110);
    client_ws_expect(&a, "2");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(polls_carry_pings),
        TEST(without_a_pong_the_session_ends),
        TEST(patience_runs_without_a_poll),
        TEST(a_late_poll_gets_the_ping_before_anything_else),
        TEST(a_pong_is_followed_by_a_whole_interval),
        TEST(messages_are_no_pongs),
        TEST(an_unasked_pong_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A drain over real sessions and a bus that says what the test wants. */
#include "ops/drain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "eio_world.h"
#include "log/log.h"

/* --- The bus --- */

static size_t requests; /* without an answer */

struct bus_store *__wrap_bus_subscriber_store(const struct bus_subscriber *subscriber);
size_t __wrap_bus_store_waiting(const struct bus_store *store);

struct bus_store *__wrap_bus_subscriber_store(const struct bus_subscriber *subscriber)
{
    (void)subscriber;
    return NULL;
}

size_t __wrap_bus_store_waiting(const struct bus_store *store)
{
    (void)store;
    return requests;
}

/* --- The world --- */

enum { CLIENTS = 20, STEP_MS = 4 };

static struct world world;
static struct app app;
static struct ops_drain drain;
static struct client clients[CLIENTS];
static struct buf lines;
static unsigned done;

static void keep_line(struct str line, void *context)
{
    (void)context;
    assert_int_equal(buf_append(&lines, line), OK);
}

static int begin(void **state)
{
    (void)state;
    requests = done = 0;
    buf_init(&lines, 0);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, keep_line, NULL);
    world_init(&world);
    world.options.ping_interval_ms = 600000;
    world.options.max_sessions = 1000;
    world_open(&world);
    ops_drain_init(&drain, world.loop, &app, world.server, world.http);
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], &world);
        world_settle(&world); /* the backlog is short */
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        client_close(&clients[i]);
    }
    ops_drain_fini(&drain);
    world_close(&world);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL, NULL);
    buf_fini(&lines);
    return 0;
}

static void on_done(void *owner)
{
    assert_ptr_equal(owner, &drain);
    done++;
}

static void begin_drain(uint64_t delay_ms, uint64_t window_ms)
{
    assert_false(ops_draining(&drain));
    ops_drain_begin(&drain, delay_ms, window_ms, on_done, &drain);
    assert_true(ops_draining(&drain));
    assert_int_equal(done, 0);
}

static size_t sessions(void)
{
    return eio_server_stats(world.server)->sessions;
}

static bool logged(const char *text)
{
    return lines.len > 0 && strstr(buf_cstr(&lines), text);
}

static void open_websockets(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        client_ws_open(&clients[i], NULL);
    }
}

/* --- Tests --- */

static void without_sessions_it_is_over_after_the_delay(void **state)
{
    (void)state;
    begin_drain(1000, 20000);
    world_advance(&world, 990);
    assert_int_equal(done, 0);
    client_handshake(&clients[0]);
    client_post(&clients[0], clients[0].sid, STR("1")); /* served, and gone again */
    world_advance(&world, 100);
    assert_int_equal(done, 1);
    assert_true(logged("msg=drained closed=0 left_by_themselves=1 cut=0 unwritten=0 took_ms="));
}

static void during_the_delay_nobody_is_sent_away(void **state)
{
    (void)state;
    open_websockets(3);
    begin_drain(5000, 1000);
    world_advance(&world, 4900);
    assert_int_equal(sessions(), 3);
    client_handshake(&clients[3]);
    world_advance(&world, 200);
    client_get(&clients[4], "");
    assert_int_equal(clients[4].status, 503);
    assert_int_equal(sessions() - eio_server_stats(world.server)->leaving, 3);
}

static void sessions_end_evenly_over_the_window(void **state)
{
    (void)state;
    open_websockets(CLIENTS);
    begin_drain(0, 10000);
    for (int second = 1; second <= 9; second++) {
        world_advance(&world, second == 1 ? 950 : 1000);
        assert_int_equal(sessions(), CLIENTS - 2 * second);
    }
    world_advance(&world, 1000);
    assert_int_equal(sessions(), 0);
    assert_int_equal(eio_server_stats(world.server)->closed[EIO_CLOSE_DRAIN], CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(client_ws_frame(&clients[i]), WS_CLOSE);
    }
    world_advance(&world, 1100); /* the connections linger for a second */
    assert_int_equal(done, 1);
    assert_true(logged("msg=draining sessions=20 clients=0 delay_ms=0 window_ms=10000"));
    assert_true(logged("msg=\"closing sessions\" sessions=16 closed=4 left_by_themselves=0"));
    assert_true(logged("msg=drained closed=20 left_by_themselves=0 cut=0 unwritten=0 took_ms="));
}

static void without_delay_and_window_all_end_at_once(void **state)
{
    (void)state;
    open_websockets(CLIENTS);
    begin_drain(0, 0);
    world_advance(&world, 50);
    assert_int_equal(sessions(), 0);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(client_ws_frame(&clients[i]), WS_CLOSE);
        assert_true(client_sees_end(&clients[i]));
        assert_int_equal(done, 0); /* a reset might take the close frame away from the client */
        shutdown(clients[i].fd, SHUT_WR);
    }
    world_advance(&world, 50);
    assert_int_equal(done, 1);
}

static void a_client_that_does_not_poll_is_cut_in_the_end(void **state)
{
    (void)state;
    client_handshake(&clients[0]);
    client_handshake(&clients[1]);
    begin_drain(0, 1000);
    world_advance(&world, 2500);
    assert_int_equal(sessions(), 2);
    assert_int_equal(done, 0);
    client_poll(&clients[1], clients[1].sid);
    client_answer(&clients[1]);
    assert_int_equal(clients[1].status, 503);
    world_advance(&world, 1000);
    assert_int_equal(sessions(), 0);
    world_advance(&world, 1100);
    assert_int_equal(done, 1);
    assert_true(logged("msg=drained closed=2 left_by_themselves=0 cut=1 unwritten=0 took_ms="));
}

static void what_redis_is_to_have_is_waited_for(void **state)
{
    (void)state;
    requests = 2;
    begin_drain(0, 0);
    world_advance(&world, 1000);
    assert_int_equal(done, 0);
    requests = 0;
    world_advance(&world, 50);
    assert_int_equal(done, 1);
}

static void but_not_for_ever(void **state)
{
    (void)state;
    requests = 2;
    begin_drain(0, 0);
    world_advance(&world, 2100);
    assert_int_equal(done, 1);
    assert_true(logged("unwritten=2"));
    world_advance(&world, 5000);
    assert_int_equal(done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_sessions_it_is_over_after_the_delay, begin, end),
        cmocka_unit_test_setup_teardown(during_the_delay_nobody_is_sent_away, begin, end),
        cmocka_unit_test_setup_teardown(sessions_end_evenly_over_the_window, begin, end),
        cmocka_unit_test_setup_teardown(without_delay_and_window_all_end_at_once, begin, end),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_poll_is_cut_in_the_end, begin, end),
        cmocka_unit_test_setup_teardown(what_redis_is_to_have_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(but_not_for_ever, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

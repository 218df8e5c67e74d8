/* What stands in Redis of a client that can recover, and when. */
#include "app/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_world.h"
#include "util/clock.h"

#define SUBSCRIBE "20[\"subscribe\",{\"room\":\"market\",\"id\":\"1\"}]"

static struct app_world world;
static struct eio_session alice;
static struct person_past past;

static int open_world(uint64_t window_ms)
{
    app_world_init(&world);
    world.options.recovery_window_ms = window_ms;
    app_world_open(&world);
    past = (struct person_past){0};
    person_arrives(&world, &alice, "alice", &past);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return open_world(60000);
}

static int set_up_with_a_short_window(void **state)
{
    (void)state;
    return open_world(2000);
}

static int tear_down(void **state)
{
    (void)state;
    person_leaves(&alice);
    app_world_close(&world);
    return 0;
}

/* Redis' raw answer about the session at this moment, while the gateway stands still. */
static const char *stored(const char *command)
{
    static char answer[1024];
    char text[128];
    snprintf(text, sizeof text, "%s guesslyfe:session:%s", command, past.pid);
    redis_server_ask(&world.redis, text, answer, sizeof answer);
    return answer;
}

static long remaining_ms(void)
{
    return strtol(stored("PTTL") + 1, NULL, 10);
}

static bool is_there(void)
{
    return strncmp(stored("EXISTS"), ":1", 2) == 0;
}

static void it_is_there_before_connected_is_sent(void **state)
{
    (void)state;
    struct eio_session bob;
    past = (struct person_past){0};
    person_comes(&world, &bob, "bob", &past);
    PUMP_UNTIL(world.peer.loop, bob.sent.len > 0);
    assert_non_null(strstr(stored("GET"), "gateway "));
    assert_non_null(strstr(stored("GET"), " v user:bob\n"));
    assert_non_null(strstr(stored("GET"), " v global:all\n"));
    person_leaves(&bob);
}

static void a_room_is_there_before_it_is_acknowledged(void **state)
{
    (void)state;
    assert_null(strstr(stored("GET"), "market:1"));
    person_says(&alice, SUBSCRIBE);
    PUMP_UNTIL(world.peer.loop, alice.sent.len > 0);
    assert_non_null(strstr(stored("GET"), " v market:1\n"));
    person_hears_begin(&alice, "430[{\"success\":true");
    person_says(&alice, "21[\"unsubscribe\",{\"room\":\"market\",\"id\":\"1\"}]");
    PUMP_UNTIL(world.peer.loop, alice.sent.len > 0);
    assert_null(strstr(stored("GET"), "market:1"));
}

static void changes_meanwhile_are_kept_with_the_next(void **state)
{
    (void)state;
    uint64_t before = world.app->sessions.kept;
    for (unsigned i = 0; i < 3; i++) {
        char text[96];
        snprintf(text, sizeof text, "2%u[\"subscribe\",{\"room\":\"market\",\"id\":\"%u\"}]", i, i);
        person_says(&alice, text);
    }
    person_hears_begin(&alice, "430[{\"success\":true");
    person_hears_begin(&alice, "431[{\"success\":true");
    person_hears_begin(&alice, "432[{\"success\":true");
    assert_true(world.app->sessions.kept <= before + 2);
    assert_non_null(strstr(stored("GET"), " v market:2\n"));
}

/* The last id that was sent, so that nothing more than that has to be proved. */
static void leaving_notes_what_was_sent(void **state)
{
    (void)state;
    char id[32];
    uint64_t number = app_world_emit(&world, "market:created", "global:all", "{}");
    person_hears_event(&alice, &past, "42[\"market:created\",{}");
    person_leaves(&alice);
    snprintf(id, sizeof id, " %llu ", (unsigned long long)number);
    PUMP_UNTIL(world.peer.loop, strstr(stored("GET"), id));
    assert_in_range(remaining_ms(), 1, 60000);
}

static void goodbye_removes_it(void **state)
{
    (void)state;
    assert_true(is_there());
    person_says(&alice, "1");
    PUMP_UNTIL(world.peer.loop, !is_there());
}

/* It may be on its way to Redis by then. */
static void goodbye_before_it_is_kept_removes_it(void **state)
{
    (void)state;
    struct eio_session bob;
    past = (struct person_past){0};
    person_comes(&world, &bob, "bob", &past);
    uint64_t kept = world.app->sessions.kept;
    PUMP_UNTIL(world.peer.loop, app_world_members(&world, "user:bob") == 1);
    person_says(&bob, "1");
    person_leaves(&bob);
    app_world_settle(&world);
    assert_int_equal(world.app->sessions.kept, kept);
    assert_false(is_there());
}

/* With as much left as the client may need to come back, less what this machine may be late. */
static void it_outlasts_a_quiet_time(void **state)
{
    (void)state;
    uint64_t kept = world.app->sessions.kept, start = clock_monotonic_ms();
    do {
        assert_in_range(remaining_ms(), 1700, 3500);
        assert_int_equal(loop_turn(world.peer.loop, 20), OK);
    } while (clock_monotonic_ms() < start + 4000);
    assert_in_range(world.app->sessions.kept - kept, 1, 4);
}

/* Redis may have refused or lost it: the client lives on, and can not recover. */
/* As when Redis has come back: each once, whatever a turn has time for. */
static void all_are_kept_again(void **state)
{
    (void)state;
    enum { OTHERS = 200 };
    static struct eio_session others[OTHERS];
    for (unsigned i = 0; i < OTHERS; i++) {
        char name[16];
        struct person_past theirs = {0};
        snprintf(name, sizeof name, "other%u", i);
        person_arrives(&world, &others[i], name, &theirs);
    }
    stored("DEL");
    uint64_t before = world.app->sessions.kept;
    app_sessions_renew(&world.app->sessions);
    PUMP_UNTIL(world.peer.loop, world.app->sessions.kept >= before + OTHERS + 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(loop_turn(world.peer.loop, 10), OK);
    }
    assert_int_equal(world.app->sessions.kept, before + OTHERS + 1);
    assert_true(is_there());
    for (unsigned i = 0; i < OTHERS; i++) {
        person_leaves(&others[i]);
    }
}

static void redis_that_refuses_is_no_reason_to_wait(void **state)
{
    (void)state;
    redis_peer_ask(&world.peer, "CONFIG SET maxmemory 1");
    person_says(&alice, SUBSCRIBE);
    person_hears_begin(&alice, "430[{\"success\":true");
    assert_int_equal(world.app->sessions.refused, 1);
    redis_peer_ask(&world.peer, "CONFIG SET maxmemory 0");
}

static void whoever_was_taken_leaves_no_trace(void **state)
{
    (void)state;
    char before[1024];
    struct app_session *session =
        app_sessions_find(&world.app->sessions, str_range(past.pid, BUS_PID_LEN));
    assert_non_null(session);
    app_session_take(session);
    app_session_take(session);
    assert_true(alice.closed);
    snprintf(before, sizeof before, "%s", stored("GET"));
    person_leaves(&alice);
    app_world_settle(&world);
    assert_string_equal(stored("GET"), before);
}

static void another_gateways_session_is_left_alone(void **state)
{
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "SET guesslyfe:session:%s another", past.pid);
    redis_peer_ask(&world.peer, command);
    person_says(&alice, SUBSCRIBE);
    PUMP_UNTIL(world.peer.loop, alice.closed);
    assert_int_equal(alice.sent.len, 0); /* nothing was promised */
    person_leaves(&alice);
    app_world_settle(&world);
    assert_non_null(strstr(stored("GET"), "another"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_there_before_connected_is_sent),
        TEST(a_room_is_there_before_it_is_acknowledged),
        TEST(changes_meanwhile_are_kept_with_the_next),
        TEST(leaving_notes_what_was_sent),
        TEST(goodbye_removes_it),
        TEST(goodbye_before_it_is_kept_removes_it),
        cmocka_unit_test_setup_teardown(it_outlasts_a_quiet_time, set_up_with_a_short_window,
                                        tear_down),
        TEST(all_are_kept_again),
        TEST(redis_that_refuses_is_no_reason_to_wait),
        TEST(whoever_was_taken_leaves_no_trace),
        TEST(another_gateways_session_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

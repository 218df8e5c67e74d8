/* Upgrades whose WebSocket reaches another gateway: the session moves there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eio_fleet.h"
#include "failing_alloc.h"

#define UNKNOWN "{\"code\":1,\"message\":\"Session ID unknown\"}"
#define BAD     "{\"code\":3,\"message\":\"Bad request\"}"

enum { OWNER, OTHER, THIRD, TIMEOUT_MS = 500, UPGRADE_MS = 2000 };

static struct fleet fleet;
/* `http` polls at its session's owner, `ws` is at the other; `third` at a third. */
static struct client http, ws, third;

/* What the layer above does at one of the steps, beside what it always does. */
static struct {
    const char *step; /* NULL: nothing */
    enum { SAYS, CLOSES, WAITS, REFUSES, SAYS_ALWAYS } does;
    struct eio_session *session; /* at which it was done */
} plan;

static struct world *world_of(unsigned gateway)
{
    return &fleet.gateways[gateway].world;
}

static void say(struct eio_session *session, const char *text)
{
    struct rcbuf *packet = eio_encode_text(str_from(text));
    assert_int_equal(eio_session_send(session, packet), OK);
    rcbuf_unref(&packet);
}

static enum world_move on_move(struct world *world, struct eio_session *session, const char *step)
{
    (void)world;
    if (plan.does == SAYS_ALWAYS) {
        if (strcmp(step, "arrive") != 0) { /* there nothing may be sent yet */
            say(session, step);
        }
        return WORLD_GIVES;
    }
    if (!plan.step || strcmp(plan.step, step) != 0) {
        return WORLD_GIVES;
    }
    plan.session = session;
    if (plan.does == SAYS) {
        say(session, step);
    } else if (plan.does == CLOSES) {
        eio_session_close(session, EIO_CLOSE_SERVER);
    }
    return plan.does == WAITS ? WORLD_WAITS : plan.does == REFUSES ? WORLD_REFUSES : WORLD_GIVES;
}

static void open_fleet(unsigned ping_interval_ms, unsigned ping_timeout_ms)
{
    fleet_init(&fleet);
    plan.step = NULL;
    plan.does = SAYS;
    plan.session = NULL;
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        world_of(i)->options.upgrade_timeout_ms = UPGRADE_MS;
        world_of(i)->options.ping_interval_ms = ping_interval_ms;
        world_of(i)->options.ping_timeout_ms = ping_timeout_ms;
        world_of(i)->on_move = on_move;
    }
    fleet_open(&fleet);
    client_open(&http, world_of(OWNER));
    client_open(&ws, world_of(OTHER));
    client_open(&third, world_of(THIRD));
}

static int begin(void **state)
{
    (void)state;
    open_fleet(25000, 20000);
    return 0;
}

static int begin_quick(void **state)
{
    (void)state;
    open_fleet(300, 200);
    return 0;
}

static int end(void **state)
{
    (void)state;
    client_close(&http);
    client_close(&ws);
    client_close(&third);
    fleet_close(&fleet);
    return 0;
}

/* --- The steps of a client --- */

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
    fleet_settle(&fleet);
}

static void finish(void)
{
    client_ws_send(&ws, WS_TEXT, STR("5"));
    fleet_settle(&fleet);
}

static void check_counts(unsigned gateway, unsigned polling, unsigned websocket)
{
    const struct eio_server_stats *stats = eio_server_stats(world_of(gateway)->server);
    assert_int_equal(stats->polling, polling);
    assert_int_equal(stats->websocket, websocket);
    assert_int_equal(stats->sessions, polling + websocket);
}

static void move(void)
{
    probe();
    finish();
    fleet_expect(&fleet, OWNER, "open;leave;ask place;close moved;");
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;");
    check_counts(OWNER, 0, 0);
    check_counts(OTHER, 0, 1);
}

/* The candidate is closed, the session goes on by polling where it was. */
static void check_candidate_lost(const char *log)
{
    assert_int_equal(client_ws_frame(&ws), WS_CLOSE);
    assert_true(client_sees_end(&ws));
    fleet_settle(&fleet);
    check_counts(OWNER, 1, 0);
    check_counts(OTHER, 0, 0);
    client_post(&third, http.sid, STR("4alive"));
    client_poll(&http, http.sid);
    client_expect(&http, 200, "4alive");
    fleet_expect(&fleet, OWNER, log);
}

/* It is nowhere any more. */
static void check_session_lost(void)
{
    fleet_settle(&fleet);
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        if (!fleet.gateways[i].gone) {
            check_counts(i, 0, 0);
            assert_int_equal(fleet_stats(&fleet, i)->waiting, 0);
            assert_int_equal(fleet_stats(&fleet, i)->bytes, 0);
        }
    }
}

/* --- All is well --- */

static void a_session_moves_to_its_websocket(void **state)
{
    (void)state;
    move();
    assert_int_equal(fleet_stats(&fleet, OWNER)->moved_out, 1);
    assert_int_equal(fleet_stats(&fleet, OTHER)->moved_in, 1);
    assert_int_equal(eio_server_stats(world_of(OTHER)->server)->upgraded, 1);
    assert_int_equal(eio_server_stats(world_of(OWNER)->server)->closed[EIO_CLOSE_MOVED], 1);
    struct eio_session *session = world_of(OTHER)->session;
    assert_true(str_eq(eio_session_sid(session), str_from(http.sid)));
    assert_string_equal(eio_session_transport(session), "websocket");
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
    client_ws_send(&ws, WS_BINARY, STR("\x01\x02"));
    assert_int_equal(client_ws_frame(&ws), WS_BINARY);
    fleet_expect(&fleet, OTHER, "text hello;bytes \x01\x02;");
    client_close(&ws);
    fleet_expect(&fleet, OTHER, "close transport;");
    client_open(&ws, world_of(OTHER));
    check_session_lost();
}

static void a_waiting_poll_is_ended_by_the_probe(void **state)
{
    (void)state;
    open_candidate();
    client_poll(&third, http.sid);
    fleet_settle(&fleet);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    client_expect(&third, 200, "6");
    for (int i = 0; i < 3; i++) { /* and so is every other, here or there */
        client_poll(i == 1 ? &http : &third, http.sid);
        fleet_settle(&fleet);
        fleet_advance(&fleet, 110);
        client_expect(i == 1 ? &http : &third, 200, "6");
    }
    client_poll(&http, http.sid);
    finish();
    client_expect(&http, 200, "6");
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;");
}

static void packets_leave_by_poll_before_and_by_websocket_after(void **state)
{
    (void)state;
    plan.does = SAYS_ALWAYS;
    probe();
    say(world_of(OWNER)->session, "one");
    client_poll(&third, http.sid);
    client_expect(&third, 200, "4one");
    say(world_of(OWNER)->session, "two");
    struct rcbuf *bytes = eio_encode_binary(STR("\0bytes"));
    assert_int_equal(eio_session_send(world_of(OWNER)->session, bytes), OK);
    rcbuf_unref(&bytes);
    assert_true(client_quiet(&ws));
    finish();
    say(world_of(OTHER)->session, "three");
    client_ws_expect(&ws, "4two");
    assert_int_equal(client_ws_frame(&ws), WS_BINARY);
    assert_memory_equal(ws.body, "\0bytes", 6);
    client_ws_expect(&ws, "4leave");
    client_ws_expect(&ws, "4ask");
    client_ws_expect(&ws, "4arrived");
    client_ws_expect(&ws, "4three");
    assert_true(client_quiet(&ws));
}

static void posts_before_the_switch_come_first(void **state)
{
    (void)state;
    probe();
    client_post(&third, http.sid, STR("4posted"));
    assert_int_equal(third.status, 200);
    client_ws_send(&ws, WS_TEXT, STR("5"));
    client_ws_send(&ws, WS_TEXT, STR("4sent"));
    fleet_expect(&fleet, OWNER, "open;text posted;leave;ask place;close moved;");
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;text sent;");
    client_ws_expect(&ws, "4posted");
    client_ws_expect(&ws, "4sent");
}

/* In one piece with the `5`, and in pieces of a frame. */
static void what_the_client_says_early_waits_for_its_session(void **state)
{
    (void)state;
    probe();
    client_send(&ws, STR("\x81\x81\0\0\0\0"
                         "5"
                         "\x81\x82\0\0\0\0"
                         "4a"
                         "\x82\x81\0\0\0\0\x07"
                         "\x01\x82\0\0\0\0"
                         "4b"));
    client_send(&ws, STR("\x80\x81\0\0\0\0"
                         "c"));
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;text a;bytes \x07;text bc;");
    client_ws_expect(&ws, "4a");
}

static void what_is_no_packet_breaks_the_protocol_early_too(void **state)
{
    (void)state;
    probe();
    client_send(&ws, STR("\x81\x81\0\0\0\0"
                         "5"
                         "\x81\x82\0\0\0\0"
                         "4a"
                         "\x81\x81\0\0\0\0"
                         "9"
                         "\x81\x82\0\0\0\0"
                         "4b"));
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;text a;close protocol error;");
    check_session_lost();
}

static void a_client_may_say_good_bye_early(void **state)
{
    (void)state;
    probe();
    client_send(&ws, STR("\x81\x81\0\0\0\0"
                         "5"
                         "\x81\x81\0\0\0\0"
                         "1"));
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;close client;");
    check_session_lost();
}

static void what_is_said_early_is_bounded(void **state)
{
    (void)state;
    char *body = malloc(70001);
    struct buf out = {0};
    memset(body, 'x', 70001);
    body[0] = '4';
    plan.step = "leave";
    plan.does = WAITS;
    probe();
    assert_int_equal(buf_append(&out, STR("\x81\x81\0\0\0\0"
                                          "5")),
                     OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(buf_append(&out, STR("\x81\xff\0\0\0\0\0\x01\x11\x71\0\0\0\0")), OK);
        assert_int_equal(buf_append(&out, str_range(body, 70001)), OK);
    }
    client_try(&ws, buf_str(&out));
    fleet_settle(&fleet);
    fleet_advance(&fleet, 2 * TIMEOUT_MS + 100);
    fleet_expect(&fleet, OWNER, "open;leave;close transport;");
    check_session_lost();
    buf_fini(&out);
    free(body);
}

static void heartbeats_go_on_after_the_move(void **state)
{
    (void)state;
    probe();
    fleet_advance(&fleet, 1000); /* no ping leaves meanwhile */
    finish();
    client_ws_expect(&ws, "2"); /* the one that was held */
    client_ws_send(&ws, WS_TEXT, STR("3"));
    for (int i = 0; i < 3; i++) {
        fleet_advance(&fleet, 310);
        client_ws_expect(&ws, "2");
        client_ws_send(&ws, WS_TEXT, STR("3"));
    }
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;");
    fleet_advance(&fleet, 310);
    client_ws_expect(&ws, "2");
    fleet_advance(&fleet, 210);
    fleet_expect(&fleet, OTHER, "close ping timeout;");
    check_session_lost();
}

static void the_switch_does_not_restart_the_interval(void **state)
{
    (void)state;
    client_handshake(&http);
    fleet_advance(&fleet, 200);
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
    fleet_advance(&fleet, 90);
    assert_true(client_quiet(&ws));
    fleet_advance(&fleet, 30);
    client_ws_expect(&ws, "2");
}

/* Its ping was taken by a poll. */
static void take_ping_and_move(void)
{
    client_handshake(&http);
    client_poll(&http, http.sid);
    fleet_advance(&fleet, 310);
    client_expect(&http, 200, "2");
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
}

static void a_pong_may_come_by_the_other_transport(void **state)
{
    (void)state;
    take_ping_and_move();
    client_ws_send(&ws, WS_TEXT, STR("3"));
    fleet_advance(&fleet, 280);
    assert_true(client_quiet(&ws));
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;");
    fleet_advance(&fleet, 30);
    client_ws_expect(&ws, "2");
}

static void a_pong_that_was_due_there_is_due_here(void **state)
{
    (void)state;
    take_ping_and_move();
    fleet_advance(&fleet, 200);
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;close ping timeout;");
}

/* --- Afterwards --- */

static void late_requests_are_told_as_after_any_upgrade(void **state)
{
    (void)state;
    move();
    client_poll(&http, http.sid);
    client_expect(&http, 400, BAD);
    client_post(&third, http.sid, STR("4late"));
    assert_int_equal(third.status, 400);
    assert_string_equal(third.body, BAD);
    struct client late;
    client_open(&late, world_of(OTHER));
    client_poll(&late, http.sid);
    client_expect(&late, 400, BAD);
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
    fleet_advance(&fleet, 20000);
    client_ws_send(&ws, WS_TEXT, STR("3"));
    client_poll(&third, http.sid);
    client_expect(&third, 400, BAD);
    client_close(&late);
}

static void a_move_is_forgotten_after_a_while(void **state)
{
    char first[64];
    (void)state;
    move();
    memcpy(first, http.sid, sizeof first);
    fleet_advance(&fleet, 31000);
    client_close(&ws);
    client_open(&ws, world_of(OTHER));
    probe();
    finish();
    client_poll(&third, first);
    client_expect(&third, 400, UNKNOWN);
    client_poll(&third, http.sid);
    client_expect(&third, 400, BAD);
}

static void more_websockets_are_turned_away(void **state)
{
    struct client more[3];
    (void)state;
    probe();
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        client_open(&more[i], world_of(i));
        client_ws_open(&more[i], http.sid);
        assert_int_equal(client_ws_frame(&more[i]), WS_CLOSE);
        assert_true(client_sees_end(&more[i]));
        client_close(&more[i]);
    }
    finish();
    client_open(&more[0], world_of(OTHER));
    client_ws_open(&more[0], http.sid);
    assert_int_equal(client_ws_frame(&more[0]), WS_CLOSE);
    client_close(&more[0]);
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
}

/* --- Candidates that fail --- */

static void anything_but_a_probe_closes_the_candidate(void **state)
{
    (void)state;
    open_candidate();
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    check_candidate_lost("open;text alive;");
}

static void a_switch_without_probe_closes_the_candidate(void **state)
{
    (void)state;
    open_candidate();
    client_ws_send(&ws, WS_TEXT, STR("5"));
    check_candidate_lost("open;text alive;");
}

static void anything_but_a_switch_closes_the_candidate(void **state)
{
    (void)state;
    probe();
    client_ws_send(&ws, WS_BINARY, STR("5"));
    check_candidate_lost("open;text alive;");
}

static void a_broken_frame_closes_the_candidate(void **state)
{
    (void)state;
    probe();
    client_send(&ws, STR("\xc1\x80\0\0\0\0"));
    check_candidate_lost("open;text alive;");
}

static void patience_ends_the_candidate_alone(void **state)
{
    (void)state;
    open_candidate();
    fleet_advance(&fleet, UPGRADE_MS - 100);
    assert_true(client_quiet(&ws));
    fleet_advance(&fleet, 200);
    check_candidate_lost("open;text alive;");
}

static void patience_ends_a_probed_candidate_too(void **state)
{
    (void)state;
    probe();
    fleet_advance(&fleet, UPGRADE_MS + 100);
    check_candidate_lost("open;text alive;");
}

static void a_lost_candidate_may_be_followed_by_another(void **state)
{
    (void)state;
    probe();
    client_close(&ws);
    fleet_expect(&fleet, OWNER, "open;");
    client_open(&ws, world_of(THIRD));
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
    fleet_expect(&fleet, THIRD, "arrive state;arrived rest;");
    say(world_of(THIRD)->session, "there");
    client_ws_expect(&ws, "4there");
}

static void one_may_be_followed_by_the_owners_own(void **state)
{
    (void)state;
    open_candidate();
    client_close(&ws);
    fleet_settle(&fleet);
    client_open(&ws, world_of(OWNER));
    client_ws_open(&ws, http.sid);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    finish();
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
    fleet_expect(&fleet, OWNER, "open;text hello;");
    check_counts(OWNER, 0, 1);
}

static void an_unknown_session_is_refused_before_101(void **state)
{
    (void)state;
    client_ws_request(&ws, "&sid=gateway-0001abcdefghijklmnopqrst",
                      "Sec-WebSocket-Version: 13\r\n");
    client_expect(&ws, 400, UNKNOWN);
    assert_true(client_sees_end(&ws));
    client_ws_request(&third, "&sid=gateway-0009abcdefghijklmnopqrst",
                      "Sec-WebSocket-Version: 13\r\n");
    client_expect(&third, 400, UNKNOWN);
    assert_true(client_sees_end(&third));
}

static void a_foreign_page_can_not_upgrade(void **state)
{
    char more[80];
    (void)state;
    client_handshake(&http);
    snprintf(more, sizeof more, "&sid=%s", http.sid);
    client_ws_request(&ws, more, "Sec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n");
    client_expect(&ws, 403, "{\"code\":4,\"message\":\"Forbidden\"}");
    client_ws_request(&third, more, "Sec-WebSocket-Version: 8\r\n");
    client_answer(&third);
    assert_int_equal(third.status, 426);
    fleet_expect(&fleet, OWNER, "open;");
    assert_int_equal(fleet_stats(&fleet, OTHER)->asked + fleet_stats(&fleet, THIRD)->asked, 0);
}

static void a_full_gateway_takes_no_session_in(void **state)
{
    char more[80];
    (void)state;
    world_of(OTHER)->options.max_sessions = 0;
    client_handshake(&http);
    snprintf(more, sizeof more, "&sid=%s", http.sid);
    client_ws_request(&ws, more, "Sec-WebSocket-Version: 13\r\n");
    client_answer(&ws);
    assert_int_equal(ws.status, 503);
    fleet_expect(&fleet, OWNER, "open;");
}

/* --- Clients that go --- */

static void a_client_may_go_before_its_candidate_is_there(void **state)
{
    char more[80];
    (void)state;
    client_handshake(&http);
    snprintf(more, sizeof more, "&sid=%s", http.sid);
    redis_server_pause(&fleet.redis);
    client_ws_request(&ws, more, "Sec-WebSocket-Version: 13\r\n");
    client_close(&ws);
    world_settle(world_of(OTHER));
    redis_server_resume(&fleet.redis);
    fleet_settle(&fleet);
    client_open(&ws, world_of(OTHER));
    probe();
    finish();
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;");
}

/* Its connection is not read from meanwhile: it is noticed when it is. */
static void a_client_may_go_while_its_session_moves(void **state)
{
    (void)state;
    probe();
    client_ws_send(&ws, WS_TEXT, STR("5"));
    client_close(&ws);
    client_open(&ws, world_of(OTHER));
    fleet_expect(&fleet, OWNER, "open;leave;ask place;close moved;");
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;close transport;");
    check_session_lost();
}

static void a_poll_given_up_while_upgrading_ends_both(void **state)
{
    (void)state;
    open_candidate();
    client_poll(&http, http.sid);
    client_close(&http);
    fleet_expect(&fleet, OWNER, "open;close transport;");
    assert_int_equal(client_ws_frame(&ws), WS_CLOSE);
    assert_true(client_sees_end(&ws));
    client_open(&http, world_of(OWNER));
    check_session_lost();
}

/* --- The layers above --- */

/* The plan's step has been reached, in time or not at all. */
static void check_given_up(const char *log, const char *other_log)
{
    finish();
    fleet_advance(&fleet, 3 * TIMEOUT_MS + 100);
    fleet_expect(&fleet, OWNER, log);
    fleet_expect(&fleet, OTHER, other_log);
    check_session_lost();
    assert_true(client_sees_end(&ws));
}

static void plan_is(const char *step, int does)
{
    plan.step = step;
    plan.does = does;
}

static void whoever_leaves_may_be_closed(void **state)
{
    (void)state;
    plan_is("leave", CLOSES);
    probe();
    check_given_up("open;leave;close server;", "");
}

static void whoever_arrives_may_be_closed(void **state)
{
    (void)state;
    plan_is("arrive", CLOSES);
    probe();
    check_given_up("open;leave;close transport;", "arrive state;close server;");
}

static void whoever_arrives_may_be_refused(void **state)
{
    (void)state;
    plan_is("arrive", REFUSES);
    probe();
    check_given_up("open;leave;close transport;", "arrive state;");
}

static void whoever_is_asked_may_be_closed(void **state)
{
    (void)state;
    plan_is("ask", CLOSES);
    probe();
    check_given_up("open;leave;ask place;close server;", "arrive state;close transport;");
}

static void whoever_has_arrived_may_be_closed(void **state)
{
    (void)state;
    plan_is("arrived", CLOSES);
    probe();
    say(world_of(OWNER)->session, "last");
    finish();
    fleet_expect(&fleet, OWNER, "open;leave;ask place;close moved;");
    client_ws_expect(&ws, "4last");
    assert_int_equal(client_ws_frame(&ws), WS_CLOSE);
    client_ws_send(&ws, WS_CLOSE, STR(""));
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;close server;");
    check_session_lost();
}

static void nobody_waits_for_ever_to_leave(void **state)
{
    (void)state;
    plan_is("leave", WAITS);
    probe();
    check_given_up("open;leave;close transport;", "");
    assert_int_equal(fleet_stats(&fleet, OTHER)->overdue, 1);
}

static void nobody_waits_for_ever_to_arrive(void **state)
{
    (void)state;
    plan_is("arrive", WAITS);
    probe();
    check_given_up("open;leave;close transport;", "arrive state;close transport;");
}

static void nobody_waits_for_ever_for_the_rest(void **state)
{
    (void)state;
    plan_is("ask", WAITS);
    probe();
    check_given_up("open;leave;ask place;close transport;", "arrive state;close transport;");
}

/* The same steps, and time enough. */
static void a_layer_above_may_take_its_time(void **state)
{
    (void)state;
    plan_is("leave", WAITS);
    probe();
    finish();
    fleet_advance(&fleet, TIMEOUT_MS / 2);
    plan_is("arrive", WAITS);
    eio_session_pack(plan.session, STR("late state"));
    fleet_settle(&fleet);
    fleet_advance(&fleet, TIMEOUT_MS / 2);
    plan_is("ask", WAITS);
    eio_session_ask(plan.session, STR("late place"));
    fleet_settle(&fleet);
    say(plan.session, "meanwhile");
    eio_session_hand_over(plan.session, STR("late rest"));
    client_ws_expect(&ws, "4meanwhile");
    fleet_expect(&fleet, OWNER, "open;leave;ask late place;close moved;");
    fleet_expect(&fleet, OTHER, "arrive late state;arrived late rest;");
}

static void the_application_may_close_one_that_waits(void **state)
{
    static const char *const steps[] = {"leave", "arrive", "ask"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        plan_is(steps[i], WAITS);
        probe();
        finish();
        eio_session_close(plan.session, EIO_CLOSE_SERVER);
        fleet_settle(&fleet);
        assert_true(client_sees_end(&ws));
        check_session_lost();
        client_close(&ws);
        client_open(&ws, world_of(OTHER));
    }
}

static void more_than_one_message_holds_ends_the_session(void **state)
{
    (void)state;
    char *text = malloc(1 << 20);
    memset(text, 'x', (1 << 20) - 1);
    text[(1 << 20) - 1] = '\0';
    world_of(OWNER)->options.queue_bytes = 20 << 20;
    probe();
    for (int i = 0; i < 9; i++) {
        say(world_of(OWNER)->session, text);
    }
    free(text);
    finish();
    fleet_expect(&fleet, OWNER, "open;leave;ask place;close too slow;");
    fleet_expect(&fleet, OTHER, "arrive state;close transport;");
    check_session_lost();
}

/* As after any upgrade: what is due is more than may wait for one. */
static void more_than_may_wait_here_ends_the_session(void **state)
{
    (void)state;
    world_of(OTHER)->options.queue_bytes = 100;
    probe();
    for (int i = 0; i < 10; i++) {
        say(world_of(OWNER)->session, "a packet like others");
    }
    finish();
    fleet_expect(&fleet, OWNER, "open;leave;ask place;close moved;");
    fleet_expect(&fleet, OTHER, "arrive state;close transport;");
    check_session_lost();
}

static enum world_move say_too_much(struct world *world, struct eio_session *session,
                                    const char *step)
{
    (void)world;
    for (int i = 0; i < 10 && strcmp(step, "arrived") == 0; i++) {
        struct rcbuf *packet = eio_encode_text(STR("a packet like others"));
        enum err err = eio_session_send(session, packet);
        assert_true(err == OK || i > 0);
        rcbuf_unref(&packet);
    }
    return WORLD_GIVES;
}

/* Nothing of what was kept for it is left out silently. */
static void more_than_may_wait_when_it_has_arrived_ends_it(void **state)
{
    (void)state;
    world_of(OTHER)->options.queue_bytes = 200;
    world_of(OTHER)->on_move = say_too_much;
    probe();
    finish();
    fleet_advance(&fleet, 5100); /* for its close frame */
    fleet_expect(&fleet, OTHER, "arrive state;arrived rest;close too slow;");
    check_session_lost();
}

/* --- Gateways and Redis that go --- */

static void an_owner_may_go_before_the_probe(void **state)
{
    (void)state;
    open_candidate();
    fleet_lose(&fleet, OWNER);
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    client_ws_send(&ws, WS_TEXT, STR("5"));
    fleet_advance(&fleet, 2 * TIMEOUT_MS + 100);
    assert_true(client_sees_end(&ws));
    check_session_lost();
}

static void an_owner_may_go_while_the_session_leaves(void **state)
{
    static const char *const steps[] = {"leave", "arrive", "ask"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        plan_is(steps[i], WAITS);
        probe();
        finish();
        fleet_lose(&fleet, OWNER);
        if (i == 1) {
            eio_session_ask(plan.session, STR("place"));
        }
        fleet_advance(&fleet, 2 * TIMEOUT_MS + 100);
        assert_true(client_sees_end(&ws));
        check_session_lost();
        end(NULL);
        begin(NULL);
    }
}

static void an_owner_may_go_when_it_has_handed_over(void **state)
{
    (void)state;
    move();
    fleet_lose(&fleet, OWNER);
    fleet_advance(&fleet, 5000);
    client_ws_send(&ws, WS_TEXT, STR("4hello"));
    client_ws_expect(&ws, "4hello");
    fleet_expect(&fleet, OTHER, "text hello;");
    client_poll(&third, http.sid);
    client_expect(&third, 400, UNKNOWN);
}

static void a_gateway_may_go_with_its_candidate(void **state)
{
    (void)state;
    probe();
    fleet_lose(&fleet, OTHER);
    fleet_advance(&fleet, UPGRADE_MS + 100);
    check_counts(OWNER, 1, 0);
    client_post(&third, http.sid, STR("4alive"));
    client_poll(&http, http.sid);
    client_expect(&http, 200, "4alive");
    client_close(&ws); /* and the next one is welcome */
    client_open(&ws, world_of(THIRD));
    client_ws_open(&ws, http.sid);
}

static void a_gateway_may_go_while_a_session_comes(void **state)
{
    static const char *const steps[] = {"leave", "arrive", "ask"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        plan_is(steps[i], WAITS);
        probe();
        finish();
        fleet_lose(&fleet, OTHER);
        if (i == 0) {
            eio_session_pack(plan.session, STR("state"));
        }
        fleet_advance(&fleet, 3 * TIMEOUT_MS + 100);
        check_session_lost();
        end(NULL);
        begin(NULL);
    }
}

static void redis_may_go_while_a_session_moves(void **state)
{
    static const char *const steps[] = {"leave", "arrive", "ask"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        plan_is(steps[i], WAITS);
        probe();
        finish();
        redis_server_kill(&fleet.redis);
        fleet_await_loss(&fleet);
        redis_server_start_again(&fleet.redis);
        fleet_await_redis(&fleet);
        fleet_advance(&fleet, 3 * TIMEOUT_MS + 100);
        assert_true(client_sees_end(&ws));
        check_session_lost();
        client_close(&ws);
        client_open(&ws, world_of(OTHER));
    }
}

/* The rest is lost: the owner has let the session go, and it comes to nothing here. */
static void a_rest_that_is_lost_ends_the_session(void **state)
{
    (void)state;
    plan_is("ask", WAITS);
    probe();
    finish();
    redis_server_pause(&fleet.redis);
    eio_session_hand_over(plan.session, STR("rest"));
    world_settle(world_of(OWNER));
    redis_server_kill(&fleet.redis);
    fleet_await_loss(&fleet);
    redis_server_start_again(&fleet.redis);
    fleet_await_redis(&fleet);
    fleet_advance(&fleet, 2 * TIMEOUT_MS + 100);
    fleet_expect(&fleet, OTHER, "arrive state;close transport;");
    assert_true(client_sees_end(&ws));
    check_session_lost();
}

/* --- Without memory --- */

static void attempt_upgrade(struct client *client)
{
    char text[512];
    int len = snprintf(text, sizeof text,
                       "GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n"
                       "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                       http.sid);
    client_try(client, str_range(text, (size_t)len));
}

static void live(long n)
{
    struct client a;
    client_open(&a, world_of(OTHER));
    world_settle(world_of(OTHER));
    failing_alloc_at(n);
    attempt_upgrade(&a);
    client_try(&a, STR("\x81\x86\0\0\0\0"
                       "2probe"));
    client_try(&a, STR("\x81\x81\0\0\0\0"
                       "5"
                       "\x81\x82\0\0\0\0"
                       "4x"));
    for (int i = 0; i < 4; i++) {
        world_settle(world_of(OWNER));
    }
    client_close(&a);
    world_settle(world_of(OWNER));
}

static void without_memory_the_fleet_lives_on(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        client_close(&http);
        client_open(&http, world_of(OWNER));
        client_handshake(&http);
        say(world_of(OWNER)->session, "waits");
        live(n);
        failed = failing_alloc_hit();
        fleet_await_redis(&fleet);
        fleet_advance(&fleet, 46000); /* it may go on by polling: until its heartbeat ends it */
        check_session_lost();
        for (unsigned i = 0; i < FLEET_SIZE; i++) {
            buf_clear(&world_of(i)->log);
        }
        assert_in_range(n, 0, 2000);
    }
    client_close(&ws); /* it has been idle for too long */
    client_open(&ws, world_of(OTHER));
    move();
}

static int start(void **state)
{
    (void)state;
    fleet_start(&fleet);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fleet_stop(&fleet);
    return 0;
}

int main(void)
{
#define TEST(name)  cmocka_unit_test_setup_teardown(name, begin, end)
#define QUICK(name) cmocka_unit_test_setup_teardown(name, begin_quick, end)
    const struct CMUnitTest tests[] = {
        TEST(a_session_moves_to_its_websocket),
        TEST(a_waiting_poll_is_ended_by_the_probe),
        TEST(packets_leave_by_poll_before_and_by_websocket_after),
        TEST(posts_before_the_switch_come_first),
        TEST(what_the_client_says_early_waits_for_its_session),
        TEST(what_is_no_packet_breaks_the_protocol_early_too),
        TEST(a_client_may_say_good_bye_early),
        TEST(what_is_said_early_is_bounded),
        QUICK(heartbeats_go_on_after_the_move),
        QUICK(the_switch_does_not_restart_the_interval),
        QUICK(a_pong_may_come_by_the_other_transport),
        QUICK(a_pong_that_was_due_there_is_due_here),
        TEST(late_requests_are_told_as_after_any_upgrade),
        TEST(a_move_is_forgotten_after_a_while),
        TEST(more_websockets_are_turned_away),
        TEST(anything_but_a_probe_closes_the_candidate),
        TEST(a_switch_without_probe_closes_the_candidate),
        TEST(anything_but_a_switch_closes_the_candidate),
        TEST(a_broken_frame_closes_the_candidate),
        TEST(patience_ends_the_candidate_alone),
        TEST(patience_ends_a_probed_candidate_too),
        TEST(a_lost_candidate_may_be_followed_by_another),
        TEST(one_may_be_followed_by_the_owners_own),
        TEST(an_unknown_session_is_refused_before_101),
        TEST(a_foreign_page_can_not_upgrade),
        TEST(a_full_gateway_takes_no_session_in),
        TEST(a_client_may_go_before_its_candidate_is_there),
        TEST(a_client_may_go_while_its_session_moves),
        TEST(a_poll_given_up_while_upgrading_ends_both),
        TEST(whoever_leaves_may_be_closed),
        TEST(whoever_arrives_may_be_closed),
        TEST(whoever_arrives_may_be_refused),
        TEST(whoever_is_asked_may_be_closed),
        TEST(whoever_has_arrived_may_be_closed),
        TEST(nobody_waits_for_ever_to_leave),
        TEST(nobody_waits_for_ever_to_arrive),
        TEST(nobody_waits_for_ever_for_the_rest),
        TEST(a_layer_above_may_take_its_time),
        TEST(the_application_may_close_one_that_waits),
        TEST(more_than_one_message_holds_ends_the_session),
        TEST(more_than_may_wait_here_ends_the_session),
        TEST(more_than_may_wait_when_it_has_arrived_ends_it),
        TEST(an_owner_may_go_before_the_probe),
        TEST(an_owner_may_go_while_the_session_leaves),
        TEST(an_owner_may_go_when_it_has_handed_over),
        TEST(a_gateway_may_go_with_its_candidate),
        TEST(a_gateway_may_go_while_a_session_comes),
        TEST(redis_may_go_while_a_session_moves),
        TEST(a_rest_that_is_lost_ends_the_session),
        TEST(without_memory_the_fleet_lives_on),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

/* Polls and POSTs that reach a gateway which has not got their session. */
#include "engineio/relay.h"

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

enum { OWNER, OTHER, THIRD };

static struct fleet fleet;
/* Each with a connection to the gateway of that name. */
static struct client owner, other, third;

static struct world *world_of(unsigned gateway)
{
    return &fleet.gateways[gateway].world;
}

static void open_fleet(void)
{
    fleet_open(&fleet);
    client_open(&owner, world_of(OWNER));
    client_open(&other, world_of(OTHER));
    client_open(&third, world_of(THIRD));
}

static int begin(void **state)
{
    (void)state;
    fleet_init(&fleet);
    open_fleet();
    return 0;
}

/* Pings every 300 ms, with 200 ms of patience. */
static int begin_quick(void **state)
{
    (void)state;
    fleet_init(&fleet);
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        world_of(i)->options.ping_interval_ms = 300;
        world_of(i)->options.ping_timeout_ms = 200;
    }
    open_fleet();
    return 0;
}

/* Whatever is on its way is too much. */
static int begin_narrow(void **state)
{
    (void)state;
    fleet_init(&fleet);
    fleet.options.max_bytes = 1;
    open_fleet();
    return 0;
}

static int end(void **state)
{
    (void)state;
    client_close(&owner);
    client_close(&other);
    client_close(&third);
    fleet_close(&fleet);
    return 0;
}

static void say_to(struct eio_session *session, struct str text)
{
    struct rcbuf *packet = eio_encode_text(text);
    assert_int_equal(eio_session_send(session, packet), OK);
    rcbuf_unref(&packet);
}

static void say(const char *text)
{
    say_to(world_of(OWNER)->session, str_from(text));
}

/* The session is the owner's; the poll waits there. */
static void poll_elsewhere(struct client *client)
{
    client_poll(client, owner.sid);
    fleet_settle(&fleet);
}

static void check_post(struct client *client, const char *body, unsigned status, const char *answer)
{
    client_post(client, owner.sid, str_from(body));
    assert_int_equal(client->status, status);
    assert_string_equal(client->body, answer);
}

/* --- What goes through --- */

static void an_id_begins_with_its_owners(void **state)
{
    (void)state;
    client_handshake(&owner);
    assert_int_equal(strlen(owner.sid), EIO_GATEWAY_ID_LEN + 20);
    assert_memory_equal(owner.sid, "gateway-0001", EIO_GATEWAY_ID_LEN);
    assert_true(eio_sid_has_owner(str_from(owner.sid)));
}

static void a_poll_is_answered_through_another_gateway(void **state)
{
    (void)state;
    client_handshake(&owner);
    say("waited");
    poll_elsewhere(&other);
    client_expect(&other, 200, "4waited");
    assert_non_null(strcasestr(other.head, "\r\nContent-Type: text/plain; charset=UTF-8\r\n"));
    assert_non_null(strcasestr(other.head, "\r\nCache-Control: no-store\r\n"));
    poll_elsewhere(&other);
    assert_true(client_quiet(&other));
    assert_int_equal(fleet_stats(&fleet, OTHER)->waiting, 1);
    say("came");
    say("later");
    client_expect(&other, 200,
                  "4came\x1e"
                  "4later");
    fleet_expect(&fleet, OWNER, "open;");
    assert_int_equal(fleet_stats(&fleet, OTHER)->waiting, 0);
    assert_int_equal(fleet_stats(&fleet, OTHER)->asked, 2);
    assert_int_equal(fleet_stats(&fleet, OWNER)->answered, 2);
    assert_int_equal(fleet_stats(&fleet, OTHER)->bytes + fleet_stats(&fleet, OWNER)->bytes, 0);
}

static void a_post_is_taken_through_another_gateway(void **state)
{
    (void)state;
    client_handshake(&owner);
    check_post(&other,
               "4one\x1e"
               "4two",
               200, "ok");
    assert_non_null(strcasestr(other.head, "\r\nContent-Type: text/html\r\n"));
    check_post(&third, "bAQID", 200, "ok");
    fleet_expect(&fleet, OWNER, "open;text one;text two;bytes \x01\x02\x03;");
    fleet_expect(&fleet, OTHER, "");
    assert_int_equal(eio_server_stats(world_of(OTHER)->server)->sessions, 0);
}

static void what_is_no_text_goes_through_too(void **state)
{
    (void)state;
    client_handshake(&owner);
    world_of(OWNER)->echo = false;
    client_post(&other, owner.sid, STR("4a\nb\xc3\xa9 0 0 x"));
    assert_string_equal(other.body, "ok");
    say_to(world_of(OWNER)->session, STR("x\0y\n0 0 z"));
    poll_elsewhere(&third);
    client_answer(&third);
    assert_int_equal(third.body_len, 10);
    assert_memory_equal(third.body, "4x\0y\n0 0 z", 10);
}

/* Each request to the next gateway in turn, as a balancer without stickiness has it. */
static void packets_keep_their_order_over_all_gateways(void **state)
{
    struct client *const clients[] = {&owner, &other, &third};
    char text[32], expected[4096] = "open;";
    (void)state;
    client_handshake(&owner);
    for (unsigned i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "4%u", i);
        client_poll(clients[i % 3], owner.sid);
        client_post(clients[(i + 1) % 3], owner.sid, str_from(text));
        assert_int_equal(clients[(i + 1) % 3]->status, 200);
        client_expect(clients[i % 3], 200, text);
        snprintf(expected + strlen(expected), 32, "text %u;", i);
    }
    fleet_expect(&fleet, OWNER, expected);
}

static void heartbeats_go_through(void **state)
{
    (void)state;
    client_handshake(&owner);
    for (int i = 0; i < 3; i++) {
        poll_elsewhere(&other);
        fleet_advance(&fleet, 310);
        client_expect(&other, 200, "2");
        check_post(&third, "3", 200, "ok");
    }
    fleet_expect(&fleet, OWNER, "open;");
    poll_elsewhere(&other);
    fleet_advance(&fleet, 310);
    client_expect(&other, 200, "2");
    poll_elsewhere(&third);
    fleet_advance(&fleet, 210);
    client_expect(&third, 200, "1");
    fleet_expect(&fleet, OWNER, "close ping timeout;");
}

/* --- Ends --- */

static void a_second_poll_elsewhere_ends_the_session(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    poll_elsewhere(&third);
    client_expect(&third, 400, BAD);
    client_expect(&other, 200, "1");
    fleet_expect(&fleet, OWNER, "open;close protocol error;");
    check_post(&other, "4late", 400, UNKNOWN);
}

static void a_poll_here_and_one_elsewhere_are_two(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&owner);
    poll_elsewhere(&other);
    client_expect(&other, 400, BAD);
    client_expect(&owner, 200, "1");
    fleet_expect(&fleet, OWNER, "open;close protocol error;");
}

static void a_poll_given_up_elsewhere_ends_the_session(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    client_close(&other);
    fleet_expect(&fleet, OWNER, "open;close transport;");
    client_open(&other, world_of(OTHER));
    assert_int_equal(fleet_stats(&fleet, OTHER)->waiting, 0);
}

/* It came behind the answer: nothing that the client has not got is lost. */
static void a_poll_given_up_when_it_was_answered_ends_nothing(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    say("answer");
    client_expect(&other, 200, "4answer");
    client_close(&other);
    client_open(&other, world_of(OTHER));
    fleet_expect(&fleet, OWNER, "open;");
    poll_elsewhere(&third);
    say("more");
    client_expect(&third, 200, "4more");
}

static void the_application_ends_a_session_that_is_polled_elsewhere(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    say("last");
    eio_session_close(world_of(OWNER)->session, EIO_CLOSE_SERVER);
    client_expect(&other, 200,
                  "4last\x1e"
                  "1");
    fleet_expect(&fleet, OWNER, "open;close server;");
}

static void the_client_says_good_bye_elsewhere(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    check_post(&third, "1", 200, "ok");
    client_expect(&other, 200, "6");
    fleet_expect(&fleet, OWNER, "open;close client;");
}

/* --- What is refused --- */

static void a_session_that_its_owner_has_not_got_is_unknown(void **state)
{
    (void)state;
    client_poll(&other, "gateway-0001abcdefghijklmnopqrst");
    client_expect(&other, 400, UNKNOWN);
    client_post(&third, "gateway-0001x", STR("4x"));
    assert_int_equal(third.status, 400);
    assert_string_equal(third.body, UNKNOWN);
    assert_int_equal(fleet_stats(&fleet, OTHER)->gone, 0);
}

/* As Redis tells with the answer to the question: no time passes. */
static void a_session_of_a_gateway_that_is_gone_is_unknown_at_once(void **state)
{
    (void)state;
    client_poll(&other, "gateway-0009abcdefghijklmnopqrst");
    client_expect(&other, 400, UNKNOWN);
    client_post(&other, "gateway-0009abcdefghijklmnopqrst", STR("4x"));
    assert_string_equal(other.body, UNKNOWN);
    assert_int_equal(fleet_stats(&fleet, OTHER)->gone, 2);
    assert_int_equal(fleet_stats(&fleet, OTHER)->waiting, 0);
}

static void an_id_without_an_owner_is_asked_of_nobody(void **state)
{
    static const char *const ids[] = {"short", "gateway-0001", "gateway-0001%20x",
                                      "gateway-00%0a1xyz", "gateway-0002abcdefghijklmnopqrst"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        client_poll(&other, ids[i]);
        client_expect(&other, 400, UNKNOWN);
    }
    assert_int_equal(fleet_stats(&fleet, OTHER)->asked, 0);
}

static void other_methods_are_bad_requests(void **state)
{
    (void)state;
    char more[80];
    client_handshake(&owner);
    snprintf(more, sizeof more, "&sid=%s", owner.sid);
    client_request(&other, "PUT", more, STR("4x"));
    client_expect(&other, 400, BAD);
    client_request(&other, "DELETE", more, STR(""));
    client_expect(&other, 400, BAD);
    fleet_expect(&fleet, OWNER, "open;");
}

static void a_post_that_is_too_large_is_refused_alone(void **state)
{
    (void)state;
    char *body = malloc(100002);
    memset(body, 'x', 100002);
    body[0] = '4';
    client_handshake(&owner);
    world_of(OWNER)->echo = false;
    client_post(&other, owner.sid, str_range(body, 100001));
    assert_int_equal(other.status, 413);
    client_post(&other, owner.sid, str_range(body, 100000));
    assert_int_equal(other.status, 200);
    free(body);
    assert_int_equal(fleet_stats(&fleet, OTHER)->bytes, 0);
    check_post(&third, "1", 200, "ok");
}

static void what_breaks_the_protocol_ends_the_session(void **state)
{
    static const char *const bodies[] = {"", "9", "4ok\x1e", "b!!", "2"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        client_handshake(&owner);
        client_post(&other, owner.sid, str_from(bodies[i]));
        assert_int_equal(other.status, strcmp(bodies[i], "2") == 0 ? 200 : 400);
        poll_elsewhere(&third);
        client_expect(&third, 400, UNKNOWN);
    }
    assert_int_equal(eio_server_stats(world_of(OWNER)->server)->sessions, 0);
}

static void bytes_end_the_session(void **state)
{
    (void)state;
    struct buf out = {0};
    client_handshake(&owner);
    assert_int_equal(buf_printf(&out,
                                "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\n"
                                "Host: x\r\nContent-Type: application/octet-stream\r\n"
                                "Content-Length: 2\r\n\r\n4x",
                                owner.sid),
                     OK);
    client_send(&other, buf_str(&out));
    client_expect(&other, 400, BAD);
    fleet_expect(&fleet, OWNER, "open;close protocol error;");
    buf_fini(&out);
}

/* --- Too much on its way --- */

static void redis_stops(void)
{
    redis_server_pause(&fleet.redis);
}

static void redis_goes_on(void)
{
    redis_server_resume(&fleet.redis);
    fleet_settle(&fleet);
}

static void a_post_is_told_to_wait_while_too_much_is_on_its_way(void **state)
{
    (void)state;
    char more[80];
    client_handshake(&owner);
    snprintf(more, sizeof more, "&sid=%s", owner.sid);
    struct client second;
    client_open(&second, world_of(OTHER));
    redis_stops();
    client_request(&other, "POST", more, STR("4first"));
    world_settle(world_of(OTHER));
    assert_int_equal(fleet_stats(&fleet, OTHER)->bytes, 6);
    client_request(&second, "POST", more, STR("4second"));
    client_answer(&second);
    assert_int_equal(second.status, 503);
    assert_non_null(strcasestr(second.head, "\r\nRetry-After: "));
    assert_int_equal(fleet_stats(&fleet, OTHER)->refused, 1);
    redis_goes_on();
    client_expect(&other, 200, "ok");
    client_post(&second, owner.sid, STR("4second"));
    assert_int_equal(second.status, 200);
    fleet_expect(&fleet, OWNER, "open;text first;text second;");
    client_close(&second);
}

/* Two sessions that are polled elsewhere; the answer to the first is on its way, and stays there.
 */
static struct eio_session *fill_the_way(struct client *first)
{
    client_open(first, world_of(OTHER));
    client_handshake(&owner);
    struct eio_session *session = world_of(OWNER)->session;
    char sid[64];
    memcpy(sid, owner.sid, sizeof sid);
    client_poll(first, sid);
    client_handshake(&owner);
    client_poll(&other, owner.sid);
    fleet_settle(&fleet);
    redis_stops();
    say_to(session, STR("first"));
    world_settle(world_of(OWNER));
    assert_int_equal(fleet_stats(&fleet, OWNER)->bytes, 6);
    return session;
}

static void an_answer_waits_while_too_much_is_on_its_way(void **state)
{
    (void)state;
    struct client first;
    fill_the_way(&first);
    say("second");
    world_settle(world_of(OWNER));
    assert_int_equal(fleet_stats(&fleet, OWNER)->bytes, 6);
    say("third");
    redis_goes_on();
    client_expect(&first, 200, "4first");
    client_expect(&other, 200,
                  "4second\x1e"
                  "4third");
    assert_int_equal(fleet_stats(&fleet, OWNER)->bytes, 0);
    fleet_expect(&fleet, OWNER, "open;open;");
    client_close(&first);
}

static void a_session_that_waits_for_its_turn_may_end(void **state)
{
    (void)state;
    struct client first;
    fill_the_way(&first);
    say("second");
    world_settle(world_of(OWNER));
    eio_session_close(world_of(OWNER)->session, EIO_CLOSE_SERVER);
    world_settle(world_of(OWNER));
    fleet_advance(&fleet, 5100); /* nobody took its last word in time */
    redis_goes_on();
    client_answer(&first);
    fleet_expect(&fleet, OWNER, "open;open;close server;");
    client_answer(&other);
    client_close(&first);
}

/* Its poll is to end now and again, and is looked at each time. */
static void a_session_that_waits_for_its_turn_may_upgrade(void **state)
{
    (void)state;
    struct client first, ws;
    fill_the_way(&first);
    client_open(&ws, world_of(OWNER));
    client_ws_open(&ws, owner.sid);
    say("second");
    client_ws_send(&ws, WS_TEXT, STR("2probe"));
    client_ws_expect(&ws, "3probe");
    fleet_advance(&fleet, 250);
    client_ws_send(&ws, WS_TEXT, STR("5"));
    client_ws_expect(&ws, "4second");
    redis_goes_on();
    client_answer(&first);
    client_expect(&other, 200, "6");
    say("third");
    client_ws_expect(&ws, "4third");
    fleet_expect(&fleet, OWNER, "open;open;");
    client_close(&ws);
    client_close(&first);
}

/* --- Gateways that go --- */

static void an_owner_that_dies_is_noticed_while_a_poll_waits(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    poll_elsewhere(&other); /* on one connection: waits behind the first */
    fleet_lose(&fleet, OWNER);
    for (int i = 0; i < 4; i++) {
        fleet_advance(&fleet, 500);
        fleet_settle(&fleet);
    }
    client_expect(&other, 400, UNKNOWN);
    client_expect(&other, 400, UNKNOWN);
    assert_int_equal(fleet_stats(&fleet, OTHER)->gone, 2);
    assert_int_equal(fleet_stats(&fleet, OTHER)->waiting, 0);
    client_poll(&third, owner.sid);
    client_expect(&third, 400, UNKNOWN);
}

/* What is between asks again, by another gateway or by the owner itself. */
static void a_poll_that_a_dead_gateway_had_may_come_again(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    fleet_settle(&fleet);
    fleet_lose(&fleet, OTHER);
    poll_elsewhere(&third);
    fleet_settle(&fleet);
    assert_true(client_quiet(&third));
    say("hello");
    client_expect(&third, 200, "4hello");
    fleet_expect(&fleet, OWNER, "open;");
}

static void it_may_come_to_the_owner_and_be_given_up(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    fleet_settle(&fleet);
    fleet_lose(&fleet, OTHER);
    poll_elsewhere(&owner);
    fleet_settle(&fleet);
    assert_true(client_quiet(&owner));
    client_close(&owner);
    fleet_expect(&fleet, OWNER, "open;close transport;");
    client_open(&owner, world_of(OWNER));
}

/* Whether the client has the answer nobody knows. */
static void a_session_whose_answer_a_dead_gateway_had_is_unknown(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    fleet_settle(&fleet);
    fleet_lose(&fleet, OTHER);
    say("to nobody");
    fleet_expect(&fleet, OWNER, "open;");
    poll_elsewhere(&third);
    client_expect(&third, 400, UNKNOWN);
    fleet_expect(&fleet, OWNER, "close transport;");
}

/* The next poll may be here before the word of its gateway that the client has the answer. */
static void a_poll_waits_for_the_one_before(void **state)
{
    (void)state;
    client_handshake(&owner);
    for (int i = 0; i < 10; i++) {
        struct client *one = i % 2 ? &third : &other, *next = i % 2 ? &other : &third;
        poll_elsewhere(one);
        fleet_settle(&fleet);
        say("first");
        client_expect(one, 200, "4first");
        poll_elsewhere(next);
        say("second");
        client_expect(next, 200, "4second");
        fleet_settle(&fleet);
    }
    fleet_expect(&fleet, OWNER, "open;");
}

/* As far as the client knows it was refused. */
static void a_gateway_that_ends_tells_those_who_wait(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    fleet_lose(&fleet, OTHER);
    assert_true(client_sees_end(&other));
}

/* --- Redis goes --- */

static void lose_redis(void)
{
    redis_server_kill(&fleet.redis);
    fleet_await_loss(&fleet);
}

static void start_redis(void)
{
    redis_server_start_again(&fleet.redis);
    fleet_await_redis(&fleet);
}

static void a_poll_waits_through_a_restart_of_redis(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    lose_redis();
    start_redis();
    for (int i = 0; i < 5; i++) { /* it is asked for again */
        fleet_advance(&fleet, 1000);
        fleet_settle(&fleet);
    }
    assert_true(client_quiet(&other));
    say("after");
    client_expect(&other, 200, "4after");
    poll_elsewhere(&third);
    say("more");
    client_expect(&third, 200, "4more");
    fleet_expect(&fleet, OWNER, "open;");
}

static void a_poll_that_came_while_redis_was_away_is_answered(void **state)
{
    (void)state;
    client_handshake(&owner);
    lose_redis();
    client_poll(&other, owner.sid);
    say("meanwhile");
    start_redis();
    fleet_advance(&fleet, 1100);
    client_expect(&other, 200, "4meanwhile");
    fleet_expect(&fleet, OWNER, "open;");
}

static void an_answer_that_is_lost_comes_again(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    redis_stops();
    say("lost");
    world_settle(world_of(OWNER));
    lose_redis();
    world_settle(world_of(OWNER));
    start_redis();
    fleet_advance(&fleet, 1100);
    client_expect(&other, 200, "4lost");
    fleet_settle(&fleet);
    say("next");
    poll_elsewhere(&third);
    client_expect(&third, 200, "4next");
    fleet_expect(&fleet, OWNER, "open;");
}

static void a_post_while_redis_is_away_is_taken_when_it_is_back(void **state)
{
    (void)state;
    char more[80];
    client_handshake(&owner);
    lose_redis();
    snprintf(more, sizeof more, "&sid=%s", owner.sid);
    client_request(&other, "POST", more, STR("4hello"));
    world_settle(world_of(OTHER));
    start_redis();
    client_answer(&other);
    if (other.status == 200) { /* or its owner was not there again */
        fleet_expect(&fleet, OWNER, "open;text hello;");
    } else {
        assert_int_equal(other.status, 503);
        fleet_expect(&fleet, OWNER, "open;");
    }
}

static void a_post_does_not_wait_for_redis_for_ever(void **state)
{
    (void)state;
    char more[80];
    client_handshake(&owner);
    lose_redis();
    snprintf(more, sizeof more, "&sid=%s", owner.sid);
    client_request(&other, "POST", more, STR("4hello"));
    world_settle(world_of(OTHER));
    assert_true(client_quiet(&other));
    fleet_advance(&fleet, 600);
    client_expect(&other, 503, "Try again later");
    assert_int_equal(fleet_stats(&fleet, OTHER)->overdue, 1);
    assert_int_equal(fleet_stats(&fleet, OTHER)->bytes, 0);
    start_redis();
    fleet_expect(&fleet, OWNER, "open;");
}

/* Nobody knows whether it was taken, and it is not sent a second time. */
static void a_post_whose_fate_is_unknown_is_not_repeated(void **state)
{
    (void)state;
    char more[80];
    client_handshake(&owner);
    redis_stops();
    snprintf(more, sizeof more, "&sid=%s", owner.sid);
    client_request(&other, "POST", more, STR("4hello"));
    world_settle(world_of(OTHER));
    lose_redis();
    client_expect(&other, 503, "Try again later");
    start_redis();
    fleet_expect(&fleet, OWNER, "open;");
}

/* --- Answers that do not come, or come late --- */

static void an_overdue_post_is_given_up(void **state)
{
    (void)state;
    char more[80];
    client_handshake(&owner);
    redis_stops();
    snprintf(more, sizeof more, "&sid=%s", owner.sid);
    client_request(&other, "POST", more, STR("4late"));
    world_settle(world_of(OTHER));
    fleet_advance(&fleet, 600);
    client_expect(&other, 503, "Try again later");
    redis_goes_on(); /* what was on its way arrives, and its answer is too late */
    fleet_expect(&fleet, OWNER, "open;text late;");
    assert_int_equal(fleet_stats(&fleet, OTHER)->overdue, 1);
    poll_elsewhere(&other);
    client_expect(&other, 200, "4late");
}

static void an_overdue_poll_ends_the_session(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    redis_stops();
    fleet_advance(&fleet, 1100); /* a ping would have come, or the end for want of a pong */
    client_expect(&other, 503, "Try again later");
    redis_goes_on();
    fleet_expect(&fleet, OWNER, "open;close ping timeout;");
    assert_int_equal(fleet_stats(&fleet, OTHER)->waiting, 0);
}

static void nonsense_from_others_is_passed_over(void **state)
{
    static const char *const said[] = {"0 0 relay -\nnonsense", "0 0 relayed -\n1 nonsense\n",
                                       "0 0 relayed -\n999 packets\n4x", "0 0 relayed -\n",
                                       "0 0 relay -\ngateway-0002 1 place gateway-0001x\nplace"};
    (void)state;
    client_handshake(&owner);
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:to:gateway-0001"),
                                   str_from(said[i])};
        assert_non_null(bus_store_ask(bus_subscriber_store(fleet.gateways[OTHER].subscriber), args,
                                      ARRAY_LEN(args), NULL, NULL));
        fleet_settle(&fleet);
    }
    check_post(&other, "4fine", 200, "ok");
    fleet_expect(&fleet, OWNER, "open;text fine;");
}

/* An answer to a poll that says what answers to upgrades say. */
static void an_answer_of_another_kind_is_no_answer(void **state)
{
    (void)state;
    client_handshake(&owner);
    poll_elsewhere(&other);
    const struct str args[] = {STR("PUBLISH"), STR("guesslyfe:to:gateway-0002"),
                               STR("0 0 relayed -\n1 rest\n0\n")};
    assert_non_null(bus_store_ask(bus_subscriber_store(fleet.gateways[OTHER].subscriber), args,
                                  ARRAY_LEN(args), NULL, NULL));
    client_expect(&other, 503, "Try again later");
}

/* --- Without memory --- */

static void attempt(struct client *client, const char *method, const char *body)
{
    char text[512];
    int len = snprintf(text, sizeof text,
                       "%s /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\n"
                       "Host: x\r\nContent-Length: %zu\r\n\r\n%s",
                       method, owner.sid, strlen(body), body);
    client_try(client, str_range(text, (size_t)len));
}

/* What a client does; any of it may fail. */
static void live(long n)
{
    struct client a, b;
    client_open(&a, world_of(OTHER));
    client_open(&b, world_of(THIRD));
    world_settle(world_of(OWNER));
    failing_alloc_at(n);
    attempt(&a, "GET", "");
    attempt(&b, "POST", "4hello");
    attempt(&b, "GET", "");
    world_settle(world_of(OWNER));
    client_close(&a);
    client_close(&b);
    world_settle(world_of(OWNER));
}

static void recover(void)
{
    fleet_await_redis(&fleet);
    fleet_advance(&fleet, 5000);
    fleet_settle(&fleet);
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        assert_int_equal(fleet_stats(&fleet, i)->waiting, 0);
        assert_int_equal(fleet_stats(&fleet, i)->bytes, 0);
        buf_clear(&world_of(i)->log);
    }
}

static void without_memory_the_fleet_lives_on(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        client_close(&owner);
        client_open(&owner, world_of(OWNER));
        client_handshake(&owner);
        live(n);
        failed = failing_alloc_hit();
        recover();
        assert_in_range(n, 0, 2000);
    }
    client_handshake(&owner);
    check_post(&other, "4fine", 200, "ok");
    poll_elsewhere(&third);
    client_expect(&third, 200, "4fine");
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
#define TEST(name)   cmocka_unit_test_setup_teardown(name, begin, end)
#define QUICK(name)  cmocka_unit_test_setup_teardown(name, begin_quick, end)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, begin_narrow, end)
    const struct CMUnitTest tests[] = {
        TEST(an_id_begins_with_its_owners),
        TEST(a_poll_is_answered_through_another_gateway),
        TEST(a_post_is_taken_through_another_gateway),
        TEST(what_is_no_text_goes_through_too),
        TEST(packets_keep_their_order_over_all_gateways),
        QUICK(heartbeats_go_through),
        TEST(a_second_poll_elsewhere_ends_the_session),
        TEST(a_poll_here_and_one_elsewhere_are_two),
        TEST(a_poll_given_up_elsewhere_ends_the_session),
        TEST(a_poll_given_up_when_it_was_answered_ends_nothing),
        TEST(the_application_ends_a_session_that_is_polled_elsewhere),
        TEST(the_client_says_good_bye_elsewhere),
        TEST(a_session_that_its_owner_has_not_got_is_unknown),
        TEST(a_session_of_a_gateway_that_is_gone_is_unknown_at_once),
        TEST(an_id_without_an_owner_is_asked_of_nobody),
        TEST(other_methods_are_bad_requests),
        TEST(a_post_that_is_too_large_is_refused_alone),
        TEST(what_breaks_the_protocol_ends_the_session),
        TEST(bytes_end_the_session),
        NARROW(a_post_is_told_to_wait_while_too_much_is_on_its_way),
        NARROW(an_answer_waits_while_too_much_is_on_its_way),
        NARROW(a_session_that_waits_for_its_turn_may_end),
        NARROW(a_session_that_waits_for_its_turn_may_upgrade),
        TEST(an_owner_that_dies_is_noticed_while_a_poll_waits),
        TEST(a_poll_that_a_dead_gateway_had_may_come_again),
        TEST(it_may_come_to_the_owner_and_be_given_up),
        TEST(a_session_whose_answer_a_dead_gateway_had_is_unknown),
        TEST(a_poll_waits_for_the_one_before),
        TEST(a_gateway_that_ends_tells_those_who_wait),
        TEST(a_poll_waits_through_a_restart_of_redis),
        TEST(a_poll_that_came_while_redis_was_away_is_answered),
        TEST(an_answer_that_is_lost_comes_again),
        TEST(a_post_while_redis_is_away_is_taken_when_it_is_back),
        TEST(a_post_does_not_wait_for_redis_for_ever),
        TEST(a_post_whose_fate_is_unknown_is_not_repeated),
        TEST(an_overdue_post_is_given_up),
        QUICK(an_overdue_poll_ends_the_session),
        TEST(nonsense_from_others_is_passed_over),
        TEST(an_answer_of_another_kind_is_no_answer),
        TEST(without_memory_the_fleet_lives_on),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

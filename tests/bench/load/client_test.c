#include "client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "event.h"
#include "fleet.h"
#include "shared/wire.h"

/* A fleet of one, connected to us instead of a server. */
static struct fixture {
    struct fleet fleet;
    struct client *client;
    int peer;
    unsigned events;
    unsigned broken;
    uint32_t last_event;
} here;

#define OPTIONS .host = "127.0.0.1", .port = 1, .secret = "secret"
static const struct fleet_options websocket = {OPTIONS, .rooms = 1};
static const struct fleet_options polling = {OPTIONS, .rooms = 1, .polling = true};
static const struct fleet_options recovering = {OPTIONS, .rooms = 1, .recovery = true};
static const struct fleet_options crowded = {OPTIONS, .rooms = 3};

static void on_event(void *arg, struct client *client, const char *packet, size_t len,
                     uint64_t now_us)
{
    struct fixture *fixture = arg;
    (void)client;
    (void)now_us;
    assert_int_equal(event_parse(packet, len, &fixture->last_event), OK);
    fixture->events++;
}

static void on_broken(void *arg, struct client *client)
{
    struct fixture *fixture = arg;
    (void)client;
    fixture->broken++;
}

static const struct fleet_ops ops = {.on_event = on_event, .on_broken = on_broken};

static void begin(const struct fleet_options *options, enum client_state state)
{
    int pair[2];
    here = (struct fixture){0};
    assert_int_equal(fleet_init(&here.fleet, options, 1), OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    here.fleet.ops = &ops;
    here.fleet.ops_arg = &here;
    here.client = &here.fleet.clients[0];
    here.client->fd = pair[0];
    here.peer = pair[1];
    client_move(&here.fleet, here.client, state);
}

static void end(void)
{
    fleet_fini(&here.fleet);
    close(here.peer);
}

static int end_test(void **state)
{
    (void)state;
    end();
    return 0;
}

enum { WHOLE = 512 }; /* a step that takes any text at once */

/* Has the client read the bytes in pieces of `step`. */
static void feed(const char *bytes, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        assert_int_equal(write(here.peer, bytes + at, n), n);
        client_read(&here.fleet, here.client);
    }
}

static size_t append_text(char *out, const char *text)
{
    return wire_server_frame(out, WIRE_TEXT, text, strlen(text));
}

static void feed_text(const char *text, size_t step)
{
    char frame[WHOLE];
    feed(frame, append_text(frame, text), step);
}

static size_t append_event(char *out, uint32_t seq)
{
    char message[EVENT_MAX];
    char packet[2 * EVENT_MAX] = "42[\"market:trade\",";
    message[event_encode(EVENT_PLAIN, 1, seq, message)] = '\0';
    strcat(packet, strchr(message, '\n') + 1);
    strcat(packet, "]");
    assert_in_range(strlen(packet), 280, 340);
    return append_text(out, packet);
}

static void feed_event(uint32_t seq)
{
    char frame[2 * EVENT_MAX];
    feed(frame, append_event(frame, seq), sizeof(frame));
}

static void takes_every_step_from_the_upgrade_to_the_subscription(void **state)
{
    (void)state;
    char bytes[1024] =
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " WIRE_ACCEPT "\r\n\r\n";
    size_t len = strlen(bytes);
    len += append_text(bytes + len, "0{\"sid\":\"a\"}");
    len += append_text(bytes + len, "40{\"sid\":\"b\"}");
    len += append_text(bytes + len, "42[\"connected\",{\"userId\":\"1\"}]");
    for (size_t step = 1; step <= len; step++) {
        begin(&websocket, CLIENT_UPGRADING);
        feed(bytes, len, step);
        assert_string_equal(here.fleet.first_failure, "");
        assert_int_equal(here.client->state, CLIENT_READY);
        assert_null(here.client->held);
        fleet_subscribe(&here.fleet, 0);
        feed_text("430[{\"success\":true,\"room\":\"market:1\"}]", step);
        assert_int_equal(here.client->state, CLIENT_SUBSCRIBED);
        end();
    }
}

static void counts_events_however_they_are_cut(void **state)
{
    (void)state;
    char bytes[3 * EVENT_MAX];
    size_t len = append_event(bytes, 41);
    len += append_text(bytes + len, "2");
    len += append_event(bytes + len, 42);
    for (size_t step = 1; step <= len; step++) {
        begin(&websocket, CLIENT_SUBSCRIBED);
        feed(bytes, len, step);
        assert_int_equal(here.events, 2);
        assert_int_equal(here.last_event, 42);
        assert_int_equal(here.fleet.pings, 1);
        char pong[16];
        struct wire_frame frame;
        ssize_t n = read(here.peer, pong, sizeof(pong));
        assert_int_equal(wire_parse(pong, (size_t)n, &frame), OK);
        assert_true(frame.masked && frame.len == 1 && frame.payload[0] == '3');
        end();
    }
}

/* What the client has sent since, as text; a WebSocket's frames are unmasked one by one. */
static const char *sent(void)
{
    static char bytes[4096];
    ssize_t n = recv(here.peer, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
    bytes[n < 0 ? 0 : n] = '\0';
    return bytes;
}

static const char *sent_packet(void)
{
    struct wire_frame frame;
    char *bytes = (char *)sent();
    assert_int_equal(wire_parse(bytes, 4095, &frame), OK);
    frame.payload[frame.len] = '\0';
    return frame.payload;
}

static void respond(const char *body, size_t step)
{
    char bytes[512];
    int len = snprintf(bytes, sizeof(bytes), "HTTP/1.1 200 OK\r\ncontent-LENGTH: %zu\r\n\r\n%s",
                       strlen(body), body);
    feed(bytes, (size_t)len, step);
}

static void polls_from_the_handshake_to_the_subscription(void **state)
{
    (void)state;
    for (size_t step = 1; step < 200; step += 7) {
        begin(&polling, CLIENT_CONNECTING);
        client_begin(&here.fleet, here.client);
        assert_non_null(strstr(sent(), "GET /socket.io/?EIO=4&transport=polling HTTP/1.1"));
        respond("0{\"sid\":\"abc\"}", step);
        const char *post = sent();
        assert_non_null(strstr(post, "POST /socket.io/?EIO=4&transport=polling&sid=abc "));
        assert_non_null(strstr(post, "\r\n\r\n40{\"token\":\""));
        respond("ok", step);
        assert_non_null(strstr(sent(), "GET "));
        respond("40{\"sid\":\"b\"}\x1e"
                "42[\"connected\",{}]",
                step);
        assert_int_equal(here.client->state, CLIENT_READY);
        assert_string_equal(sent(), "");
        fleet_subscribe(&here.fleet, 0);
        assert_non_null(strstr(sent(), "\r\n\r\n420[\"subscribe\""));
        respond("ok", step);
        respond("2\x1e"
                "430[{\"success\":true}]",
                step);
        assert_string_equal(here.fleet.first_failure, "");
        assert_int_equal(here.client->state, CLIENT_SUBSCRIBED);
        assert_non_null(strstr(sent(), "\r\n\r\n3"));
        end();
    }
}

static void says_goodbye_where_no_poll_is_open(void **state)
{
    (void)state;
    begin(&polling, CLIENT_READY);
    fleet_close(&here.fleet, 0);
    assert_non_null(strstr(sent(), "\r\n\r\n1"));
    assert_int_equal(here.client->state, CLIENT_CLOSING);
    respond("ok", 8);
    assert_int_equal(here.client->state, CLIENT_CLOSED);
    assert_int_equal(here.fleet.broken, 0);
}

static void comes_back_as_the_one_that_it_was(void **state)
{
    (void)state;
    begin(&recovering, CLIENT_OPENING);
    strcpy(here.client->pid, "pid");
    strcpy(here.client->offset, "41");
    feed_text("0{\"sid\":\"a\"}", WHOLE);
    assert_non_null(strstr(sent_packet(), ",\"pid\":\"pid\",\"offset\":\"41\"}"));
    feed_text("40{\"sid\":\"b\",\"pid\":\"pid\"}", WHOLE);
    feed_event(7);
    feed_text("42[\"connected\",{\"rooms\":[]},\"42\"]", WHOLE);
    assert_int_equal(here.client->state, CLIENT_SUBSCRIBED);
    assert_int_equal(here.fleet.recovered, 1);
    assert_int_equal(here.events, 1);
    assert_string_equal(here.client->offset, "42");
}

static void is_new_where_the_pid_is_another(void **state)
{
    (void)state;
    begin(&recovering, CLIENT_JOINING);
    strcpy(here.client->pid, "pid");
    feed_text("40{\"sid\":\"b\",\"pid\":\"other\"}", WHOLE);
    feed_text("42[\"connected\",{\"rooms\":[]},\"42\"]", WHOLE);
    assert_int_equal(here.client->state, CLIENT_READY);
    assert_int_equal(here.fleet.recovered, 0);
    assert_string_equal(here.client->pid, "other");
}

static void subscribes_to_each_of_its_rooms_in_turn(void **state)
{
    (void)state;
    begin(&crowded, CLIENT_READY);
    fleet_subscribe(&here.fleet, 0);
    for (int room = 1; room <= 3; room++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "{\"room\":\"market\",\"id\":\"%d\"}", room);
        assert_non_null(strstr(sent_packet(), expected));
        assert_int_equal(here.client->state, CLIENT_SUBSCRIBING);
        feed_text("430[{\"success\":true}]", WHOLE);
    }
    assert_int_equal(here.client->state, CLIENT_SUBSCRIBED);
}

static void notices_a_trade_that_is_not_for_it(void **state)
{
    (void)state;
    begin(&websocket, CLIENT_READY);
    feed_event(7);
    assert_int_equal(here.events, 0);
    assert_int_equal(here.fleet.astray, 1);
}

static void fails_where_the_token_is_refused(void **state)
{
    (void)state;
    begin(&websocket, CLIENT_GREETING);
    feed_text("42[\"error\",{\"message\":\"no\"}]", WHOLE);
    assert_int_equal(here.client->state, CLIENT_CLOSED);
    assert_int_equal(here.fleet.failed, 1);
    assert_int_equal(here.fleet.broken, 0);
}

/* Engine.IO's "1": shorter than what an offset is looked for in. */
static void fails_where_the_server_closes_the_session(void **state)
{
    (void)state;
    begin(&recovering, CLIENT_JOINING);
    feed_text("1", WHOLE);
    assert_int_equal(here.client->state, CLIENT_CLOSED);
    assert_string_equal(here.fleet.first_failure, "while joining: unexpected packet: 1");
}

static void is_broken_where_the_server_hangs_up(void **state)
{
    (void)state;
    begin(&websocket, CLIENT_SUBSCRIBED);
    shutdown(here.peer, SHUT_WR);
    client_read(&here.fleet, here.client);
    assert_int_equal(here.client->state, CLIENT_CLOSED);
    assert_int_equal(here.fleet.broken, 1);
    assert_int_equal(here.broken, 1);
}

static void still_counts_an_event_while_it_closes(void **state)
{
    (void)state;
    begin(&websocket, CLIENT_SUBSCRIBED);
    fleet_close(&here.fleet, 0);
    feed_event(7);
    assert_int_equal(here.events, 1);
    shutdown(here.peer, SHUT_WR);
    client_read(&here.fleet, here.client);
    assert_int_equal(here.client->state, CLIENT_CLOSED);
    assert_int_equal(here.fleet.broken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_step_from_the_upgrade_to_the_subscription),
        cmocka_unit_test(counts_events_however_they_are_cut),
        cmocka_unit_test(polls_from_the_handshake_to_the_subscription),
        cmocka_unit_test_teardown(says_goodbye_where_no_poll_is_open, end_test),
        cmocka_unit_test_teardown(comes_back_as_the_one_that_it_was, end_test),
        cmocka_unit_test_teardown(is_new_where_the_pid_is_another, end_test),
        cmocka_unit_test_teardown(subscribes_to_each_of_its_rooms_in_turn, end_test),
        cmocka_unit_test_teardown(notices_a_trade_that_is_not_for_it, end_test),
        cmocka_unit_test_teardown(fails_where_the_token_is_refused, end_test),
        cmocka_unit_test_teardown(fails_where_the_server_closes_the_session, end_test),
        cmocka_unit_test_teardown(is_broken_where_the_server_hangs_up, end_test),
        cmocka_unit_test_teardown(still_counts_an_event_while_it_closes, end_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

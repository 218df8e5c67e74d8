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
#include "wire.h"

/* A fleet of one, connected to us instead of a server. */
struct fixture {
    struct fleet fleet;
    struct client *client;
    int peer;
    unsigned events;
    unsigned broken;
    uint32_t last_event;
};

#define OPTIONS .host = "127.0.0.1", .port = 1, .secret = "secret", .sources = 1
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

static void open_fixture_as(struct fixture *fixture, const struct fleet_options *options,
                            enum client_state state)
{
    int pair[2];
    *fixture = (struct fixture){0};
    assert_int_equal(fleet_init(&fixture->fleet, options, 1), OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fixture->fleet.ops = &ops;
    fixture->fleet.ops_arg = fixture;
    fixture->client = &fixture->fleet.clients[0];
    fixture->client->fd = pair[0];
    fixture->peer = pair[1];
    client_move(&fixture->fleet, fixture->client, state);
}

static void open_fixture(struct fixture *fixture, enum client_state state)
{
    open_fixture_as(fixture, &websocket, state);
}

static void close_fixture(struct fixture *fixture)
{
    fleet_fini(&fixture->fleet);
    close(fixture->peer);
}

/* Has the client read the bytes in pieces of `step`. */
static void feed(struct fixture *fixture, const char *bytes, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        assert_int_equal(write(fixture->peer, bytes + at, n), n);
        client_read(&fixture->fleet, fixture->client);
    }
}

static size_t append_text(char *out, const char *text)
{
    return wire_server_frame(out, WIRE_TEXT, text, strlen(text));
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
        struct fixture fixture;
        open_fixture(&fixture, CLIENT_UPGRADING);
        feed(&fixture, bytes, len, step);
        assert_string_equal(fixture.fleet.first_failure, "");
        assert_int_equal(fixture.client->state, CLIENT_READY);
        assert_null(fixture.client->held);
        fleet_subscribe(&fixture.fleet, 0);
        char ack[64];
        feed(&fixture, ack, append_text(ack, "430[{\"success\":true,\"room\":\"market:1\"}]"),
             step);
        assert_int_equal(fixture.client->state, CLIENT_SUBSCRIBED);
        close_fixture(&fixture);
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
        struct fixture fixture;
        open_fixture(&fixture, CLIENT_SUBSCRIBED);
        feed(&fixture, bytes, len, step);
        assert_int_equal(fixture.events, 2);
        assert_int_equal(fixture.last_event, 42);
        assert_int_equal(fixture.fleet.pings, 1);
        char pong[16];
        struct wire_frame frame;
        ssize_t n = read(fixture.peer, pong, sizeof(pong));
        assert_int_equal(wire_parse(pong, (size_t)n, &frame), OK);
        assert_true(frame.masked && frame.len == 1 && frame.payload[0] == '3');
        close_fixture(&fixture);
    }
}

/* What the client has sent since, as text; a WebSocket's frames are unmasked one by one. */
static const char *sent(struct fixture *fixture)
{
    static char bytes[4096];
    ssize_t n = recv(fixture->peer, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
    bytes[n < 0 ? 0 : n] = '\0';
    return bytes;
}

static const char *sent_packet(struct fixture *fixture)
{
    struct wire_frame frame;
    char *bytes = (char *)sent(fixture);
    assert_int_equal(wire_parse(bytes, 4095, &frame), OK);
    frame.payload[frame.len] = '\0';
    return frame.payload;
}

static void respond(struct fixture *fixture, const char *body, size_t step)
{
    char bytes[512];
    int len = snprintf(bytes, sizeof(bytes), "HTTP/1.1 200 OK\r\ncontent-LENGTH: %zu\r\n\r\n%s",
                       strlen(body), body);
    feed(fixture, bytes, (size_t)len, step);
}

static void polls_from_the_handshake_to_the_subscription(void **state)
{
    (void)state;
    for (size_t step = 1; step < 200; step += 7) {
        struct fixture fixture;
        open_fixture_as(&fixture, &polling, CLIENT_CONNECTING);
        client_begin(&fixture.fleet, fixture.client);
        assert_non_null(strstr(sent(&fixture), "GET /socket.io/?EIO=4&transport=polling HTTP/1.1"));
        respond(&fixture, "0{\"sid\":\"abc\"}", step);
        const char *post = sent(&fixture);
        assert_non_null(strstr(post, "POST /socket.io/?EIO=4&transport=polling&sid=abc "));
        assert_non_null(strstr(post, "\r\n\r\n40{\"token\":\""));
        respond(&fixture, "ok", step);
        assert_non_null(strstr(sent(&fixture), "GET "));
        respond(&fixture,
                "40{\"sid\":\"b\"}\x1e"
                "42[\"connected\",{}]",
                step);
        assert_int_equal(fixture.client->state, CLIENT_READY);
        assert_string_equal(sent(&fixture), "");
        fleet_subscribe(&fixture.fleet, 0);
        assert_non_null(strstr(sent(&fixture), "\r\n\r\n420[\"subscribe\""));
        respond(&fixture, "ok", step);
        respond(&fixture,
                "2\x1e"
                "430[{\"success\":true}]",
                step);
        assert_string_equal(fixture.fleet.first_failure, "");
        assert_int_equal(fixture.client->state, CLIENT_SUBSCRIBED);
        assert_non_null(strstr(sent(&fixture), "\r\n\r\n3"));
        close_fixture(&fixture);
    }
}

static void says_goodbye_where_no_poll_is_open(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture_as(&fixture, &polling, CLIENT_READY);
    fleet_close(&fixture.fleet, 0);
    assert_non_null(strstr(sent(&fixture), "\r\n\r\n1"));
    assert_int_equal(fixture.client->state, CLIENT_CLOSING);
    respond(&fixture, "ok", 8);
    assert_int_equal(fixture.client->state, CLIENT_CLOSED);
    assert_int_equal(fixture.fleet.broken, 0);
    close_fixture(&fixture);
}

static void comes_back_as_the_one_that_it_was(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[2 * EVENT_MAX];
    open_fixture_as(&fixture, &recovering, CLIENT_OPENING);
    strcpy(fixture.client->pid, "pid");
    strcpy(fixture.client->offset, "41");
    feed(&fixture, bytes, append_text(bytes, "0{\"sid\":\"a\"}"), sizeof(bytes));
    assert_non_null(strstr(sent_packet(&fixture), ",\"pid\":\"pid\",\"offset\":\"41\"}"));
    size_t len = append_text(bytes, "40{\"sid\":\"b\",\"pid\":\"pid\"}");
    len += append_event(bytes + len, 7);
    len += append_text(bytes + len, "42[\"connected\",{\"rooms\":[]},\"42\"]");
    feed(&fixture, bytes, len, sizeof(bytes));
    assert_int_equal(fixture.client->state, CLIENT_SUBSCRIBED);
    assert_int_equal(fixture.fleet.recovered, 1);
    assert_int_equal(fixture.events, 1);
    assert_string_equal(fixture.client->offset, "42");
    close_fixture(&fixture);
}

static void is_new_where_the_pid_is_another(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[512];
    open_fixture_as(&fixture, &recovering, CLIENT_JOINING);
    strcpy(fixture.client->pid, "pid");
    size_t len = append_text(bytes, "40{\"sid\":\"b\",\"pid\":\"other\"}");
    len += append_text(bytes + len, "42[\"connected\",{\"rooms\":[]},\"42\"]");
    feed(&fixture, bytes, len, sizeof(bytes));
    assert_int_equal(fixture.client->state, CLIENT_READY);
    assert_int_equal(fixture.fleet.recovered, 0);
    assert_string_equal(fixture.client->pid, "other");
    close_fixture(&fixture);
}

static void subscribes_to_each_of_its_rooms_in_turn(void **state)
{
    (void)state;
    struct fixture fixture;
    char ack[64];
    open_fixture_as(&fixture, &crowded, CLIENT_READY);
    fleet_subscribe(&fixture.fleet, 0);
    for (int room = 1; room <= 3; room++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "{\"room\":\"market\",\"id\":\"%d\"}", room);
        assert_non_null(strstr(sent_packet(&fixture), expected));
        assert_int_equal(fixture.client->state, CLIENT_SUBSCRIBING);
        feed(&fixture, ack, append_text(ack, "430[{\"success\":true}]"), sizeof(ack));
    }
    assert_int_equal(fixture.client->state, CLIENT_SUBSCRIBED);
    close_fixture(&fixture);
}

static void notices_a_trade_that_is_not_for_it(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[2 * EVENT_MAX];
    open_fixture(&fixture, CLIENT_READY);
    feed(&fixture, bytes, append_event(bytes, 7), sizeof(bytes));
    assert_int_equal(fixture.events, 0);
    assert_int_equal(fixture.fleet.astray, 1);
    close_fixture(&fixture);
}

static void fails_where_the_token_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[64];
    open_fixture(&fixture, CLIENT_GREETING);
    feed(&fixture, bytes, append_text(bytes, "42[\"error\",{\"message\":\"no\"}]"), sizeof(bytes));
    assert_int_equal(fixture.client->state, CLIENT_CLOSED);
    assert_int_equal(fixture.fleet.failed, 1);
    assert_int_equal(fixture.fleet.broken, 0);
    close_fixture(&fixture);
}

static void is_broken_where_the_server_hangs_up(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, CLIENT_SUBSCRIBED);
    shutdown(fixture.peer, SHUT_WR);
    client_read(&fixture.fleet, fixture.client);
    assert_int_equal(fixture.client->state, CLIENT_CLOSED);
    assert_int_equal(fixture.fleet.broken, 1);
    assert_int_equal(fixture.broken, 1);
    close_fixture(&fixture);
}

static void still_counts_an_event_while_it_closes(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[2 * EVENT_MAX];
    open_fixture(&fixture, CLIENT_SUBSCRIBED);
    fleet_close(&fixture.fleet, 0);
    feed(&fixture, bytes, append_event(bytes, 7), sizeof(bytes));
    assert_int_equal(fixture.events, 1);
    shutdown(fixture.peer, SHUT_WR);
    client_read(&fixture.fleet, fixture.client);
    assert_int_equal(fixture.client->state, CLIENT_CLOSED);
    assert_int_equal(fixture.fleet.broken, 0);
    close_fixture(&fixture);
}

static void costs_less_than_150_bytes_at_rest(void **state)
{
    (void)state;
    assert_in_range(sizeof(struct client), 1, 149);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_step_from_the_upgrade_to_the_subscription),
        cmocka_unit_test(counts_events_however_they_are_cut),
        cmocka_unit_test(polls_from_the_handshake_to_the_subscription),
        cmocka_unit_test(says_goodbye_where_no_poll_is_open),
        cmocka_unit_test(comes_back_as_the_one_that_it_was),
        cmocka_unit_test(is_new_where_the_pid_is_another),
        cmocka_unit_test(subscribes_to_each_of_its_rooms_in_turn),
        cmocka_unit_test(notices_a_trade_that_is_not_for_it),
        cmocka_unit_test(fails_where_the_token_is_refused),
        cmocka_unit_test(is_broken_where_the_server_hangs_up),
        cmocka_unit_test(still_counts_an_event_while_it_closes),
        cmocka_unit_test(costs_less_than_150_bytes_at_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

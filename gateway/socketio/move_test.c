/* Clients whose session moves, over two sessions that are none: what one says is given to the
 * other. */
#include "socketio/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "fake_session.h"
#include "http/server.h"
#include "util/buf.h"
#include "util/clock.h"

enum { NAMESPACES = 3 };

struct str http_request_header(const struct http_request *request, struct str name)
{
    (void)request;
    return str_eq(name, STR("Authorization")) ? STR("Bearer of\n a token 7") : STR("http://page");
}

/* --- An application that writes down what it is told --- */

struct app {
    struct buf log;
    struct sio_socket *last;
    unsigned disconnects;
    bool slow; /* gives nothing by itself */
};

static void note(struct app *app, const char *what, struct sio_socket *socket, struct str text)
{
    (void)socket;
    if (buf_printf(&app->log, "%s " STR_FMT ";", what, STR_ARG(text))) {
        buf_clear(&app->log);
    }
}

static void on_connect(void *owner, struct sio_socket *socket, struct str auth,
                       const struct sio_handshake *handshake)
{
    struct app *app = owner;
    app->last = socket;
    assert_true(handshake->has_origin);
    assert_true(str_eq(handshake->authorization, STR("Bearer of\n a token 7")));
    if (!str_eq(auth, STR("{\"later\":1}"))) {
        enum err err = sio_socket_accept(socket);
        (void)err; /* the session ends then */
    }
}

static void on_event(struct sio_socket *socket, const struct sio_event *event)
{
    struct app *app = sio_socket_namespace_owner(socket);
    app->last = socket;
    note(app, "event", socket, event->name);
    if (str_eq(event->name, STR("leave"))) {
        sio_socket_disconnect(socket);
    }
}

static void on_disconnect(struct sio_socket *socket, enum sio_disconnect_reason reason,
                          enum eio_close_reason session_reason)
{
    struct app *app = sio_socket_namespace_owner(socket);
    app->disconnects++;
    note(app, "disconnect", socket,
         reason == SIO_DISCONNECT_TRANSPORT && session_reason == EIO_CLOSE_MOVED ? STR("moved")
                                                                                 : STR("other"));
}

static void give(struct sio_socket *socket, const char *what)
{
    struct app *app = sio_socket_namespace_owner(socket);
    app->last = socket;
    if (!app->slow) {
        sio_socket_hand(socket, str_from(what));
    }
}

static void on_move(struct sio_socket *socket)
{
    give(socket, "a state\nof 2 lines 10\n");
}

static void on_arrive(void *owner, struct sio_socket *socket, struct str state)
{
    note(owner, "arrive", socket, state);
    give(socket, "place");
}

static void on_ask(struct sio_socket *socket, struct str place)
{
    note(sio_socket_namespace_owner(socket), "ask", socket, place);
    give(socket, "");
}

static void on_arrived(struct sio_socket *socket, struct str rest)
{
    note(sio_socket_namespace_owner(socket), "arrived", socket, rest);
}

static const struct sio_namespace_ops moving_ops = {
    .on_connect = on_connect,
    .on_event = on_event,
    .on_disconnect = on_disconnect,
    .on_move = on_move,
    .on_arrive = on_arrive,
    .on_ask = on_ask,
    .on_arrived = on_arrived,
};

static const struct sio_namespace_ops plain_ops = {
    .on_connect = on_connect,
    .on_event = on_event,
    .on_disconnect = on_disconnect,
};

/* --- Two gateways --- */

static const struct sio_server_options options = {
    .connect_timeout_ms = 1000,
    .attachment_timeout_ms = 500,
    .max_attachments = 10,
    .max_payload = 1000,
    .max_depth = 16,
};

struct gateway {
    struct app app;
    struct sio_namespace namespaces[NAMESPACES];
    struct sio_server *server;
    struct eio_session session;
    bool open;
};

static struct loop *loop;
static struct gateway there, here;
static const struct eio_session_ops *ops;

static void open_gateway(struct gateway *gateway)
{
    memset(gateway, 0, sizeof *gateway);
    gateway->namespaces[0] = (struct sio_namespace){STR("/"), &moving_ops, &gateway->app};
    gateway->namespaces[1] = (struct sio_namespace){STR("/b"), &moving_ops, &gateway->app};
    gateway->namespaces[2] = (struct sio_namespace){STR("/plain"), &plain_ops, &gateway->app};
    gateway->server = loop ? sio_server_new(loop, &options, gateway->namespaces, NAMESPACES) : NULL;
    gateway->session.owner = gateway->server;
}

static void open_world(void)
{
    ops = sio_server_session_ops();
    assert_true(ops->room_size <= FAKE_SESSION_ROOM);
    loop = loop_new();
    open_gateway(&there);
    open_gateway(&here);
    there.open = there.server && !ops->on_open(there.server, &there.session, NULL);
}

static void end_session(struct gateway *gateway, enum eio_close_reason reason)
{
    if (gateway->open) {
        gateway->open = false;
        ops->on_close(&gateway->session, reason);
    }
}

static void close_gateway(struct gateway *gateway)
{
    end_session(gateway, EIO_CLOSE_TRANSPORT);
    sio_server_free(gateway->server);
    fake_session_fini(&gateway->session);
    buf_fini(&gateway->app.log);
}

static void close_world(void)
{
    close_gateway(&there);
    close_gateway(&here);
    loop_free(loop);
}

static int set_up(void **state)
{
    (void)state;
    open_world();
    assert_true(there.open);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_world();
    return 0;
}

static void say(struct gateway *gateway, const char *text)
{
    if (gateway->open && !gateway->session.closed) {
        ops->on_message(&gateway->session, false, str_from(text));
    }
}

static void turn(void)
{
    assert_int_equal(loop_turn(loop, 0), OK);
}

static enum err arrive(struct str state)
{
    enum err err = ops->on_arrive(here.server, &here.session, state);
    here.open = !err;
    return err;
}

/* What both would do next, where nothing has gone wrong. */
static bool goes_on(const struct gateway *gateway, unsigned hands)
{
    return gateway->open && !gateway->session.closed && gateway->session.hands == hands;
}

static bool move(void)
{
    ops->on_move(&there.session);
    if (!goes_on(&there, 1) || arrive(buf_str(&there.session.handed)) || !goes_on(&here, 1)) {
        return false;
    }
    ops->on_ask(&there.session, buf_str(&here.session.handed));
    if (!goes_on(&there, 2)) {
        return false;
    }
    end_session(&there, EIO_CLOSE_MOVED);
    ops->on_arrived(&here.session, buf_str(&there.session.handed));
    return !here.session.closed;
}

static void expect(struct gateway *gateway, const char *log)
{
    assert_string_equal(gateway->app.log.len > 0 ? buf_cstr(&gateway->app.log) : "", log);
    buf_clear(&gateway->app.log);
}

/* --- What comes along --- */

static void sockets_come_along(void **state)
{
    char id[SIO_SID_LEN];
    (void)state;
    say(&there, "0");
    memcpy(id, sio_socket_id(there.app.last).ptr, sizeof id);
    say(&there, "0/b,");
    assert_true(move());
    expect(&there, "ask place;ask place;disconnect moved;disconnect moved;");
    expect(&here, "arrive a state\nof 2 lines 10\n;arrive a state\nof 2 lines 10\n;"
                  "arrived ;arrived ;");
    say(&here, "2[\"hello\"]");
    expect(&here, "event hello;");
    assert_memory_equal(sio_socket_id(here.app.last).ptr, id, sizeof id);
    say(&here, "2/b,[\"there\"]");
    expect(&here, "event there;");
    assert_int_equal(here.session.sent.len, 0);
}

static void a_namespace_with_nothing_to_say_comes_along(void **state)
{
    (void)state;
    say(&there, "0/plain,");
    assert_true(move());
    expect(&there, "disconnect moved;");
    say(&here, "2/plain,[\"hello\"]");
    expect(&here, "event hello;");
    assert_int_equal(sio_socket_emit(here.app.last, STR("back"), STR(""), NULL, 0), OK);
    assert_string_equal(buf_cstr(&here.session.sent), "2/plain,[\"back\"]\n");
}

/* on_connect checks that the header is as it was. */
static void what_the_request_said_comes_along(void **state)
{
    (void)state;
    assert_true(move());
    say(&here, "0/b,");
    assert_non_null(here.app.last);
    assert_memory_equal(buf_cstr(&here.session.sent), "0/b,{\"sid\":\"", 12);
}

static void a_socket_that_is_not_accepted_yet_comes_along(void **state)
{
    (void)state;
    say(&there, "0/plain,{\"later\":1}");
    assert_true(move());
    struct gateway *gateway = &here;
    say(gateway, "2/plain,[\"early\"]"); /* as it would have been there */
    assert_true(here.session.closed);
}

static void one_is_accepted_where_it_has_gone(void **state)
{
    (void)state;
    say(&there, "0/b,{\"later\":1}");
    assert_true(move());
    assert_int_equal(sio_socket_accept(here.app.last), OK);
    assert_memory_equal(buf_cstr(&here.session.sent), "0/b,{\"sid\":\"", 12);
    assert_memory_equal(buf_cstr(&here.session.sent) + 12, sio_socket_id(here.app.last).ptr,
                        SIO_SID_LEN);
}

/* Packets for a socket that the application has ended may be on their way. */
static void that_a_socket_was_ended_comes_along(void **state)
{
    (void)state;
    say(&there, "0");
    say(&there, "0/b,");
    say(&there, "2/b,[\"leave\"]");
    assert_true(move());
    assert_int_equal(there.app.disconnects, 2);
    say(&here, "2/b,[\"late\"]");
    assert_false(here.session.closed);
    say(&here, "0/b,");
    say(&here, "2/b,[\"again\"]");
    assert_false(here.session.closed);
}

static void without_a_socket_time_runs_out_here(void **state)
{
    struct clock_fake now = {.monotonic_ms = 1000, .wall_ms = 0};
    (void)state;
    clock_set_fake(&now);
    close_world();
    open_world();
    now.monotonic_ms += 900;
    clock_set_fake(&now);
    turn();
    assert_true(move());
    now.monotonic_ms += 900;
    clock_set_fake(&now);
    turn();
    assert_false(here.session.closed);
    now.monotonic_ms += 200;
    clock_set_fake(&now);
    turn();
    assert_true(here.session.closed);
    clock_set_fake(NULL);
}

static void with_a_socket_it_does_not(void **state)
{
    struct clock_fake now = {.monotonic_ms = 1000, .wall_ms = 0};
    (void)state;
    clock_set_fake(&now);
    close_world();
    open_world();
    say(&there, "0");
    assert_true(move());
    now.monotonic_ms += 5000;
    clock_set_fake(&now);
    turn();
    assert_false(here.session.closed);
    clock_set_fake(NULL);
}

/* --- In their own time --- */

static void each_text_waits_for_all_sockets(void **state)
{
    (void)state;
    there.app.slow = here.app.slow = true;
    say(&there, "0");
    struct sio_socket *first = there.app.last;
    say(&there, "0/b,");
    struct sio_socket *second = there.app.last;
    ops->on_move(&there.session);
    sio_socket_hand(second, STR("2nd"));
    assert_int_equal(there.session.hands, 0);
    sio_socket_hand(first, STR("1st"));
    assert_int_equal(there.session.hands, 1);
    assert_int_equal(arrive(buf_str(&there.session.handed)), OK);
    assert_non_null(strstr(buf_cstr(&here.app.log), "arrive 1st;"));
    assert_non_null(strstr(buf_cstr(&here.app.log), "arrive 2nd;"));
    assert_int_equal(here.session.hands, 0);
}

static void one_asked_too_early_is_closed(void **state)
{
    (void)state;
    there.app.slow = true;
    say(&there, "0");
    ops->on_ask(&there.session, STR(""));
    assert_true(there.session.closed);
    there.session.closed = false;
    ops->on_move(&there.session);
    ops->on_ask(&there.session, STR(""));
    assert_true(there.session.closed);
    assert_int_equal(there.session.hands, 0);
}

static void what_is_handed_without_a_move_is_nothing(void **state)
{
    (void)state;
    say(&there, "0");
    sio_socket_hand(there.app.last, STR("text"));
    assert_true(move());
    sio_socket_hand(here.app.last, STR("text"));
    assert_int_equal(here.session.hands, 1);
    assert_false(here.session.closed);
}

/* The other gateway would not know. */
static void a_socket_that_ends_meanwhile_ends_the_session(void **state)
{
    (void)state;
    there.app.slow = true;
    say(&there, "0");
    ops->on_move(&there.session);
    sio_socket_disconnect(there.app.last);
    turn();
    assert_true(there.session.closed);
    assert_int_equal(there.app.disconnects, 1);
}

static void one_that_ends_when_it_comes_ends_the_session_too(void **state)
{
    (void)state;
    here.app.slow = true;
    say(&there, "0");
    ops->on_move(&there.session);
    assert_int_equal(arrive(buf_str(&there.session.handed)), OK);
    sio_socket_disconnect(here.app.last);
    turn();
    assert_true(here.session.closed);
}

static void one_that_has_ended_is_swept_first(void **state)
{
    (void)state;
    say(&there, "0");
    say(&there, "0/b,");
    say(&there, "2/b,[\"leave\"]");
    assert_int_equal(there.app.disconnects, 0);
    ops->on_move(&there.session);
    assert_int_equal(there.app.disconnects, 1);
    assert_null(strstr(buf_cstr(&there.session.handed), "/b"));
}

static void half_a_binary_packet_does_not_move(void **state)
{
    (void)state;
    say(&there, "0");
    say(&there, "51-[\"x\",{\"_placeholder\":true,\"num\":0}]");
    assert_false(there.session.closed);
    ops->on_move(&there.session);
    assert_true(there.session.closed);
    assert_int_equal(there.session.hands, 0);
}

static void one_that_is_closing_does_not_move(void **state)
{
    (void)state;
    say(&there, "0");
    say(&there, "nonsense");
    assert_true(there.session.closed);
    ops->on_move(&there.session);
    assert_int_equal(there.session.hands, 0);
}

/* --- Texts that are none --- */

#define ID "abcdefghijklmnopqrst"

static void a_state_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "1 0 0",
        "1 0\n",
        "0\n",
        "1 0 5\nfour",
        "1 0 -1\n",
        "1 0 x\n",
        "1 0 0\n/ " ID " 1 0",
        "1 0 0\n/ " ID " 1 1\n",
        "1 0 0\n/ " ID " 1 x\n",
        "1 0 0\n/ " ID " 0\n",
        "1 0 0\n/ short 1 0\n",
        "1 0 0\n/ " ID "x 1 0\n",
        "1 0 0\n/none " ID " 1 0\n",
        "1 0 0\n/ " ID " 1 0\n/none " ID " 1 0\n", /* the first was fine */
        "1 0 0\n/ " ID " 1 0\n/b " ID " 1 0\n/none " ID " 1 0\n",
        "1 0 0\n/ " ID " 1 0\n/ " ID " 1 0\n",
        "1 0 0\n/ " ID " 1 0\nrest",
        "1 0 18446744073709551615\n",
        "1 0 18446744073709551616\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(arrive(str_from(bad[i])), ERR_PROTO);
        assert_false(here.session.closed); /* of which nobody would hear */
        expect(&here, "");
    }
    assert_int_equal(arrive(STR("1 0 0\n/ " ID " 1 2\nok")), OK);
    expect(&here, "arrive ok;");
}

static void a_state_cut_off_is_refused_or_a_shorter_one(void **state)
{
    (void)state;
    say(&there, "0");
    say(&there, "0/b,");
    ops->on_move(&there.session);
    struct str whole = buf_str(&there.session.handed);
    unsigned taken = 0;
    for (size_t len = 0; len <= whole.len; len++) {
        char *exact = malloc(len + 1);
        memcpy(exact, whole.ptr, len);
        taken += !arrive(str_range(exact, len));
        end_session(&here, EIO_CLOSE_TRANSPORT);
        free(exact);
    }
    assert_int_equal(taken, 3); /* without sockets, with one, with both */
}

static void a_place_that_is_none_closes_the_session(void **state)
{
    static const char *const bad[] = {"nonsense", "/ " ID " 1 9\nfew", "/ x 1 0\n", "\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        say(&there, "0");
        ops->on_move(&there.session);
        ops->on_ask(&there.session, str_from(bad[i]));
        assert_true(there.session.closed);
        assert_int_equal(there.session.hands, 1);
        close_world();
        open_world();
    }
}

static void a_rest_that_is_none_closes_the_session(void **state)
{
    (void)state;
    assert_int_equal(arrive(STR("1 0 0\n/ " ID " 1 0\n")), OK);
    ops->on_arrived(&here.session, STR("nonsense"));
    assert_true(here.session.closed);
}

/* --- Without memory --- */

/* Whatever fails, the client is there, or here, or its session ends. */
static void a_move_without_memory(void *context)
{
    (void)context;
    open_world();
    if (there.open) {
        say(&there, "0");
        say(&there, "0/b,");
        say(&there, "0/plain,{\"later\":1}");
        if (!there.session.closed && here.server) {
            (void)move();
        }
        say(&here, "2[\"hello\"]");
    }
    close_world();
}

static void failing_allocations_end_sessions_at_most(void **state)
{
    (void)state;
    failing_alloc_each(a_move_without_memory, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(sockets_come_along),
        TEST(a_namespace_with_nothing_to_say_comes_along),
        TEST(what_the_request_said_comes_along),
        TEST(a_socket_that_is_not_accepted_yet_comes_along),
        TEST(one_is_accepted_where_it_has_gone),
        TEST(that_a_socket_was_ended_comes_along),
        TEST(without_a_socket_time_runs_out_here),
        TEST(with_a_socket_it_does_not),
        TEST(each_text_waits_for_all_sockets),
        TEST(one_asked_too_early_is_closed),
        TEST(what_is_handed_without_a_move_is_nothing),
        TEST(a_socket_that_ends_meanwhile_ends_the_session),
        TEST(one_that_ends_when_it_comes_ends_the_session_too),
        TEST(one_that_has_ended_is_swept_first),
        TEST(half_a_binary_packet_does_not_move),
        TEST(one_that_is_closing_does_not_move),
        TEST(a_state_that_is_none_is_refused),
        TEST(a_state_cut_off_is_refused_or_a_shorter_one),
        TEST(a_place_that_is_none_closes_the_session),
        TEST(a_rest_that_is_none_closes_the_session),
        cmocka_unit_test(failing_allocations_end_sessions_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

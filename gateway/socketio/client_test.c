/* Clients and sockets over a session that is not one: what the wire does not show. */
#include "socketio/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "fake_session.h"
#include "http/server.h"
#include "util/buf.h"
#include "util/clock.h"

struct str http_request_header(const struct http_request *request, struct str name)
{
    (void)request;
    (void)name;
    return STR("Bearer x");
}

/* An application that counts, and does what the event's name says. */
struct app {
    unsigned connects, events, disconnects;
    enum sio_disconnect_reason reason;
    enum eio_close_reason session_reason;
    struct sio_socket *last;
    struct sio_socket *follows; /* is disconnected when another one ends */
};

static void on_connect(void *owner, struct sio_socket *socket, struct str auth,
                       const struct sio_handshake *handshake)
{
    struct app *app = owner;
    app->connects++;
    app->last = socket;
    assert_string_equal(handshake->authorization.ptr ? "Bearer x" : "", "Bearer x");
    if (str_eq(auth, STR("{\"refuse\":1}"))) {
        sio_socket_refuse(socket, STR("no"), STR(""));
    } else if (!str_eq(auth, STR("{\"later\":1}"))) {
        enum err err = sio_socket_accept(socket);
        (void)err;
    }
}

static void on_event(struct sio_socket *socket, const struct sio_event *event)
{
    struct app *app = sio_socket_namespace_owner(socket);
    app->events++;
    enum err err = OK; /* a failed answer ends the session or is nothing */
    if (str_eq(event->name, STR("leave"))) {
        unsigned before = app->disconnects;
        sio_socket_disconnect(socket);
        assert_int_equal(app->disconnects, before);
        assert_int_equal(sio_socket_emit(socket, STR("x"), STR(""), NULL, 0), ERR_CLOSED);
    } else if (event->wants_ack) {
        err = sio_socket_ack(socket, event->ack_id, event->args, event->attachments,
                             event->attachment_count);
    } else {
        err = sio_socket_emit(socket, event->name, event->args, event->attachments,
                              event->attachment_count);
    }
    (void)err;
}

static void on_disconnect(struct sio_socket *socket, enum sio_disconnect_reason reason,
                          enum eio_close_reason session_reason)
{
    struct app *app = sio_socket_namespace_owner(socket);
    app->disconnects++;
    app->reason = reason;
    app->session_reason = session_reason;
    if (app->follows && app->follows != socket) {
        sio_socket_disconnect(app->follows);
    }
}

static const struct sio_namespace_ops app_ops = {
    .on_connect = on_connect,
    .on_event = on_event,
    .on_disconnect = on_disconnect,
};

static const struct sio_server_options options = {
    .connect_timeout_ms = 1000,
    .attachment_timeout_ms = 500,
    .max_attachments = 10,
    .max_payload = 1000,
    .max_depth = 16,
};

struct world {
    struct app app;
    struct sio_namespace namespaces[2];
    struct loop *loop;
    struct sio_server *server;
    struct eio_session session;
    bool open;
};

static void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->namespaces[0] = (struct sio_namespace){STR("/"), &app_ops, &w->app};
    w->namespaces[1] = (struct sio_namespace){STR("/b"), &app_ops, &w->app};
    w->loop = loop_new();
    w->server = w->loop ? sio_server_new(w->loop, &options, w->namespaces, 2) : NULL;
    assert_true(sio_server_session_ops()->room_size <= FAKE_SESSION_ROOM);
    w->session.owner = w->server;
    w->open = w->server && !sio_server_session_ops()->on_open(w->server, &w->session, NULL);
}

static void world_close(struct world *w)
{
    if (w->open) {
        sio_server_session_ops()->on_close(&w->session, w->session.closed ? w->session.reason
                                                                          : EIO_CLOSE_CLIENT);
    }
    sio_server_free(w->server);
    loop_free(w->loop);
    fake_session_fini(&w->session);
}

static void say(struct world *w, const char *text)
{
    sio_server_session_ops()->on_message(&w->session, false, str_from(text));
}

static void say_bytes(struct world *w, const char *bytes)
{
    sio_server_session_ops()->on_message(&w->session, true, str_from(bytes));
}

static void turn(struct world *w)
{
    assert_int_equal(loop_turn(w->loop, 0), OK);
}

static void disconnecting_is_told_after_the_turn(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "0");
    say(&w, "2[\"leave\"]");
    assert_int_equal(w.app.disconnects, 0);
    turn(&w);
    assert_int_equal(w.app.disconnects, 1);
    assert_int_equal(w.app.reason, SIO_DISCONNECT_SERVER);
    world_close(&w);
    assert_int_equal(w.app.disconnects, 1);
}

static void a_session_that_ends_first_tells_it_once(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "0");
    say(&w, "0/b");
    say(&w, "2[\"leave\"]");
    world_close(&w);
    assert_int_equal(w.app.connects, 2);
    assert_int_equal(w.app.disconnects, 2);
    assert_int_equal(w.app.reason, SIO_DISCONNECT_TRANSPORT);
    assert_int_equal(w.app.session_reason, EIO_CLOSE_CLIENT);
}

/* Its sweep, which is due then, has nothing left to do. */
static void a_socket_disconnected_while_the_session_ends_ends_once(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "0");
    w.app.follows = w.app.last;
    say(&w, "0/b");
    sio_server_session_ops()->on_close(&w.session, EIO_CLOSE_CLIENT);
    w.open = false;
    turn(&w);
    assert_int_equal(w.app.disconnects, 2);
    world_close(&w);
}

static void refused_sockets_have_no_disconnect(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "0{\"refuse\":1}");
    sio_socket_refuse(w.app.last, STR("again"), STR(""));
    assert_int_equal(sio_socket_accept(w.app.last), ERR_CLOSED);
    turn(&w);
    world_close(&w);
    assert_int_equal(w.app.connects, 1);
    assert_int_equal(w.app.disconnects, 0);
}

static void undecided_sockets_have_one(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "0{\"later\":1}");
    assert_false(w.session.closed);
    world_close(&w);
    assert_int_equal(w.app.disconnects, 1);
}

static void the_answer_may_come_later(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    say(&w, "0/b,{\"later\":1}");
    turn(&w);
    assert_int_equal(sio_socket_accept(w.app.last), OK);
    assert_int_equal(sio_socket_id(w.app.last).len, SIO_SID_LEN);
    assert_memory_equal(buf_str(&w.session.sent).ptr, "0/b,{\"sid\":\"", 12);
    world_close(&w);
}

static void time_runs_out_without_a_socket(void **state)
{
    (void)state;
    struct clock_fake now = {.monotonic_ms = 1000, .wall_ms = 0};
    struct world w;
    clock_set_fake(&now);
    world_open(&w);
    now.monotonic_ms += 900;
    clock_set_fake(&now);
    turn(&w);
    assert_false(w.session.closed);
    now.monotonic_ms += 200;
    clock_set_fake(&now);
    turn(&w);
    assert_true(w.session.closed);
    assert_int_equal(w.session.reason, EIO_CLOSE_PROTOCOL);
    clock_set_fake(NULL);
    world_close(&w);
}

/* All that allocates. Whatever fails, the client either goes on or its session ends. */
static void a_life_without_memory(void *context)
{
    (void)context;
    struct world w;
    world_open(&w);
    if (w.open) {
        say(&w, "0");
        say(&w, "0/b");
        say(&w, "0/none");
        say(&w, "2[\"m\\u0065ssage\",1]");
        say(&w, "51-7[\"message\",{\"_placeholder\":true,\"num\":0}]");
        say_bytes(&w, "bytes");
        say(&w, "1/b");
        say(&w, "0/b,{\"refuse\":1}");
        say(&w, "2[\"leave\"]");
        assert_int_equal(loop_turn(w.loop, 0), OK);
    }
    world_close(&w);
}

static void failing_allocations_end_sessions_at_most(void **state)
{
    (void)state;
    failing_alloc_each(a_life_without_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disconnecting_is_told_after_the_turn),
        cmocka_unit_test(a_session_that_ends_first_tells_it_once),
        cmocka_unit_test(a_socket_disconnected_while_the_session_ends_ends_once),
        cmocka_unit_test(refused_sockets_have_no_disconnect),
        cmocka_unit_test(undecided_sockets_have_one),
        cmocka_unit_test(the_answer_may_come_later),
        cmocka_unit_test(time_runs_out_without_a_socket),
        cmocka_unit_test(failing_allocations_end_sessions_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

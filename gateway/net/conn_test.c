#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "await.h"
#include "failing_alloc.h"
#include "net/internal.h"
#include "util/clock.h"

enum { BIG = 4 * 1024 * 1024, QUEUE_BYTES = 2 * BIG + RCBUF_OVERHEAD };

/* A server with one client, and what happened to its connection. */
struct world {
    struct loop *loop;
    struct net_server *server;
    struct net_conn *conn;
    int client;
    struct buf read;
    unsigned closes;
    enum net_close_reason reason;
    void (*act)(struct world *world); /* once, when bytes arrive */
};

static void on_read(struct net_conn *conn, struct str bytes)
{
    struct world *world = net_conn_owner(conn);
    assert_int_equal(buf_append(&world->read, bytes), OK);
    if (world->act) {
        void (*act)(struct world *) = world->act;
        world->act = NULL;
        act(world);
    }
}

static void on_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct world *world = net_conn_owner(conn);
    world->closes++;
    world->reason = reason;
    world->conn = NULL;
    net_conn_close(conn, NET_CLOSED_ERROR); /* changes nothing any more */
}

static const struct net_conn_ops ops = {on_read, on_close};

static void on_accept(void *owner, struct net_conn *conn)
{
    struct world *world = owner;
    world->conn = conn;
    net_conn_set_owner(conn, &ops, world);
}

static const struct net_server_ops server_ops = {on_accept};

static void turn(struct world *world)
{
    assert_int_equal(loop_turn(world->loop, 10), OK);
}

static int dial(uint16_t port, int rcvbuf)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (rcvbuf) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void open_world(struct world *world, size_t queue_bytes, uint64_t stall_ms, int rcvbuf)
{
    struct net_server_options options = {.host = "127.0.0.1",
                                         .backlog = 16,
                                         .max_connections = 16,
                                         .queue_bytes = queue_bytes,
                                         .stall_ms = stall_ms,
                                         .slice_us = 1000};
    struct buf complaint = {0};
    *world = (struct world){.client = -1};
    world->loop = loop_new();
    assert_int_equal(
        net_server_open(world->loop, &options, &server_ops, world, &world->server, &complaint), OK);
    world->client = dial(net_server_port(world->server), rcvbuf);
    AWAIT(world, world->conn);
}

static int begin(void **state)
{
    struct world *world = malloc(sizeof *world);
    open_world(world, QUEUE_BYTES, 10000, 0);
    *state = world;
    return 0;
}

static int begin_narrow(void **state)
{
    struct world *world = malloc(sizeof *world);
    open_world(world, QUEUE_BYTES, 200, 4096);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    close(world->client);
    net_server_free(world->server);
    assert_null(world->conn);
    assert_int_equal(world->closes, 1);
    loop_free(world->loop);
    buf_fini(&world->read);
    free(world);
    return 0;
}

static enum err send_text(struct world *world, struct str text)
{
    struct rcbuf *bytes = rcbuf_copy(text);
    enum err err = net_conn_send(world->conn, bytes);
    rcbuf_unref(&bytes);
    return err;
}

static enum err send_big(struct world *world, size_t len)
{
    struct rcbuf *bytes = rcbuf_new(len);
    for (size_t i = 0; i < len; i++) {
        bytes->data[i] = (char)(i * 7 + i / 251);
    }
    enum err err = net_conn_send(world->conn, bytes);
    rcbuf_unref(&bytes);
    return err;
}

/* What the client has received by the end of the next turn; -1 at the end, -2 for nothing. */
static ssize_t client_recv(struct world *world, void *bytes, size_t cap)
{
    turn(world);
    ssize_t n = recv(world->client, bytes, cap, 0);
    return n > 0 ? n : n == 0 || errno != EAGAIN ? -1 : -2;
}

static void await_text(struct world *world, const char *expected)
{
    char text[256];
    size_t len = 0;
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; len < strlen(expected);) {
        assert_true(clock_monotonic_ms() < until);
        ssize_t n = client_recv(world, text + len, sizeof text - len);
        assert_true(n != -1);
        len += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static void await_end(struct world *world)
{
    char byte;
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS;;) {
        assert_true(clock_monotonic_ms() < until);
        if (client_recv(world, &byte, 1) == -1) {
            return;
        }
    }
}

static void bytes_arrive_at_the_owner(void **state)
{
    struct world *world = *state;
    assert_int_equal(write(world->client, "hello", 5), 5);
    AWAIT(world, world->read.len == 5);
    assert_memory_equal(world->read.data, "hello", 5);
    assert_int_equal(net_server_stats(world->server)->bytes_in, 5);
}

static void what_is_sent_in_a_turn_leaves_in_one_call(void **state)
{
    struct world *world = *state;
    assert_int_equal(send_text(world, STR("one ")), OK);
    assert_int_equal(send_text(world, STR("")), OK);
    assert_int_equal(send_text(world, STR("two ")), OK);
    assert_int_equal(send_text(world, STR("three")), OK);
    assert_int_equal(world->conn->queue.bytes, 13);
    assert_int_equal(net_server_stats(world->server)->queued_bytes, 13);
    await_text(world, "one two three");
    assert_int_equal(net_server_stats(world->server)->sends, 1);
    assert_int_equal(net_server_stats(world->server)->bytes_out, 13);
    assert_int_equal(net_server_stats(world->server)->queued_bytes, 0);
}

static void more_pieces_than_a_call_takes_arrive_in_order(void **state)
{
    struct world *world = *state;
    char expected[201] = "";
    for (int i = 0; i < 200; i++) {
        char letter = (char)('a' + i % 26);
        expected[i] = letter;
        assert_int_equal(send_text(world, (struct str){&letter, 1}), OK);
    }
    await_text(world, expected);
    assert_int_equal(net_server_stats(world->server)->sends, 4);
}

static void a_slow_reader_gets_everything_in_the_end(void **state)
{
    struct world *world = *state;
    size_t got = 0;
    static char chunk[65536];
    assert_int_equal(send_big(world, BIG), OK);
    assert_int_equal(send_big(world, 1), OK);
    turn(world);
    assert_int_equal(world->conn->blocked_on, LOOP_WRITABLE);
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; got < BIG + 1;) {
        assert_true(clock_monotonic_ms() < until);
        ssize_t n = client_recv(world, chunk, sizeof chunk);
        assert_true(n != -1);
        for (ssize_t i = 0; i < n; i++, got++) {
            size_t at = got % BIG;
            assert_int_equal(chunk[i], (char)(at * 7 + at / 251));
        }
    }
    AWAIT(world, world->conn->queue.bytes == 0);
    assert_int_equal(world->conn->blocked_on, 0);
}

static void over_the_bound_the_connection_is_closed_as_slow(void **state)
{
    struct world *world = *state;
    assert_int_equal(send_big(world, BIG), OK);
    assert_int_equal(send_big(world, BIG), OK);
    assert_int_equal(send_text(world, STR("x")), ERR_LIMIT);
    assert_int_equal(world->closes, 0);
    assert_true(net_conn_closing(world->conn));
    assert_int_equal(send_text(world, STR("x")), ERR_CLOSED);
    turn(world);
    assert_int_equal(world->closes, 1);
    assert_int_equal(world->reason, NET_CLOSED_SLOW);
    assert_int_equal(net_server_stats(world->server)->closed[NET_CLOSED_SLOW], 1);
    assert_int_equal(net_server_stats(world->server)->queued_bytes, 0);
}

static void small_pieces_count_with_what_they_cost(void **state)
{
    struct world *world = *state;
    unsigned sent = 0;
    while (send_text(world, STR("x")) == OK) {
        sent++;
    }
    assert_in_range(sent, QUEUE_BYTES / (1 + RCBUF_OVERHEAD), QUEUE_BYTES / RCBUF_OVERHEAD);
}

static void a_peer_that_never_reads_is_closed_as_slow(void **state)
{
    struct world *world = *state;
    assert_int_equal(send_big(world, BIG), OK);
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_SLOW);
}

static void the_end_of_the_peer_is_told_once(void **state)
{
    struct world *world = *state;
    shutdown(world->client, SHUT_WR);
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
    assert_int_equal(net_server_stats(world->server)->connections, 0);
    await_end(world);
}

static void a_reset_is_an_end(void **state)
{
    struct world *world = *state;
    struct linger linger = {.l_onoff = 1};
    setsockopt(world->client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(world->client);
    world->client = -1;
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
}

static void answer_and_finish(struct world *world)
{
    assert_int_equal(send_big(world, BIG), OK);
    net_conn_finish(world->conn);
    net_conn_finish(world->conn);
    assert_int_equal(send_text(world, STR("late")), ERR_CLOSED);
}

static void a_reset_while_writing_is_an_end(void **state)
{
    struct world *world = *state;
    struct linger linger = {.l_onoff = 1};
    assert_int_equal(send_big(world, BIG), OK);
    turn(world);
    net_conn_pause(world->conn); /* only writing can notice */
    setsockopt(world->client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(world->client);
    world->client = -1;
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
}

static void finish_writes_all_and_drops_what_comes(void **state)
{
    struct world *world = *state;
    static char chunk[65536];
    size_t got = 0;
    world->act = answer_and_finish;
    assert_int_equal(write(world->client, "q", 1), 1);
    for (;;) {
        ssize_t n = client_recv(world, chunk, sizeof chunk);
        if (n == -1) {
            break;
        }
        got += n > 0 ? (size_t)n : 0;
        assert_true(write(world->client, "more", 4) == 4);
    }
    assert_int_equal(got, BIG);
    assert_int_equal(world->closes, 0);
    close(world->client);
    world->client = -1;
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_US);
    assert_int_equal(world->read.len, 1);
}

static void finish_does_not_wait_for_ever_for_the_peers_end(void **state)
{
    struct world *world = *state;
    net_conn_finish(world->conn);
    await_end(world);
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_US);
}

static void a_half_closed_peer_gets_what_was_being_finished(void **state)
{
    struct world *world = *state;
    assert_int_equal(send_text(world, STR("bye")), OK);
    net_conn_finish(world->conn);
    shutdown(world->client, SHUT_WR);
    await_text(world, "bye");
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_US);
}

static void answer(struct world *world)
{
    assert_int_equal(send_text(world, STR("answer")), OK);
}

static void who_asks_and_ends_gets_the_answer(void **state)
{
    struct world *world = *state;
    world->act = answer;
    assert_int_equal(write(world->client, "q", 1), 1);
    shutdown(world->client, SHUT_WR);
    await_text(world, "answer");
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
    await_end(world);
}

static void close_twice(struct world *world)
{
    struct net_conn *conn = world->conn;
    assert_int_equal(send_text(world, STR("dropped")), OK);
    net_conn_close(conn, NET_CLOSED_BY_US);
    net_conn_close(conn, NET_CLOSED_ERROR);
    net_conn_finish(conn);
    net_conn_pause(conn);
    net_conn_resume(conn);
    assert_int_equal(world->closes, 0);
}

static void closing_inside_on_read_is_told_after_it(void **state)
{
    struct world *world = *state;
    world->act = close_twice;
    assert_int_equal(write(world->client, "x", 1), 1);
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_US);
    await_end(world);
}

static void a_paused_connection_reads_nothing_until_resumed(void **state)
{
    struct world *world = *state;
    net_conn_pause(world->conn);
    assert_int_equal(write(world->client, "hello", 5), 5);
    assert_int_equal(send_text(world, STR("still written")), OK);
    await_text(world, "still written");
    assert_int_equal(world->read.len, 0);
    net_conn_resume(world->conn);
    AWAIT(world, world->read.len == 5);
}

static void read_second(struct net_conn *conn, struct str bytes)
{
    struct world *world = net_conn_owner(conn);
    assert_int_equal(buf_append(&world->read, STR("2:")), OK);
    assert_int_equal(buf_append(&world->read, bytes), OK);
}

static void change_ops(struct world *world)
{
    static const struct net_conn_ops second = {read_second, on_close};
    net_conn_set_owner(world->conn, &second, world);
    assert_int_equal(write(world->client, "b", 1), 1);
}

static void the_owner_can_change_while_reading(void **state)
{
    struct world *world = *state;
    world->act = change_ops;
    assert_int_equal(write(world->client, "a", 1), 1);
    AWAIT(world, world->read.len == 4);
    assert_memory_equal(world->read.data, "a2:b", 4);
}

static void the_peers_address_is_known(void **state)
{
    struct world *world = *state;
    unsigned char peer[NET_ADDRESS_MAX], expected[NET_ADDRESS_MAX];
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    getsockname(world->client, (struct sockaddr *)&address, &len);
    size_t size = net_address_pack(&address, expected);
    assert_int_equal(net_conn_address(world->conn, peer), size);
    assert_memory_equal(peer, expected, size);
}

static void without_memory_a_send_fails_and_the_rest_goes_on(void **state)
{
    struct world *world = *state;
    struct rcbuf *bytes = rcbuf_copy(STR("ab"));
    assert_int_equal(net_conn_send(world->conn, bytes), OK);
    failing_alloc_at(0);
    assert_int_equal(net_conn_send(world->conn, bytes), ERR_NOMEM);
    assert_true(failing_alloc_hit());
    assert_int_equal(bytes->refs, 2);
    await_text(world, "ab");
    assert_int_equal(bytes->refs, 1);
    rcbuf_unref(&bytes);
}

/* --- Beside the world's client: one that comes with what it has to say --- */

enum { MUCH = 400 * 1000 }; /* more than is read in a visit; a local socket holds it */

/* The server's side of a local socket that nothing more comes through, so no edge either. */
static void open_full(struct world *other, struct world *world, bool ends)
{
    int fds[2], room = MUCH;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    char *bytes = malloc(MUCH);
    for (size_t i = 0; i < MUCH; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    size_t sent = 0;
    while (sent < MUCH) {
        ssize_t n = write(fds[1], bytes + sent, MUCH - sent);
        assert_true(n > 0);
        sent += (size_t)n;
    }
    free(bytes);
    if (ends) {
        shutdown(fds[1], SHUT_WR);
    }
    *other = (struct world){.client = fds[1], .loop = world->loop, .server = world->server};
    other->conn = net_conn_new(world->server, fds[0]);
    net_conn_set_owner(other->conn, &ops, other);
}

static void expect_much(const struct world *other)
{
    assert_int_equal(other->read.len, MUCH);
    for (size_t i = 0; i < MUCH; i++) {
        assert_int_equal(other->read.data[i], (char)(i * 7 + i / 251));
    }
}

static void close_other(struct world *other)
{
    if (other->conn) {
        net_conn_close(other->conn, NET_CLOSED_BY_US);
    }
    AWAIT(other, other->closes == 1);
    close(other->client);
    buf_fini(&other->read);
}

static void more_than_a_visit_reads_arrives_without_the_peer_saying_more(void **state)
{
    struct world other;
    open_full(&other, *state, false);
    AWAIT(&other, other.read.len == MUCH);
    expect_much(&other);
    assert_true(list_empty(&other.server->unread));
    close_other(&other);
}

static void pause_conn(struct world *world)
{
    net_conn_pause(world->conn);
}

static void what_a_pause_left_in_the_kernel_is_read_after_it(void **state)
{
    struct world other;
    open_full(&other, *state, false);
    other.act = pause_conn;
    for (int i = 0; i < 5; i++) {
        turn(&other);
    }
    assert_int_equal(other.read.len, NET_READ_SIZE);
    other.act = pause_conn; /* and once more, by now from the list of those to be visited */
    net_conn_resume(other.conn);
    for (int i = 0; i < 5; i++) {
        turn(&other);
    }
    assert_int_equal(other.read.len, 2 * NET_READ_SIZE);
    net_conn_resume(other.conn);
    AWAIT(&other, other.read.len == MUCH);
    expect_much(&other);
    close_other(&other);
}

static void expect_much_and_the_end(struct world *other)
{
    AWAIT(other, other->closes == 1);
    assert_int_equal(other->reason, NET_CLOSED_BY_PEER);
    expect_much(other);
    close_other(other);
}

static void the_end_comes_after_all_that_was_said_before_it(void **state)
{
    struct world other;
    open_full(&other, *state, true);
    expect_much_and_the_end(&other);
}

static void an_end_is_met_after_a_pause(void **state)
{
    struct world other;
    open_full(&other, *state, true);
    net_conn_pause(other.conn);
    for (int i = 0; i < 5; i++) {
        turn(&other);
    }
    assert_int_equal(other.read.len, 0);
    assert_int_equal(other.closes, 0);
    net_conn_resume(other.conn);
    expect_much_and_the_end(&other);
}

/* Without lingering: what was left unread, and the end, have been taken. */
static void an_end_is_met_when_a_paused_one_finishes(void **state)
{
    struct world other;
    open_full(&other, *state, true);
    net_conn_pause(other.conn);
    turn(&other);
    uint64_t before = clock_monotonic_ms();
    net_conn_finish(other.conn);
    AWAIT(&other, other.closes == 1);
    assert_in_range(clock_monotonic_ms() - before, 0, 500);
    assert_int_equal(other.reason, NET_CLOSED_BY_US);
    assert_int_equal(other.read.len, 0);
    close_other(&other);
}

static struct world *rival; /* whom the world's owner closes */

static void close_rival(struct world *world)
{
    (void)world;
    net_conn_close(rival->conn, NET_CLOSED_BY_US);
}

/* Both are ready in the same batch; whichever is told first closes the other. */
static void who_is_closed_by_another_hears_nothing_more(void **state)
{
    struct world *world = *state, other;
    open_full(&other, world, false);
    assert_int_equal(write(world->client, "x", 1), 1);
    rival = &other;
    world->act = close_rival;
    other.act = close_rival; /* itself, where it comes first */
    AWAIT(world, other.closes == 1 && world->read.len == 1);
    assert_in_range(other.read.len, 0, NET_READ_SIZE);
    close_other(&other);
}

static void a_reset_is_met_after_a_pause(void **state)
{
    struct world *world = *state;
    struct linger linger = {.l_onoff = 1};
    net_conn_pause(world->conn);
    setsockopt(world->client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(world->client);
    world->client = -1;
    for (int i = 0; i < 3; i++) {
        turn(world);
    }
    assert_int_equal(world->closes, 0);
    net_conn_resume(world->conn);
    AWAIT(world, world->closes == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
}

static void a_message_needs_no_second_read(void **state)
{
    struct world *world = *state;
    assert_int_equal(write(world->client, "hello", 5), 5);
    AWAIT(world, world->read.len == 5);
    assert_false(world->conn->readable);
    assert_true(list_empty(&world->server->unread));
}

#define IN_WORLD(test)  cmocka_unit_test_setup_teardown(test, begin, end)
#define IN_NARROW(test) cmocka_unit_test_setup_teardown(test, begin_narrow, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(bytes_arrive_at_the_owner),
        IN_WORLD(what_is_sent_in_a_turn_leaves_in_one_call),
        IN_WORLD(more_pieces_than_a_call_takes_arrive_in_order),
        IN_WORLD(a_slow_reader_gets_everything_in_the_end),
        IN_WORLD(over_the_bound_the_connection_is_closed_as_slow),
        IN_WORLD(small_pieces_count_with_what_they_cost),
        IN_NARROW(a_peer_that_never_reads_is_closed_as_slow),
        IN_WORLD(the_end_of_the_peer_is_told_once),
        IN_WORLD(a_reset_is_an_end),
        IN_WORLD(a_reset_while_writing_is_an_end),
        IN_WORLD(finish_writes_all_and_drops_what_comes),
        IN_WORLD(finish_does_not_wait_for_ever_for_the_peers_end),
        IN_WORLD(a_half_closed_peer_gets_what_was_being_finished),
        IN_WORLD(who_asks_and_ends_gets_the_answer),
        IN_WORLD(closing_inside_on_read_is_told_after_it),
        IN_WORLD(a_paused_connection_reads_nothing_until_resumed),
        IN_WORLD(the_owner_can_change_while_reading),
        IN_WORLD(the_peers_address_is_known),
        IN_WORLD(without_memory_a_send_fails_and_the_rest_goes_on),
        IN_WORLD(a_message_needs_no_second_read),
        IN_WORLD(more_than_a_visit_reads_arrives_without_the_peer_saying_more),
        IN_WORLD(what_a_pause_left_in_the_kernel_is_read_after_it),
        IN_WORLD(the_end_comes_after_all_that_was_said_before_it),
        IN_WORLD(an_end_is_met_after_a_pause),
        IN_WORLD(an_end_is_met_when_a_paused_one_finishes),
        IN_WORLD(who_is_closed_by_another_hears_nothing_more),
        IN_WORLD(a_reset_is_met_after_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "await.h"
#include "failing_alloc.h"
#include "net/internal.h"
#include "util/clock.h"

enum { MANY = 40, PIECE = 100 };

struct world {
    struct loop *loop;
    struct net_server *server;
    struct net_conn *conns[MANY];
    size_t accepted, closed, read;
    bool refuse;
};

static void on_read(struct net_conn *conn, struct str bytes)
{
    struct world *world = net_conn_owner(conn);
    world->read += bytes.len;
}

static void on_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct world *world = net_conn_owner(conn);
    (void)reason;
    world->closed++;
}

static const struct net_conn_ops ops = {.on_read = on_read, .on_close = on_close};

static void on_accept(void *owner, struct net_conn *conn)
{
    struct world *world = owner;
    if (world->refuse) {
        return;
    }
    net_conn_set_owner(conn, &ops, world);
    world->conns[world->accepted++ % MANY] = conn;
}

static const struct net_server_ops server_ops = {on_accept};

static enum err open_server(struct world *world, const struct net_server_options *options)
{
    struct buf complaint = {0};
    enum err err =
        net_server_open(world->loop, options, &server_ops, world, &world->server, &complaint);
    assert_true(!err || err == ERR_NOMEM || complaint.len > 0);
    buf_fini(&complaint);
    return err;
}

static const struct net_server_options plain = {.host = "127.0.0.1",
                                                .backlog = 128,
                                                .max_connections = MANY,
                                                .queue_bytes = 65536,
                                                .stall_ms = 12345,
                                                .slice_us = 1000};

static struct world make_world(void)
{
    struct world world = {.loop = loop_new()};
    assert_non_null(world.loop);
    return world;
}

static void end_world(struct world *world)
{
    net_server_free(world->server);
    assert_int_equal(world->closed, world->accepted);
    loop_free(world->loop);
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A server with one client; the client's socket. */
static int begin_with_client(struct world *world, const struct net_server_options *options)
{
    *world = make_world();
    assert_int_equal(open_server(world, options), OK);
    int client = dial(net_server_port(world->server));
    AWAIT(world, world->accepted == 1);
    return client;
}

static void print_peer(const struct net_conn *conn, char out[NET_ADDRESS_TEXT_MAX])
{
    unsigned char address[NET_ADDRESS_MAX];
    (void)net_conn_address(conn, address);
    net_address_print(address, out);
}

static void accepted_sockets_have_their_options(void **state)
{
    (void)state;
    struct world world;
    int client = begin_with_client(&world, &plain);
    int value = 0;
    socklen_t len = sizeof value;
    int fd = world.conns[0]->stream.fd;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_true(value);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len), 0);
    assert_int_equal(value, 12345);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &len), 0);
    assert_int_equal(value, 128 * 1024);
    close(client);
    end_world(&world);
}

static void no_host_means_both_families(void **state)
{
    (void)state;
    struct world world;
    struct net_server_options options = plain;
    options.host = NULL;
    int client = begin_with_client(&world, &options);
    char peer[NET_ADDRESS_TEXT_MAX];
    print_peer(world.conns[0], peer);
    assert_memory_equal(peer, "127.0.0.1:", 10);
    close(client);
    end_world(&world);
}

static void an_address_of_ipv6_is_bound_and_shown(void **state)
{
    (void)state;
    struct world world = make_world();
    struct net_server_options options = plain;
    options.host = "::1";
    if (open_server(&world, &options)) {
        loop_free(world.loop);
        skip(); /* a machine without IPv6 */
    }
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(net_server_port(world.server)),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int client = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    AWAIT(&world, world.accepted == 1);
    char peer[NET_ADDRESS_TEXT_MAX];
    print_peer(world.conns[0], peer);
    assert_memory_equal(peer, "[::1]:", 6);
    close(client);
    end_world(&world);
}

static void a_taken_port_is_a_complaint(void **state)
{
    (void)state;
    struct world first = make_world(), second = make_world();
    assert_int_equal(open_server(&first, &plain), OK);
    struct net_server_options options = plain;
    options.port = net_server_port(first.server);
    assert_int_equal(open_server(&second, &options), ERR_IO);
    assert_null(second.server);
    options.host = "";
    assert_int_equal(open_server(&second, &options), ERR_IO);
    options.host = "no such host";
    assert_int_equal(open_server(&second, &options), ERR_IO);
    end_world(&second);
    end_world(&first);
}

static void processes_can_share_a_port(void **state)
{
    (void)state;
    struct world first = make_world(), second = make_world();
    struct net_server_options options = plain;
    options.reuse_port = true;
    assert_int_equal(open_server(&first, &options), OK);
    options.port = net_server_port(first.server);
    assert_int_equal(open_server(&second, &options), OK);
    end_world(&second);
    end_world(&first);
}

static void a_reserved_port_is_for_those_who_share_it(void **state)
{
    (void)state;
    struct world alone = make_world(), first = make_world(), second = make_world();
    struct net_server_options options = plain;
    struct net_port port, again;
    struct buf complaint = {0};
    assert_int_equal(net_port_reserve(&port, plain.host, 0, &complaint), OK);
    options.port = port.number;
    assert_int_not_equal(port.number, 0);
    options.reuse_port = true;
    assert_int_equal(open_server(&first, &options), OK);
    assert_int_equal(open_server(&second, &options), OK);
    assert_int_equal(net_server_port(second.server), port.number);
    /* Nobody else gets it, whoever holds it: a second reservation would be a second gateway. */
    assert_int_equal(net_port_reserve(&again, plain.host, port.number, &complaint), ERR_IO);
    assert_non_null(strstr(buf_cstr(&complaint), "Address already in use"));
    buf_fini(&complaint);
    net_port_close(&port);
    options.reuse_port = false;
    assert_int_equal(open_server(&alone, &options), ERR_IO);
    end_world(&second);
    end_world(&first);
    end_world(&alone);
}

static void one_over_the_limit_is_closed_at_once(void **state)
{
    (void)state;
    struct world world = make_world();
    struct net_server_options options = plain;
    options.max_connections = 1;
    assert_int_equal(open_server(&world, &options), OK);
    int first = dial(net_server_port(world.server));
    int second = dial(net_server_port(world.server));
    AWAIT(&world, net_server_stats(world.server)->refused == 1);
    char byte;
    assert_true(recv(second, &byte, 1, 0) <= 0);
    assert_int_equal(net_server_stats(world.server)->connections, 1);
    close(first);
    close(second);
    end_world(&world);
}

static void with_deferred_accepting_the_first_bytes_come_along(void **state)
{
    (void)state;
    struct world world = make_world();
    struct net_server_options options = plain;
    options.defer_accept = true;
    assert_int_equal(open_server(&world, &options), OK);
    int client = dial(net_server_port(world.server));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(loop_turn(world.loop, 10), OK);
    }
    assert_int_equal(world.accepted, 0);
    assert_int_equal(write(client, "hello", 5), 5);
    while (world.accepted == 0) {
        assert_int_equal(world.read, 0);
        assert_int_equal(loop_turn(world.loop, 1000), OK);
    }
    assert_int_equal(world.read, 5); /* in that turn */
    assert_int_equal(write(client, "hello", 5), 5);
    AWAIT(&world, world.read == 10);
    close(client);
    end_world(&world);
}

static void with_deferred_accepting_who_says_nothing_comes_later(void **state)
{
    (void)state;
    struct world world;
    struct net_server_options options = plain;
    options.defer_accept = true;
    int client = begin_with_client(&world, &options);
    assert_int_equal(write(client, "late", 4), 4);
    AWAIT(&world, world.read == 4);
    close(client);
    end_world(&world);
}

static void a_connection_that_nobody_takes_is_closed(void **state)
{
    (void)state;
    struct world world = make_world();
    world.refuse = true;
    assert_int_equal(open_server(&world, &plain), OK);
    int client = dial(net_server_port(world.server));
    AWAIT(&world, net_server_stats(world.server)->closed[NET_CLOSED_BY_US] == 1);
    close(client);
    end_world(&world);
}

static void a_stopped_server_keeps_its_connections(void **state)
{
    (void)state;
    struct world world;
    int client = begin_with_client(&world, &plain);
    uint16_t port = net_server_port(world.server);
    net_server_stop(world.server);
    net_server_stop(world.server);
    assert_int_equal(net_server_stats(world.server)->connections, 1);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(late);
    close(client);
    end_world(&world);
}

static int lowest_free_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void out_of_descriptors_accepting_pauses_and_goes_on(void **state)
{
    (void)state;
    struct world world = make_world();
    assert_int_equal(open_server(&world, &plain), OK);
    int client = dial(net_server_port(world.server));
    struct rlimit old, tight;
    getrlimit(RLIMIT_NOFILE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)lowest_free_fd();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    AWAIT(&world, net_server_stats(world.server)->refused == 1);
    unsigned turns = 0;
    for (uint64_t until = clock_monotonic_ms() + 50; clock_monotonic_ms() < until; turns++) {
        assert_int_equal(loop_turn(world.loop, 10), OK);
    }
    assert_true(turns < 50); /* it waits, it does not spin */
    setrlimit(RLIMIT_NOFILE, &old);
    AWAIT(&world, world.accepted == 1);
    close(client);
    end_world(&world);
}

static void dial_many(struct world *world, int clients[MANY])
{
    for (int i = 0; i < MANY; i++) {
        clients[i] = dial(net_server_port(world->server));
    }
    AWAIT(world, world->accepted == MANY);
}

static void close_many(struct world *world, const int clients[MANY])
{
    for (int i = 0; i < MANY; i++) {
        close(clients[i]);
    }
    end_world(world);
}

static void send_to_all(struct world *world, struct rcbuf *bytes)
{
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(net_conn_send(world->conns[i], bytes), OK);
    }
}

static void a_pass_over_many_is_sliced(void **state)
{
    (void)state;
    struct world world = make_world();
    struct net_server_options options = plain;
    options.slice_us = 0; /* one connection a turn */
    int clients[MANY];
    char text[PIECE + 1] = "";
    assert_int_equal(open_server(&world, &options), OK);
    dial_many(&world, clients);
    struct rcbuf *bytes = rcbuf_copy((struct str){memset(text, 'x', PIECE), PIECE});
    send_to_all(&world, bytes);
    for (int i = 1; i <= MANY; i++) {
        assert_int_equal(loop_turn(world.loop, 1000), OK);
        assert_int_equal(net_server_stats(world.server)->sends, i);
        if (i == 5) { /* joins what the last one has waiting */
            assert_int_equal(net_conn_send(world.conns[MANY - 1], bytes), OK);
        }
    }
    assert_int_equal(bytes->refs, 1);
    rcbuf_unref(&bytes);
    assert_int_equal(recv(clients[MANY - 1], (char[2 * PIECE]){0}, 2 * PIECE, 0), 2 * PIECE);
    for (int i = 0; i < MANY; i++) {
        net_conn_close(world.conns[i], NET_CLOSED_BY_US);
    }
    for (size_t i = 1; i <= MANY; i++) {
        assert_int_equal(loop_turn(world.loop, 1000), OK);
        assert_int_equal(world.closed, i);
    }
    close_many(&world, clients);
}

struct passes {
    unsigned ended, unfinished;
};

static void on_pass(void *owner, bool ended)
{
    struct passes *passes = owner;
    passes->ended += ended;
    passes->unfinished += !ended;
}

static void open_many(struct world *world, const struct net_server_options *options,
                      struct passes *passes, int clients[MANY])
{
    assert_int_equal(open_server(world, options), OK);
    net_server_watch_passes(world->server, on_pass, passes);
    dial_many(world, clients);
}

/* However much is sent to those that were visited: they are of the next pass. */
static void a_pass_ends_though_more_is_sent(void **state)
{
    (void)state;
    struct world world = make_world();
    struct net_server_options options = plain;
    struct passes passes = {0};
    int clients[MANY];
    options.slice_us = 0; /* one connection a turn */
    open_many(&world, &options, &passes, clients);
    struct rcbuf *bytes = rcbuf_copy(STR("x"));
    send_to_all(&world, bytes);
    for (unsigned i = 1; i <= MANY; i++) {
        assert_int_equal(passes.ended, 0);
        assert_int_equal(loop_turn(world.loop, 1000), OK);
        assert_int_equal(passes.unfinished, i < MANY ? i : MANY - 1);
        assert_int_equal(net_conn_send(world.conns[0], bytes), OK);
    }
    assert_int_equal(passes.ended, 1);
    assert_int_equal(loop_turn(world.loop, 1000), OK);
    assert_int_equal(passes.ended, 2);
    rcbuf_unref(&bytes);
    close_many(&world, clients);
}

/* More pieces than one system call takes: the pass ends when they all are written. */
static void a_pass_writes_everything(void **state)
{
    (void)state;
    enum { PIECES = 1000 };
    struct world world = make_world();
    struct passes passes = {0};
    int clients[MANY];
    open_many(&world, &plain, &passes, clients);
    struct rcbuf *bytes = rcbuf_copy(STR("x"));
    for (unsigned i = 0; i < PIECES; i++) {
        assert_int_equal(net_conn_send(world.conns[0], bytes), OK);
    }
    assert_true(net_server_due(world.server));
    AWAIT(&world, passes.ended == 1);
    assert_false(net_server_due(world.server));
    assert_int_equal(net_server_stats(world.server)->queued_bytes, 0);
    rcbuf_unref(&bytes);
    close_many(&world, clients);
}

static void a_pass_ends_though_its_rest_closes(void **state)
{
    (void)state;
    struct world world = make_world();
    struct net_server_options options = plain;
    struct passes passes = {0};
    int clients[MANY];
    options.slice_us = 0;
    open_many(&world, &options, &passes, clients);
    struct rcbuf *bytes = rcbuf_copy(STR("x"));
    send_to_all(&world, bytes);
    assert_int_equal(loop_turn(world.loop, 1000), OK);
    assert_int_equal(passes.unfinished, 1);
    for (int i = 0; i < MANY; i++) {
        net_conn_close(world.conns[i], NET_CLOSED_BY_US);
    }
    assert_int_equal(loop_turn(world.loop, 1000), OK);
    assert_int_equal(passes.ended, 1);
    rcbuf_unref(&bytes);
    close_many(&world, clients);
}

static void a_pass_that_nobody_is_left_for_ends(void **state)
{
    (void)state;
    struct world world = make_world();
    struct passes passes = {0};
    int clients[MANY];
    open_many(&world, &plain, &passes, clients);
    struct rcbuf *bytes = rcbuf_copy(STR("x"));
    send_to_all(&world, bytes);
    for (int i = 0; i < MANY; i++) {
        net_conn_close(world.conns[i], NET_CLOSED_BY_US);
    }
    assert_int_equal(loop_turn(world.loop, 1000), OK);
    assert_int_equal(passes.ended, 1);
    assert_int_equal(passes.unfinished, 0);
    rcbuf_unref(&bytes);
    close_many(&world, clients);
}

static void who_stalls_is_told_for_a_while(void **state)
{
    (void)state;
    struct clock_fake now = {.monotonic_ms = clock_monotonic_ms()};
    struct world world;
    int client = begin_with_client(&world, &plain);
    static char text[32768];
    struct rcbuf *bytes = rcbuf_copy((struct str){text, sizeof text});
    assert_false(net_server_stalled_within(world.server, 1000));
    while (!net_server_stalled_within(world.server, 1000)) { /* nobody reads */
        assert_int_equal(net_conn_send(world.conns[0], bytes), OK);
        assert_int_equal(loop_turn(world.loop, 0), OK);
    }
    clock_set_fake(&now);
    now.monotonic_ms = clock_monotonic_ms() + 2000;
    clock_set_fake(&now);
    assert_int_equal(loop_turn(world.loop, 0), OK);
    assert_false(net_server_stalled_within(world.server, 1000));
    clock_set_fake(NULL);
    rcbuf_unref(&bytes);
    close(client);
    end_world(&world);
}

static void try_to_open(void *context)
{
    struct world *world = context;
    world->server = NULL;
    enum err err = open_server(world, &plain);
    if (!err) {
        net_server_free(world->server);
        world->server = NULL;
    } else {
        assert_null(world->server);
    }
}

static void opening_survives_any_failing_allocation(void **state)
{
    (void)state;
    struct world world = make_world();
    failing_alloc_each(try_to_open, &world);
    end_world(&world);
}

static void without_memory_a_client_is_refused(void **state)
{
    (void)state;
    struct world world = make_world();
    assert_int_equal(open_server(&world, &plain), OK);
    int client = dial(net_server_port(world.server));
    failing_alloc_at(0);
    AWAIT(&world, net_server_stats(world.server)->refused == 1);
    assert_true(failing_alloc_hit());
    assert_int_equal(world.accepted, 0);
    char byte;
    assert_true(recv(client, &byte, 1, 0) <= 0);
    close(client);
    end_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sockets_have_their_options),
        cmocka_unit_test(no_host_means_both_families),
        cmocka_unit_test(an_address_of_ipv6_is_bound_and_shown),
        cmocka_unit_test(a_taken_port_is_a_complaint),
        cmocka_unit_test(processes_can_share_a_port),
        cmocka_unit_test(a_reserved_port_is_for_those_who_share_it),
        cmocka_unit_test(one_over_the_limit_is_closed_at_once),
        cmocka_unit_test(with_deferred_accepting_the_first_bytes_come_along),
        cmocka_unit_test(with_deferred_accepting_who_says_nothing_comes_later),
        cmocka_unit_test(a_connection_that_nobody_takes_is_closed),
        cmocka_unit_test(a_stopped_server_keeps_its_connections),
        cmocka_unit_test(out_of_descriptors_accepting_pauses_and_goes_on),
        cmocka_unit_test(a_pass_over_many_is_sliced),
        cmocka_unit_test(a_pass_ends_though_more_is_sent),
        cmocka_unit_test(a_pass_writes_everything),
        cmocka_unit_test(a_pass_ends_though_its_rest_closes),
        cmocka_unit_test(a_pass_that_nobody_is_left_for_ends),
        cmocka_unit_test(who_stalls_is_told_for_a_while),
        cmocka_unit_test(opening_survives_any_failing_allocation),
        cmocka_unit_test(without_memory_a_client_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

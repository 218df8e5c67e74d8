/* Connections over TLS, whose other ends are OpenSSL's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "await.h"
#include "certificates.h"
#include "net/internal.h"
#include "util/clock.h"

enum { BIG = 3 * 1024 * 1024, STALL_MS = 300 };

struct world {
    struct loop *loop;
    struct net_server *server;
    struct net_conn *conn; /* the last that came */
    SSL_CTX *clients;
    struct buf read;
    size_t accepted, closed;
    enum net_close_reason reason;
};

static void on_read(struct net_conn *conn, struct str bytes)
{
    struct world *world = net_conn_owner(conn);
    assert_int_equal(buf_append(&world->read, bytes), OK);
}

static void on_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct world *world = net_conn_owner(conn);
    world->closed++;
    world->reason = reason;
    world->conn = world->conn == conn ? NULL : world->conn;
}

static const struct net_conn_ops ops = {.on_read = on_read, .on_close = on_close};

static void on_accept(void *owner, struct net_conn *conn)
{
    struct world *world = owner;
    world->conn = conn;
    world->accepted++;
    net_conn_set_owner(conn, &ops, world);
}

static const struct net_server_ops server_ops = {on_accept};

static void turn(struct world *world)
{
    assert_int_equal(loop_turn(world->loop, 10), OK);
}

static struct tls_context *context(const char *certificate, const char *key)
{
    const struct tls_options options = {.cert_file = certificates_file(certificate),
                                        .key_file = certificates_file(key),
                                        .server = true};
    struct tls_context *made = NULL;
    struct buf complaint = {0};
    assert_int_equal(tls_context_new(&options, &made, &complaint), OK);
    return made;
}

static int begin(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct net_server_options options = {.host = "127.0.0.1",
                                         .backlog = 16,
                                         .max_connections = 16,
                                         .queue_bytes = 2 * BIG,
                                         .stall_ms = STALL_MS,
                                         .slice_us = 1000,
                                         .tls = context("a.crt", "a.key")};
    struct buf complaint = {0};
    world->loop = loop_new();
    world->clients = SSL_CTX_new(TLS_client_method());
    assert_int_equal(
        net_server_open(world->loop, &options, &server_ops, world, &world->server, &complaint), OK);
    tls_context_unref(options.tls); /* the server has its own reference */
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    net_server_free(world->server);
    assert_int_equal(world->closed, world->accepted);
    loop_free(world->loop);
    SSL_CTX_free(world->clients);
    buf_fini(&world->read);
    free(world);
    return 0;
}

static int dial(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_server_port(world->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* A client whose handshake is done on its own side; the server may yet have to read the end. */
static SSL *shake_hands(struct world *world, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(world->clients);
    SSL_set_fd(ssl, dial(world));
    if (session) {
        SSL_set_session(ssl, session);
    }
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; SSL_connect(ssl) != 1;) {
        assert_true(clock_monotonic_ms() < until);
        turn(world);
    }
    return ssl;
}

static SSL *visit(struct world *world)
{
    SSL *ssl = shake_hands(world, NULL);
    AWAIT(world, world->conn && world->conn->state == NET_OPEN);
    return ssl;
}

static void hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static uint64_t handshakes(const struct world *world, enum net_tls_end how)
{
    return net_server_stats(world->server)->handshakes[how];
}

static void send_bytes(struct world *world, const char *bytes, size_t len)
{
    struct rcbuf *copy = rcbuf_copy((struct str){bytes, len});
    assert_int_equal(net_conn_send(world->conn, copy), OK);
    rcbuf_unref(&copy);
}

static void a_request_right_behind_the_handshake_is_read(void **state)
{
    struct world *world = *state;
    SSL *ssl = shake_hands(world, NULL);
    assert_int_equal(SSL_write(ssl, "hello", 5), 5);
    AWAIT(world, world->read.len == 5);
    assert_memory_equal(world->read.data, "hello", 5);
    assert_int_equal(handshakes(world, NET_TLS_FULL), 1);
    hang_up(ssl);
}

static void what_is_sent_in_a_turn_is_one_record(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    char piece[300], all[16 * sizeof piece];
    for (int i = 0; i < 16; i++) {
        memset(piece, 'a' + i, sizeof piece);
        send_bytes(world, piece, sizeof piece);
    }
    int n = -1;
    AWAIT(world, (n = SSL_read(ssl, all, sizeof all)) > 0);
    assert_int_equal(n, sizeof all); /* SSL_read gives no more than a record */
    assert_int_equal(all[sizeof all - 1], 'a' + 15);
    assert_int_equal(net_server_stats(world->server)->sends, 1);
    assert_int_equal(net_server_stats(world->server)->bytes_out, sizeof all);
    hang_up(ssl);
}

static char pattern(size_t at)
{
    return (char)(at * 7 + at / 251);
}

static char *patterned(size_t len)
{
    char *bytes = malloc(len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pattern(i);
    }
    return bytes;
}

/* Reads and compares, from byte `at` on; how many came. */
static size_t take(SSL *ssl, size_t at)
{
    static char chunk[10000];
    int n = SSL_read(ssl, chunk, sizeof chunk);
    for (int i = 0; i < n; i++) {
        assert_int_equal(chunk[i], pattern(at + (size_t)i));
    }
    return n > 0 ? (size_t)n : 0;
}

static void a_slow_reader_gets_everything_in_the_end(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    char *bytes = patterned(BIG);
    size_t got = 0;
    send_bytes(world, bytes, BIG / 2);
    turn(world);
    assert_int_equal(world->conn->blocked_on, LOOP_WRITABLE);
    send_bytes(world, bytes + BIG / 2, 10); /* while a record waits, and its bytes may move */
    send_bytes(world, bytes + BIG / 2 + 10, BIG / 2 - 10);
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; got < BIG;) {
        assert_true(clock_monotonic_ms() < until);
        got += take(ssl, got);
        turn(world);
    }
    assert_int_equal(world->conn->queue.bytes, 0);
    free(bytes);
    hang_up(ssl);
}

static void a_peer_that_never_reads_is_closed_as_slow(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    char *bytes = patterned(BIG);
    send_bytes(world, bytes, BIG);
    send_bytes(world, bytes, BIG / 2);
    free(bytes);
    AWAIT(world, world->closed == 1);
    assert_int_equal(world->reason, NET_CLOSED_SLOW);
    hang_up(ssl);
}

/* More than a visit reads, and with a pause in the middle: TLS holds what the socket has given. */
static void much_input_arrives_whole(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    char *bytes = patterned(BIG);
    size_t sent = 0;
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; world->read.len < BIG;) {
        assert_true(clock_monotonic_ms() < until);
        size_t len = BIG - sent < 50000 ? BIG - sent : 50000;
        int n = len > 0 ? SSL_write(ssl, bytes + sent, (int)len) : 0;
        sent += n > 0 ? (size_t)n : 0;
        net_conn_pause(world->conn);
        turn(world);
        net_conn_resume(world->conn);
        turn(world);
    }
    assert_memory_equal(world->read.data, bytes, BIG);
    free(bytes);
    hang_up(ssl);
}

static void the_end_of_the_peer_is_told(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    SSL_write(ssl, "last", 4);
    SSL_shutdown(ssl); /* its socket stays open */
    AWAIT(world, world->closed == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
    assert_int_equal(world->read.len, 4);
    hang_up(ssl);

    ssl = visit(world);
    shutdown(SSL_get_fd(ssl), SHUT_WR); /* no close_notify */
    AWAIT(world, world->closed == 2);
    assert_int_equal(world->reason, NET_CLOSED_BY_PEER);
    hang_up(ssl);
}

static void finishing_says_goodbye_and_waits(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    char byte[8];
    int n = 0;
    send_bytes(world, "bye", 3);
    net_conn_finish(world->conn);
    AWAIT(world, SSL_read(ssl, byte, sizeof byte) == 3);
    AWAIT(world, SSL_get_error(ssl, n = SSL_read(ssl, byte, sizeof byte)) == SSL_ERROR_ZERO_RETURN);
    turn(world);
    assert_int_equal(world->conn->state, NET_LINGERING);
    assert_int_equal(SSL_write(ssl, "more", 4),
                     4); /* is read and dropped, not answered by a reset */
    turn(world);
    assert_int_equal(world->closed, 0);
    hang_up(ssl);
    AWAIT(world, world->closed == 1);
    assert_int_equal(world->reason, NET_CLOSED_BY_US);
    assert_int_equal(world->read.len, 0);
}

static void who_speaks_no_tls_is_refused(void **state)
{
    static const char *const beginnings[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\xff",
                                             "SSH-2.0-OpenSSH_9.2\r\n", "\n"};
    struct world *world = *state;
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        int fd = dial(world);
        size_t len = strlen(beginnings[i]) < 5 ? 5 : strlen(beginnings[i]);
        char bytes[64] = {0};
        memcpy(bytes, beginnings[i], strlen(beginnings[i]));
        assert_int_equal(write(fd, bytes, len), len);
        AWAIT(world, world->closed == i + 1);
        assert_int_equal(world->reason, NET_CLOSED_ERROR);
        assert_int_equal(handshakes(world, NET_TLS_REFUSED), i + 1);
        close(fd);
    }
    assert_int_equal(handshakes(world, NET_TLS_ABANDONED), 0);
    assert_int_equal(world->read.len, 0);
}

static void who_leaves_in_the_handshake_has_abandoned_it(void **state)
{
    struct world *world = *state;
    int fd = dial(world); /* says nothing */
    AWAIT(world, world->accepted == 1);
    close(fd);
    AWAIT(world, world->closed == 1);
    fd = dial(world); /* begins */
    assert_int_equal(write(fd, "\x16\x03\x01\x00\xf0\x01", 6), 6);
    AWAIT(world, world->accepted == 2);
    turn(world);
    close(fd);
    AWAIT(world, world->closed == 2);
    fd = dial(world); /* has to be told */
    AWAIT(world, world->accepted == 3);
    net_conn_finish(world->conn);
    AWAIT(world, world->closed == 3);
    close(fd);
    assert_int_equal(handshakes(world, NET_TLS_ABANDONED), 3);
    assert_int_equal(handshakes(world, NET_TLS_REFUSED), 0);
}

static void what_is_sent_during_the_handshake_waits_for_its_end(void **state)
{
    struct world *world = *state;
    SSL *ssl = SSL_new(world->clients);
    SSL_set_fd(ssl, dial(world));
    char bytes[8];
    AWAIT(world, world->conn);
    send_bytes(world, "early", 5);
    AWAIT(world, SSL_connect(ssl) == 1);
    AWAIT(world, SSL_read(ssl, bytes, sizeof bytes) == 5);
    assert_memory_equal(bytes, "early", 5);
    hang_up(ssl);
}

static void a_new_context_is_for_new_connections(void **state)
{
    struct world *world = *state;
    SSL *old = visit(world);
    struct net_conn *old_conn = world->conn;
    struct tls_context *renewed = context("b.crt", "b.key");
    net_server_set_tls(world->server, renewed);
    tls_context_unref(renewed);
    SSL *fresh = visit(world);
    X509 *before = SSL_get1_peer_certificate(old), *after = SSL_get1_peer_certificate(fresh);
    assert_int_not_equal(X509_cmp(before, after), 0);
    X509_free(before);
    X509_free(after);
    world->conn = old_conn;
    send_bytes(world, "still here", 10);
    char bytes[16];
    AWAIT(world, SSL_read(old, bytes, sizeof bytes) == 10);
    hang_up(old);
    hang_up(fresh);
    AWAIT(world, world->closed == 2);

    net_server_set_tls(world->server, NULL);
    int plain = dial(world);
    assert_int_equal(write(plain, "plain", 5), 5);
    AWAIT(world, world->read.len == 5);
    close(plain);
}

static void a_session_is_resumed(void **state)
{
    struct world *world = *state;
    SSL *ssl = visit(world);
    char byte;
    send_bytes(world, "x", 1);
    AWAIT(world, SSL_read(ssl, &byte, 1) == 1); /* behind the ticket */
    SSL_SESSION *session = SSL_get1_session(ssl);
    hang_up(ssl);
    ssl = shake_hands(world, session);
    AWAIT(world, handshakes(world, NET_TLS_RESUMED) == 1);
    assert_int_equal(handshakes(world, NET_TLS_FULL), 1);
    SSL_SESSION_free(session);
    hang_up(ssl);
}

static void come_and_go(struct world *world, int times)
{
    for (int i = 0; i < times; i++) {
        SSL *ssl = i % 4 ? visit(world) : NULL;
        int fd = ssl ? -1 : dial(world);
        AWAIT(world, world->conn);
        if (i % 4 == 1) {
            net_conn_close(world->conn, NET_CLOSED_BY_US);
        }
        if (ssl) {
            hang_up(ssl);
        } else {
            close(fd);
        }
        AWAIT(world, !world->conn);
        turn(world);
    }
}

enum { VISITS = 400, SMALLEST_LEAK = 32, ROUNDS = 10 };

static size_t left_by_visits(struct world *world)
{
    size_t before = mallinfo2().uordblks;
    come_and_go(world, VISITS);
    size_t after = mallinfo2().uordblks;
    return after > before ? after - before : 0;
}

/* What malloc keeps for itself, and OpenSSL's caches, grow ever less; a leak goes on. */
static void nothing_is_left_of_those_who_came_and_went(void **state)
{
    struct world *world = *state;
    unsigned round = 0;
    while (left_by_visits(world) >= VISITS * SMALLEST_LEAK) {
        assert_true(++round < ROUNDS);
    }
    assert_int_equal(net_server_stats(world->server)->connections, 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_request_right_behind_the_handshake_is_read),
        TEST(what_is_sent_in_a_turn_is_one_record),
        TEST(a_slow_reader_gets_everything_in_the_end),
        TEST(a_peer_that_never_reads_is_closed_as_slow),
        TEST(much_input_arrives_whole),
        TEST(the_end_of_the_peer_is_told),
        TEST(finishing_says_goodbye_and_waits),
        TEST(who_speaks_no_tls_is_refused),
        TEST(who_leaves_in_the_handshake_has_abandoned_it),
        TEST(what_is_sent_during_the_handshake_waits_for_its_end),
        TEST(a_new_context_is_for_new_connections),
        TEST(a_session_is_resumed),
        TEST(nothing_is_left_of_those_who_came_and_went),
    };
    return cmocka_run_group_tests(tests, certificates_make, certificates_remove);
}

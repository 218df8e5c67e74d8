/* A link whose peer is no Redis, and a link without memory. */
#include "redis/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "redis/replies.h"
#include "redis_peer.h"
#include "util/clock.h"

/* Takes one connection, says its words and then its refrain until the other side has had enough. */
struct impostor {
    int listener;
    uint16_t port;
    struct str words, refrain;
    size_t sent;
    pthread_t thread;
};

static bool send_all(struct impostor *impostor, int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        impostor->sent += (size_t)n;
        bytes = str_skip(bytes, (size_t)n);
    }
    return true;
}

static void *impersonate(void *context)
{
    struct impostor *impostor = context;
    char byte;
    int fd = accept(impostor->listener, NULL, NULL);
    bool open = send_all(impostor, fd, impostor->words);
    while (open && impostor->refrain.len > 0) {
        open = send_all(impostor, fd, impostor->refrain);
    }
    while (open && recv(fd, &byte, 1, 0) > 0) {
    }
    close(fd);
    return NULL;
}

static void impostor_start(struct impostor *impostor, struct str words, struct str refrain)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *impostor = (struct impostor){.words = words, .refrain = refrain};
    impostor->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(impostor->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(impostor->listener, 1), 0);
    assert_int_equal(getsockname(impostor->listener, (struct sockaddr *)&address, &len), 0);
    impostor->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&impostor->thread, NULL, impersonate, impostor), 0);
}

static void impostor_stop(struct impostor *impostor)
{
    pthread_join(impostor->thread, NULL);
    close(impostor->listener);
}

static struct redis_link_options options_for(uint16_t port)
{
    struct redis_server server = {.port = port};
    struct redis_link_options options = redis_peer_options(&server);
    options.reconnect = false;
    options.connect_timeout_ms = 20000;
    return options;
}

/* The link goes down with this word, and the impostor sent no more than so much. Returns the error.
 */
static enum err expect_down(struct str words, struct str refrain, const char *why, size_t most)
{
    struct impostor impostor;
    impostor_start(&impostor, words, refrain);
    struct redis_link_options options = options_for(impostor.port);
    struct redis_peer peer;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    if (!strstr(peer.why, why)) {
        fail_msg("\"%s\" instead of \"%s\"", peer.why, why);
    }
    redis_peer_close(&peer);
    impostor_stop(&impostor);
    assert_true(impostor.sent <= most);
    return peer.last_err;
}

enum { MEBIBYTE = 1024 * 1024, IN_SOCKETS_MAX = 16 * MEBIBYTE };

static struct str noise(void)
{
    static char bytes[MEBIBYTE];
    memset(bytes, 'x', sizeof bytes);
    return (struct str){bytes, sizeof bytes};
}

static void test_another_protocol(void **state)
{
    (void)state;
    expect_down(STR("HTTP/1.1 400 Bad Request\r\n\r\n"), STR(""), "not a Redis we understand",
                IN_SOCKETS_MAX);
    expect_down(STR("\x15\x03\x03"), STR(""), "not a Redis we understand", IN_SOCKETS_MAX);
}

static void test_endless_string(void **state)
{
    (void)state;
    struct mallinfo2 before = mallinfo2();
    expect_down(STR("$536870912\r\n"), noise(), "a reply is too large",
                REDIS_REPLY_BYTES_MAX + IN_SOCKETS_MAX);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks + after.hblkhd < before.uordblks + before.hblkhd + MEBIBYTE);
}

static void test_endless_line(void **state)
{
    (void)state;
    expect_down(STR("-ERR "), noise(), "a line is too long", IN_SOCKETS_MAX);
}

static void test_endless_array(void **state)
{
    (void)state;
    expect_down(STR("*2147483647\r\n"), STR(":1\r\n"), "too many elements", IN_SOCKETS_MAX);
}

static void test_answers_that_nobody_asked_for(void **state)
{
    (void)state;
    expect_down(STR("+OK\r\n+OK\r\n+OK\r\n*1\r\n$6\r\nmaster\r\n+OK\r\n"), STR(""),
                "Redis answered what was not asked", IN_SOCKETS_MAX);
}

static void test_a_full_server_says_so(void **state)
{
    (void)state;
    enum err err = expect_down(STR("-ERR max number of clients reached\r\n"), STR(""),
                               "PING refused: ERR max number of clients reached", IN_SOCKETS_MAX);
    assert_int_equal(err, ERR_DENIED);
}

static void test_a_loading_server_is_worth_waiting_for(void **state)
{
    (void)state;
    enum err err = expect_down(STR("-LOADING Redis is loading the dataset in memory\r\n"), STR(""),
                               "PING refused: LOADING", IN_SOCKETS_MAX);
    assert_int_equal(err, ERR_AGAIN);
}

static void test_silence_while_connecting(void **state)
{
    (void)state;
    struct impostor impostor;
    impostor_start(&impostor, STR(""), STR(""));
    struct redis_link_options options = options_for(impostor.port);
    options.connect_timeout_ms = 100;
    struct redis_peer peer;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_non_null(strstr(peer.why, ": timed out"));
    assert_int_equal(peer.last_err, ERR_TIMEOUT);
    redis_peer_close(&peer);
    impostor_stop(&impostor);
}

/* A peer that speaks no TLS. */
static void test_tls_with_a_plain_peer(void **state)
{
    (void)state;
    struct impostor impostor;
    impostor_start(&impostor, STR("-ERR what\r\n"), STR(""));
    struct redis_link_options options = options_for(impostor.port);
    options.tls = true;
    struct redis_peer peer;
    redis_peer_open(&peer, &options);
    PUMP_UNTIL(peer.loop, peer.downs == 1);
    assert_string_equal(peer.why, "TLS: wrong version number");
    redis_peer_close(&peer);
    impostor_stop(&impostor);
}

/* --- Without memory --- */

struct scene {
    struct redis_server *server;
    const char *host;
};

/* A reply for which there was no memory costs the connection: then the command is CLOSED. */
static void ask_once(struct redis_peer *peer)
{
    PUMP_UNTIL(peer->loop, redis_link_state(peer->link) == REDIS_LINK_UP);
    unsigned before = peer->answers + peer->closed;
    enum err err = redis_peer_tell(peer, "PING");
    if (err) {
        assert_int_equal(err, ERR_NOMEM);
        return;
    }
    PUMP_UNTIL(peer->loop, peer->answers + peer->closed > before);
}

/* Whatever fails is told, and the link works as soon as there is memory again. */
static void connect_and_ask(void *context)
{
    struct scene *scene = context;
    struct redis_peer peer;
    struct redis_link_options options = redis_peer_options(scene->server);
    options.host = scene->host;
    peer = (struct redis_peer){.options = options};
    peer.loop = loop_new();
    if (!peer.loop) {
        return;
    }
    peer.link = redis_link_new(peer.loop, &peer.options, &redis_peer_ops, &peer);
    if (peer.link) {
        while (peer.answers == 0) {
            ask_once(&peer);
        }
        assert_int_equal(redis_link_pending(peer.link), 0);
    }
    redis_peer_close(&peer);
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    struct redis_server server;
    redis_server_start(&server, NULL, false);
    struct scene scene = {&server, "127.0.0.1"};
    failing_alloc_each(connect_and_ask, &scene);
    scene.host = "localhost";
    failing_alloc_each(connect_and_ask, &scene);
    redis_server_stop(&server);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_protocol),
        cmocka_unit_test(test_endless_string),
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_endless_array),
        cmocka_unit_test(test_answers_that_nobody_asked_for),
        cmocka_unit_test(test_a_full_server_says_so),
        cmocka_unit_test(test_a_loading_server_is_worth_waiting_for),
        cmocka_unit_test(test_silence_while_connecting),
        cmocka_unit_test(test_tls_with_a_plain_peer),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

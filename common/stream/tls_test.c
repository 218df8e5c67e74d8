#include "stream/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/tls-test-XXXXXX";

static const char *file(const char *name)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_certificates(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    char script[1024];
    snprintf(script, sizeof script,
             "cd '%s' && exec 2>log && for n in a b; do openssl req -x509 -newkey ec"
             " -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$n"
             " -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout $n.key -out $n.crt"
             " || exit 1; done",
             folder);
    return system(script);
}

static int remove_certificates(void **state)
{
    (void)state;
    char script[64];
    snprintf(script, sizeof script, "rm -rf '%s'", folder);
    return system(script);
}

struct pair {
    struct stream server, client;
};

static struct tls_context *context(const struct tls_options *options)
{
    struct tls_context *made = NULL;
    struct buf complaint;
    buf_init(&complaint, 0);
    if (tls_context_new(options, &made, &complaint)) {
        fail_msg(STR_FMT, STR_ARG(buf_str(&complaint)));
    }
    buf_fini(&complaint);
    return made;
}

/* Server "a"; the client trusts `ca` and expects `name`. */
static void pair_open(struct pair *pair, const char *ca, const char *name)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct tls_options server = {NULL, file("a.crt"), file("a.key"), true};
    struct tls_options client = {.ca_file = file(ca)};
    struct tls_context *contexts[] = {context(&server), context(&client)};
    assert_int_equal(stream_init_tls_server(&pair->server, fds[0], contexts[0]), OK);
    assert_int_equal(stream_init_tls_client(&pair->client, fds[1], contexts[1], name), OK);
    tls_context_unref(contexts[0]);
    tls_context_unref(contexts[1]);
}

/* Both sides in turns, until neither waits; the client's verdict. */
static enum err shake_hands(struct pair *pair, enum err *ret_server)
{
    enum err client = ERR_AGAIN, server = ERR_AGAIN;
    for (int i = 0; i < 20 && (client == ERR_AGAIN || server == ERR_AGAIN); i++) {
        client = client == ERR_AGAIN ? stream_handshake(&pair->client) : client;
        server = server == ERR_AGAIN ? stream_handshake(&pair->server) : server;
    }
    *ret_server = server;
    return client;
}

static void pair_open_up(struct pair *pair)
{
    enum err server;
    pair_open(pair, "a.crt", "localhost");
    assert_int_equal(shake_hands(pair, &server), OK);
    assert_int_equal(server, OK);
}

static void pair_close(struct pair *pair)
{
    stream_close(&pair->client);
    stream_close(&pair->client);
    stream_close(&pair->server);
}

static void test_bytes_of_several_parts_arrive_in_order(void **state)
{
    (void)state;
    struct pair pair;
    pair_open_up(&pair);
    struct iovec parts[] = {
        {(char *)"one ", 4}, {(char *)"", 0}, {(char *)"two ", 4}, {(char *)"three", 5}};
    size_t n = 0;
    assert_int_equal(stream_send(&pair.client, parts, 4, &n), OK);
    assert_int_equal(n, 13);
    char bytes[32];
    assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), OK);
    assert_int_equal(n, 13); /* one record */
    assert_memory_equal(bytes, "one two three", 13);
    assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), ERR_AGAIN);
    assert_false(pair.server.wants_write);
    pair_close(&pair);
}

static size_t read_some(struct pair *pair, unsigned char *next)
{
    unsigned char bytes[10000];
    size_t n = 0;
    if (stream_recv(&pair->server, bytes, sizeof bytes, &n)) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(bytes[i], (*next)++);
    }
    return n;
}

/* Sends from memory that is gone afterwards; adds what was sent to *SENT. */
static enum err send_a_copy(struct stream *stream, const unsigned char *bytes, size_t len,
                            unsigned part_count, size_t *sent)
{
    unsigned char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    struct iovec parts[3] = {{copy, len}};
    int count = 1;
    if (part_count == 3 && len > 2000) {
        parts[0].iov_len = 700;
        parts[1] = (struct iovec){copy + 700, 1300};
        parts[2] = (struct iovec){copy + 2000, len - 2000};
        count = 3;
    }
    size_t n = 0;
    enum err err = stream_send(stream, parts, count, &n);
    *sent += n;
    free(copy);
    return err;
}

/* More than the socket holds, from a queue whose memory moves between the attempts. */
static void send_much(unsigned part_count)
{
    enum { LEN = 3 * 1024 * 1024 };
    struct pair pair;
    pair_open_up(&pair);
    unsigned char *bytes = malloc(LEN);
    assert_non_null(bytes);
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = (unsigned char)i;
    }
    size_t sent = 0, received = 0;
    unsigned again = 0;
    unsigned char next = 0;
    while (received < LEN) {
        if (sent < LEN) {
            enum err err = send_a_copy(&pair.client, bytes + sent, LEN - sent, part_count, &sent);
            assert_true(err == OK || (err == ERR_AGAIN && pair.client.wants_write));
            again += err == ERR_AGAIN;
        }
        received += read_some(&pair, &next);
    }
    assert_int_equal(sent, LEN);
    assert_true(again > 0);
    free(bytes);
    pair_close(&pair);
}

static void test_a_full_socket_is_again(void **state)
{
    (void)state;
    send_much(1);
    send_much(3);
}

static void test_orderly_end_and_a_vanished_peer(void **state)
{
    (void)state;
    struct pair pair;
    char byte;
    size_t n;
    pair_open_up(&pair);
    stream_close(&pair.client);
    assert_int_equal(stream_recv(&pair.server, &byte, 1, &n), ERR_CLOSED);
    struct iovec part = {&byte, 1};
    enum err err = OK;
    for (int i = 0; i < 3 && !err; i++) {
        err = stream_send(&pair.server, &part, 1, &n);
    }
    assert_int_equal(err, ERR_CLOSED); /* and no SIGPIPE */
    pair_close(&pair);

    pair_open_up(&pair);
    shutdown(pair.client.fd, SHUT_RDWR); /* no close_notify */
    assert_int_equal(stream_recv(&pair.server, &byte, 1, &n), ERR_CLOSED);
    pair_close(&pair);
}

static void expect_refusal(const char *ca, const char *name, const char *why)
{
    struct pair pair;
    enum err server;
    pair_open(&pair, ca, name);
    assert_int_equal(shake_hands(&pair, &server), ERR_PROTO);
    assert_string_equal(stream_tls_why(&pair.client), why);
    assert_int_not_equal(server, OK);
    pair_close(&pair);
}

static void test_certificates_are_verified(void **state)
{
    (void)state;
    expect_refusal("b.crt", "localhost", "self-signed certificate");
    expect_refusal("a.crt", "elsewhere.example", "hostname mismatch");
    expect_refusal("a.crt", "127.0.0.2", "IP address mismatch");
    struct pair pair;
    enum err server;
    pair_open(&pair, "a.crt", "127.0.0.1");
    assert_int_equal(shake_hands(&pair, &server), OK);
    pair_close(&pair);
}

static void expect_complaint(struct tls_options options, const char *about)
{
    struct tls_context *made = NULL;
    struct buf complaint;
    buf_init(&complaint, 0);
    assert_int_equal(tls_context_new(&options, &made, &complaint), ERR_INVALID);
    assert_non_null(strstr(buf_cstr(&complaint), about));
    assert_null(made);
    buf_fini(&complaint);
}

static void test_complaints_name_the_file(void **state)
{
    (void)state;
    expect_complaint((struct tls_options){"/nonexistent/ca", NULL, NULL, false}, "/nonexistent/ca");
    expect_complaint((struct tls_options){NULL, "/nonexistent/cert", NULL, true},
                     "certificate /non");
    expect_complaint((struct tls_options){NULL, file("a.crt"), file("b.key"), true}, "b.key");
}

static void test_garbage_ends_the_handshake(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct tls_options options = {NULL, file("a.crt"), file("a.key"), true};
    struct tls_context *made = context(&options);
    struct stream stream;
    assert_int_equal(stream_init_tls_server(&stream, fds[0], made), OK);
    tls_context_unref(made);
    assert_int_equal(stream_handshake(&stream), ERR_AGAIN);
    assert_int_equal(write(fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_int_equal(stream_handshake(&stream), ERR_PROTO);
    assert_string_equal(stream_tls_why(&stream), "http request");
    stream_close(&stream);
    close(fds[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_several_parts_arrive_in_order),
        cmocka_unit_test(test_a_full_socket_is_again),
        cmocka_unit_test(test_orderly_end_and_a_vanished_peer),
        cmocka_unit_test(test_certificates_are_verified),
        cmocka_unit_test(test_complaints_name_the_file),
        cmocka_unit_test(test_garbage_ends_the_handshake),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}

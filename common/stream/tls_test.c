#include "stream/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "certificates.h"

/* Keys that are wrong for certificate "a", each in its own way. */
static int make_files(void **state)
{
    if (certificates_make(state)) {
        return -1;
    }
    char script[512];
    snprintf(script, sizeof script,
             "cd \"$(dirname '%s')\" && exec 2>log && openssl genrsa -out rsa.key 2048 &&"
             " openssl pkey -in a.key -aes256 -passout pass:word -out secret.key &&"
             " cp a.key locked.key && chmod 0 locked.key",
             certificates_file("a.key"));
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

static struct tls_options server_options(const char *name)
{
    static char cert[64], key[64], base[16];
    snprintf(base, sizeof base, "%s.crt", name);
    snprintf(cert, sizeof cert, "%s", certificates_file(base));
    snprintf(base, sizeof base, "%s.key", name);
    snprintf(key, sizeof key, "%s", certificates_file(base));
    return (struct tls_options){
        .cert_file = cert, .key_file = key, .server = true, .protocol = "http/1.1"};
}

/* Server "a", without a client of ours; the other end of its socket. */
static int server_open(struct stream *server)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct tls_options options = server_options("a");
    struct tls_context *made = context(&options);
    assert_int_equal(stream_init_tls_server(server, fds[0], made), OK);
    tls_context_unref(made);
    return fds[1];
}

/* Server "a"; the client trusts `ca` and expects `name`. */
static void pair_open(struct pair *pair, const char *ca, const char *name)
{
    int fd = server_open(&pair->server);
    struct tls_options options = {.ca_file = certificates_file(ca)};
    struct tls_context *made = context(&options);
    assert_int_equal(stream_init_tls_client(&pair->client, fd, made, name), OK);
    tls_context_unref(made);
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
    if (!strstr(buf_cstr(&complaint), about)) {
        fail_msg("%s", buf_cstr(&complaint));
    }
    assert_null(made);
    buf_fini(&complaint);
}

static void test_complaints_name_the_file(void **state)
{
    (void)state;
    expect_complaint((struct tls_options){.ca_file = "/nonexistent/ca"},
                     "CA file /nonexistent/ca: No such file or directory");
    expect_complaint((struct tls_options){.cert_file = "/nonexistent/cert", .server = true},
                     "certificate /nonexistent/cert: No such file or directory");
    struct tls_options options = server_options("a");
    options.key_file = "/nonexistent/key";
    expect_complaint(options, "private key /nonexistent/key: No such file or directory");
    options.key_file = "/";
    expect_complaint(options, "private key /: ");
}

static void test_complaints_say_what_would_be_right(void **state)
{
    (void)state;
    struct tls_options options = server_options("a");
    options.key_file = certificates_file("b.key");
    expect_complaint(options, "b.key: it does not belong to the certificate");
    options.key_file = certificates_file("rsa.key");
    expect_complaint(options, "rsa.key: it does not belong to the certificate");
    options.key_file = certificates_file("secret.key");
    expect_complaint(options, "secret.key: it has a pass phrase");
    options.key_file = certificates_file("a.crt");
    expect_complaint(options, "a.crt: nothing of the kind is in it; expected PEM");
    options = server_options("a");
    options.cert_file = certificates_file("log");
    expect_complaint(options, "log: nothing of the kind is in it; expected PEM");
}

static void test_a_file_that_may_not_be_read(void **state)
{
    (void)state;
    struct tls_options options = server_options("a");
    options.key_file = certificates_file("locked.key");
    if (access(options.key_file, R_OK) == 0) {
        skip(); /* root may read everything */
    }
    expect_complaint(options, "Permission denied; the user that this runs as");
}

static void test_garbage_ends_the_handshake(void **state)
{
    (void)state;
    struct stream stream;
    int client = server_open(&stream);
    assert_int_equal(stream_handshake(&stream), ERR_AGAIN);
    assert_int_equal(write(client, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_int_equal(stream_handshake(&stream), ERR_PROTO);
    assert_string_equal(stream_tls_why(&stream), "http request");
    stream_close(&stream);
    close(client);
}

/* --- As a server of many clients --- */

static void test_what_is_left_behind_is_told(void **state)
{
    (void)state;
    struct pair pair;
    pair_open_up(&pair);
    char bytes[8];
    size_t n;
    struct iovec part = {(char *)"0123456789", 10};
    assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), ERR_AGAIN);
    assert_true(pair.server.drained);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stream_send(&pair.client, &part, 1, &n), OK);
    }
    for (int i = 0; i < 4; i++) { /* 8, 2 of the one record, 8, 2 of the other */
        assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), OK);
        assert_int_equal(n, i % 2 ? 2 : 8);
        assert_int_equal(pair.server.drained, i == 3);
    }
    pair_close(&pair);
}

static void test_bytes_behind_the_handshake_are_there(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, "a.crt", "localhost");
    struct iovec part = {(char *)"hello", 5};
    size_t n;
    char bytes[8];
    assert_int_equal(stream_handshake(&pair.client), ERR_AGAIN);
    assert_int_equal(stream_handshake(&pair.server), ERR_AGAIN);
    assert_int_equal(stream_handshake(&pair.client), OK);
    assert_int_equal(stream_send(&pair.client, &part, 1, &n), OK);
    assert_int_equal(stream_handshake(&pair.server), OK);
    assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), OK);
    assert_int_equal(n, 5);
    pair_close(&pair);
}

static void test_whoever_has_finished_still_hears(void **state)
{
    (void)state;
    struct pair pair;
    char bytes[8];
    size_t n;
    pair_open_up(&pair);
    assert_int_equal(stream_finish(&pair.server), OK);
    assert_int_equal(stream_recv(&pair.client, bytes, sizeof bytes, &n), ERR_CLOSED);
    struct iovec part = {(char *)"last", 4};
    assert_int_equal(stream_send(&pair.client, &part, 1, &n), OK);
    assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), OK);
    assert_int_equal(n, 4);
    stream_close(&pair.client);
    assert_int_equal(stream_recv(&pair.server, bytes, sizeof bytes, &n), ERR_CLOSED);
    pair_close(&pair);
}

static void test_a_silent_client_takes_no_memory(void **state)
{
    (void)state;
    struct stream stream;
    int client = server_open(&stream);
    size_t before = mallinfo2().uordblks;
    assert_int_equal(stream_handshake(&stream), ERR_AGAIN);
    assert_false(stream.wants_write);
    assert_int_equal(mallinfo2().uordblks, before);
    close(client);
    assert_int_equal(stream_handshake(&stream), ERR_CLOSED);
    stream_close(&stream);
}

/* A client of OpenSSL alone, on a server's context. */
struct visit {
    SSL *ssl;
    struct stream server;
};

static void visit(struct visit *visit, SSL_CTX *client, struct tls_context *server,
                  SSL_SESSION *session)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(stream_init_tls_server(&visit->server, fds[0], server), OK);
    visit->ssl = SSL_new(client);
    assert_int_equal(SSL_set_fd(visit->ssl, fds[1]), 1);
    if (session) {
        assert_int_equal(SSL_set_session(visit->ssl, session), 1);
    }
    SSL_set_connect_state(visit->ssl);
    enum err err = ERR_AGAIN;
    char byte;
    for (int i = 0; i < 10 && err == ERR_AGAIN; i++) {
        SSL_do_handshake(visit->ssl);
        err = stream_handshake(&visit->server);
    }
    SSL_read(visit->ssl, &byte, 1); /* the ticket */
}

static void leave(struct visit *visit)
{
    int fd = SSL_get_fd(visit->ssl);
    SSL_shutdown(visit->ssl);
    SSL_free(visit->ssl);
    close(fd);
    stream_close(&visit->server);
}

static void test_sessions_are_resumed_across_contexts(void **state)
{
    (void)state;
    static const unsigned char secret[TLS_TICKET_SECRET_LEN] = "the workers'", other[32] = "other";
    struct tls_options options = server_options("a");
    options.ticket_secret = secret;
    struct tls_context *first = context(&options), *same = context(&options);
    options = server_options("b");
    options.ticket_secret = secret;
    struct tls_context *renewed = context(&options);
    options = server_options("a");
    options.ticket_secret = other;
    struct tls_context *stranger = context(&options);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct visit visitor;
    visit(&visitor, client, first, NULL);
    assert_false(stream_tls_resumed(&visitor.server));
    SSL_SESSION *session = SSL_get1_session(visitor.ssl);
    leave(&visitor);
    struct tls_context *contexts[] = {first, same, renewed, stranger};
    for (int i = 0; i < 4; i++) {
        visit(&visitor, client, contexts[i], session);
        assert_int_equal(stream_tls_resumed(&visitor.server), i < 2);
        leave(&visitor);
        tls_context_unref(contexts[i]);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
}

static void expect_protocol(const char *offered, unsigned len, const char *chosen)
{
    struct tls_options options = server_options("a");
    struct tls_context *server = context(&options);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(client, (const unsigned char *)offered, len);
    struct visit visitor;
    visit(&visitor, client, server, NULL);
    const unsigned char *name = NULL;
    unsigned name_len = 0;
    SSL_get0_alpn_selected(visitor.ssl, &name, &name_len);
    assert_int_equal(SSL_is_init_finished(visitor.ssl), chosen != NULL);
    assert_int_equal(name_len, chosen ? strlen(chosen) : 0);
    assert_memory_equal(name, chosen, name_len);
    leave(&visitor);
    SSL_CTX_free(client);
    tls_context_unref(server);
}

static void test_only_http_1_1_is_chosen(void **state)
{
    (void)state;
    expect_protocol("\x02h2\x08http/1.1", 12, "http/1.1");
    expect_protocol("\x08http/1.1", 9, "http/1.1");
    expect_protocol("", 0, ""); /* not asked */
    expect_protocol("\x02h2", 3, NULL);
}

static void test_old_versions_and_weak_suites_are_refused(void **state)
{
    (void)state;
    struct tls_options options = server_options("a");
    struct tls_context *server = context(&options);
    static const struct {
        int version;
        const char *suites;
        bool good;
    } clients[] = {{TLS1_1_VERSION, "ALL:@SECLEVEL=0", false},
                   {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false},
                   {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true},
                   {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true},
                   {TLS1_3_VERSION, NULL, true}};
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        SSL_CTX *client = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(client, clients[i].version);
        SSL_CTX_set_max_proto_version(client, clients[i].version);
        assert_true(!clients[i].suites || SSL_CTX_set_cipher_list(client, clients[i].suites));
        struct visit visitor;
        visit(&visitor, client, server, NULL);
        assert_int_equal(SSL_is_init_finished(visitor.ssl), clients[i].good);
        leave(&visitor);
        SSL_CTX_free(client);
    }
    tls_context_unref(server);
}

static void test_when_the_certificate_ends(void **state)
{
    (void)state;
    struct tls_options options = server_options("a");
    struct tls_context *server = context(&options);
    int64_t left = tls_context_expires(server) - (int64_t)time(NULL);
    assert_in_range(left, 2 * 86400 - 600, 2 * 86400);
    tls_context_unref(server);
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
        cmocka_unit_test(test_complaints_say_what_would_be_right),
        cmocka_unit_test(test_a_file_that_may_not_be_read),
        cmocka_unit_test(test_garbage_ends_the_handshake),
        cmocka_unit_test(test_what_is_left_behind_is_told),
        cmocka_unit_test(test_bytes_behind_the_handshake_are_there),
        cmocka_unit_test(test_whoever_has_finished_still_hears),
        cmocka_unit_test(test_a_silent_client_takes_no_memory),
        cmocka_unit_test(test_sessions_are_resumed_across_contexts),
        cmocka_unit_test(test_only_http_1_1_is_chosen),
        cmocka_unit_test(test_old_versions_and_weak_suites_are_refused),
        cmocka_unit_test(test_when_the_certificate_ends),
    };
    return cmocka_run_group_tests(tests, make_files, certificates_remove);
}

#include "stream/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream/tls_private.h"

struct session {
    SSL *ssl; /* of a server's stream NULL until the client has sent something */
    struct tls_context *context;
    const char *why; /* OpenSSL's word for the fatal error: static text */
    int fd;
    bool broken; /* OpenSSL forbids a goodbye after a fatal error */
    bool filled; /* the last read from the descriptor left no room: it may have more */
};

/* --- The descriptor under OpenSSL --- */

static struct session *session_under(BIO *bio)
{
    return BIO_get_data(bio);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int socket_write(BIO *bio, const char *bytes, int len)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = send(session_under(bio)->fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && would_block()) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static int socket_read(BIO *bio, char *bytes, int cap)
{
    BIO_clear_retry_flags(bio);
    struct session *session = session_under(bio);
    ssize_t n = recv(session->fd, bytes, (size_t)cap, MSG_DONTWAIT);
    session->filled = n == cap;
    if (n < 0 && would_block()) {
        BIO_set_retry_read(bio);
    }
    return (int)n;
}

static long socket_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_socket_method(void)
{
    /* Without an index of its own: OpenSSL has only 127 of them, and contexts come and go. */
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
    if (!method || !BIO_meth_set_write(method, socket_write) ||
        !BIO_meth_set_read(method, socket_read) || !BIO_meth_set_ctrl(method, socket_ctrl)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* --- The stream --- */

static struct session *session_of(const struct stream *stream)
{
    return stream->tls;
}

static const char *refusal(SSL *ssl)
{
    long verdict = SSL_get_verify_result(ssl);
    return verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : tls_last_reason();
}

/* What OpenSSL's answer means; the error queue is this operation's alone. */
static enum err outcome(struct stream *stream, int answer)
{
    struct session *session = session_of(stream);
    int saved = errno;
    switch (SSL_get_error(session->ssl, answer)) {
    case SSL_ERROR_WANT_READ:
        stream->wants_write = false;
        return ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        stream->wants_write = true;
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_CLOSED;
    case SSL_ERROR_SYSCALL:
        session->broken = true;
        errno = saved;
        return saved == 0 || saved == EPIPE || saved == ECONNRESET ? ERR_CLOSED : ERR_IO;
    default:
        session->broken = true;
        session->why = refusal(session->ssl);
        errno = EPROTO;
        return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                   ? ERR_CLOSED
                   : ERR_IO;
    }
}

static void begin(void)
{
    ERR_clear_error();
    errno = 0;
}

static enum err tls_recv(struct stream *stream, void *bytes, size_t cap, size_t *ret_len)
{
    struct session *session = session_of(stream);
    begin();
    size_t len = 0;
    int answer = SSL_read_ex(session->ssl, bytes, cap, &len);
    stream->drained = !session->filled && !SSL_has_pending(session->ssl);
    if (answer != 1) {
        return outcome(stream, answer);
    }
    *ret_len = len;
    return OK;
}

/* One record, or less where the socket is full. */
static enum err write_record(struct stream *stream, const void *bytes, size_t len, size_t *ret_len)
{
    begin();
    int answer = SSL_write_ex(session_of(stream)->ssl, bytes, len, ret_len);
    return answer == 1 ? OK : outcome(stream, answer);
}

/* Copies up to a record of what stands behind the first `skip` bytes of the parts. */
static size_t gather(const struct iovec *parts, int count, size_t skip, char *record)
{
    size_t len = 0;
    for (int i = 0; i < count && len < TLS_RECORD_MAX; i++) {
        size_t have = parts[i].iov_len;
        if (skip >= have) {
            skip -= have;
            continue;
        }
        size_t n = have - skip < TLS_RECORD_MAX - len ? have - skip : TLS_RECORD_MAX - len;
        memcpy(record + len, (const char *)parts[i].iov_base + skip, n);
        len += n;
        skip = 0;
    }
    return len;
}

static enum err send_gathered(struct stream *stream, const struct iovec *parts, int count,
                              size_t *sent)
{
    char record[TLS_RECORD_MAX];
    for (;;) {
        size_t len = gather(parts, count, *sent, record);
        size_t n = 0;
        if (len == 0) {
            return OK;
        }
        enum err err = write_record(stream, record, len, &n);
        if (err) {
            return err;
        }
        *sent += n;
    }
}

static enum err send_one(struct stream *stream, const struct iovec *part, size_t *sent)
{
    while (*sent < part->iov_len) {
        size_t n = 0;
        enum err err =
            write_record(stream, (char *)part->iov_base + *sent, part->iov_len - *sent, &n);
        if (err) {
            return err;
        }
        *sent += n;
    }
    return OK;
}

static enum err tls_send(struct stream *stream, const struct iovec *parts, int count,
                         size_t *ret_len)
{
    size_t sent = 0;
    enum err err =
        count == 1 ? send_one(stream, parts, &sent) : send_gathered(stream, parts, count, &sent);
    if (err && (sent == 0 || err != ERR_AGAIN)) {
        return err; /* after a failure nobody needs to know how far it went */
    }
    *ret_len = sent;
    return OK;
}

static enum err attach(struct session *session)
{
    session->ssl = SSL_new(session->context->ssl);
    BIO *bio = BIO_new(session->context->socket);
    if (!session->ssl || !bio) {
        BIO_free(bio);
        return ERR_NOMEM;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    return OK;
}

/* The client speaks first; until it does, it costs no more than plain TCP. */
static enum err await_client(struct stream *stream)
{
    char byte;
    ssize_t n = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && would_block()) {
        stream->wants_write = false;
        return ERR_AGAIN;
    }
    if (n <= 0) {
        return n == 0 || errno == ECONNRESET ? ERR_CLOSED : ERR_IO;
    }
    struct session *session = session_of(stream);
    enum err err = attach(session);
    if (!err) {
        SSL_set_accept_state(session->ssl);
    }
    return err;
}

static enum err tls_handshake(struct stream *stream)
{
    struct session *session = session_of(stream);
    enum err err = session->ssl ? OK : await_client(stream);
    if (err) {
        return err;
    }
    begin();
    int answer = SSL_do_handshake(session->ssl);
    if (answer == 1) {
        return OK;
    }
    err = outcome(stream, answer);
    return err == ERR_IO && errno == EPROTO ? ERR_PROTO : err;
}

static void session_free(struct session *session)
{
    SSL_free(session->ssl);
    tls_context_unref(session->context);
    free(session);
}

static void say_goodbye(struct session *session)
{
    if (session->ssl && !session->broken && SSL_is_init_finished(session->ssl) &&
        !(SSL_get_shutdown(session->ssl) & SSL_SENT_SHUTDOWN)) {
        begin();
        (void)SSL_shutdown(session->ssl);
    }
    ERR_clear_error();
}

static enum err tls_finish(struct stream *stream)
{
    say_goodbye(session_of(stream));
    return shutdown(stream->fd, SHUT_WR) == 0 ? OK : ERR_IO;
}

static void tls_close(struct stream *stream)
{
    struct session *session = session_of(stream);
    say_goodbye(session);
    session_free(session);
    stream->tls = NULL;
    close(stream->fd);
}

static const struct stream_ops tls_ops = {tls_recv, tls_send, tls_handshake, tls_finish, tls_close};

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* RFC 6066 section 3 has no addresses in the server name indication. */
static enum err expect(SSL *ssl, const char *server_name)
{
    if (is_address(server_name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name) ? OK : ERR_INVALID;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, server_name) && SSL_set_tlsext_host_name(ssl, server_name)
               ? OK
               : ERR_INVALID;
}

static struct session *session_new(struct tls_context *context, int fd)
{
    struct session *session = calloc(1, sizeof *session);
    if (session) {
        session->context = tls_context_ref(context);
        session->fd = fd;
    }
    return session;
}

enum err stream_init_tls_client(struct stream *stream, int fd, struct tls_context *context,
                                const char *server_name)
{
    struct session *session = session_new(context, fd);
    if (!session) {
        close(fd);
        return ERR_NOMEM;
    }
    enum err err = attach(session);
    if (!err) {
        SSL_set_connect_state(session->ssl);
        err = expect(session->ssl, server_name);
    }
    if (err) {
        session_free(session);
        close(fd);
        return err;
    }
    *stream = (struct stream){.ops = &tls_ops, .tls = session, .fd = fd};
    return OK;
}

enum err stream_init_tls_server(struct stream *stream, int fd, struct tls_context *context)
{
    struct session *session = session_new(context, fd);
    if (!session) {
        close(fd);
        return ERR_NOMEM;
    }
    *stream = (struct stream){.ops = &tls_ops, .tls = session, .fd = fd};
    return OK;
}

const char *stream_tls_why(const struct stream *stream)
{
    const struct session *session = stream->tls;
    return session && session->why ? session->why : "the peer broke off";
}

bool stream_tls_resumed(const struct stream *stream)
{
    return SSL_session_reused(session_of(stream)->ssl);
}

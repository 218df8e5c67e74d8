#include "stream/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The payload of one TLS record: small parts are gathered up to it. */
enum { RECORD_MAX = 16 * 1024 };

struct tls_context {
    unsigned refs;
    SSL_CTX *ssl;
    BIO_METHOD *socket; /* bytes in and out of a descriptor, without SIGPIPE */
};

struct session {
    SSL *ssl;
    struct tls_context *context;
    const char *why; /* OpenSSL's word for the fatal error: static text */
    bool broken;     /* OpenSSL forbids a goodbye after a fatal error */
};

/* --- The descriptor under OpenSSL --- */

static int descriptor(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int socket_write(BIO *bio, const char *bytes, int len)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = send(descriptor(bio), bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && would_block()) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static int socket_read(BIO *bio, char *bytes, int cap)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = recv(descriptor(bio), bytes, (size_t)cap, MSG_DONTWAIT);
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

static BIO_METHOD *socket_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!method || !BIO_meth_set_write(method, socket_write) ||
        !BIO_meth_set_read(method, socket_read) || !BIO_meth_set_ctrl(method, socket_ctrl)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* --- The context --- */

static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown reason";
}

static enum err complain(struct buf *complaint, const char *what, const char *file)
{
    enum err err =
        buf_printf(complaint, "TLS: cannot use the %s %s: %s", what, file, last_reason());
    return err == ERR_NOMEM ? ERR_NOMEM : ERR_INVALID;
}

static enum err load_authorities(SSL_CTX *ssl, const struct tls_options *options,
                                 struct buf *complaint)
{
    if (options->ca_file) {
        return SSL_CTX_load_verify_file(ssl, options->ca_file)
                   ? OK
                   : complain(complaint, "CA file", options->ca_file);
    }
    if (!options->server && !SSL_CTX_set_default_verify_paths(ssl)) {
        return complain(complaint, "CAs", "of the system");
    }
    return OK;
}

static enum err load_certificate(SSL_CTX *ssl, const struct tls_options *options,
                                 struct buf *complaint)
{
    if (!options->cert_file) {
        return OK;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, options->cert_file) != 1) {
        return complain(complaint, "certificate", options->cert_file);
    }
    const char *key = options->key_file ? options->key_file : options->cert_file;
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1) {
        return complain(complaint, "private key", key);
    }
    return OK;
}

static void set_modes(SSL_CTX *ssl, const struct tls_options *options)
{
    /* The owner's queue may move between two attempts to send the same bytes. */
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    int verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    if (options->server && !options->ca_file) {
        verify = SSL_VERIFY_NONE;
    }
    SSL_CTX_set_verify(ssl, verify, NULL);
}

enum err tls_context_new(const struct tls_options *options, struct tls_context **ret_context,
                         struct buf *complaint)
{
    ERR_clear_error();
    struct tls_context *context = calloc(1, sizeof *context);
    if (!context) {
        return ERR_NOMEM;
    }
    context->refs = 1;
    context->socket = socket_method();
    context->ssl = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    enum err err = ERR_NOMEM;
    if (!context->socket || !context->ssl ||
        !SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION)) {
        goto err_free;
    }
    set_modes(context->ssl, options);
    err = load_authorities(context->ssl, options, complaint);
    if (!err) {
        err = load_certificate(context->ssl, options, complaint);
    }
    if (!err) {
        *ret_context = context;
        return OK;
    }
err_free:
    ERR_clear_error();
    tls_context_unref(context);
    return err;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || --context->refs > 0) {
        return;
    }
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->socket);
    free(context);
}

/* --- The stream --- */

static struct session *session_of(const struct stream *stream)
{
    return stream->tls;
}

static const char *refusal(SSL *ssl)
{
    long verdict = SSL_get_verify_result(ssl);
    return verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : last_reason();
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
    begin();
    size_t len = 0;
    int answer = SSL_read_ex(session_of(stream)->ssl, bytes, cap, &len);
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
    for (int i = 0; i < count && len < RECORD_MAX; i++) {
        size_t have = parts[i].iov_len;
        if (skip >= have) {
            skip -= have;
            continue;
        }
        size_t n = have - skip < RECORD_MAX - len ? have - skip : RECORD_MAX - len;
        memcpy(record + len, (const char *)parts[i].iov_base + skip, n);
        len += n;
        skip = 0;
    }
    return len;
}

static enum err send_gathered(struct stream *stream, const struct iovec *parts, int count,
                              size_t *sent)
{
    char record[RECORD_MAX];
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

static enum err tls_handshake(struct stream *stream)
{
    begin();
    int answer = SSL_do_handshake(session_of(stream)->ssl);
    if (answer == 1) {
        return OK;
    }
    enum err err = outcome(stream, answer);
    return err == ERR_IO && errno == EPROTO ? ERR_PROTO : err;
}

static void session_free(struct session *session)
{
    SSL_free(session->ssl);
    tls_context_unref(session->context);
    free(session);
}

static void tls_close(struct stream *stream)
{
    struct session *session = session_of(stream);
    if (!session->broken && SSL_is_init_finished(session->ssl)) {
        begin();
        (void)SSL_shutdown(session->ssl);
    }
    ERR_clear_error();
    session_free(session);
    stream->tls = NULL;
    close(stream->fd);
}

static const struct stream_ops tls_ops = {tls_recv, tls_send, tls_handshake, tls_close};

static enum err attach(struct session *session, int fd)
{
    session->ssl = SSL_new(session->context->ssl);
    BIO *bio = BIO_new(session->context->socket);
    if (!session->ssl || !bio) {
        BIO_free(bio);
        return ERR_NOMEM;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    return OK;
}

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

/* Client with a server name, server without. */
static enum err init_tls(struct stream *stream, int fd, struct tls_context *context,
                         const char *server_name)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session) {
        close(fd);
        return ERR_NOMEM;
    }
    context->refs++;
    session->context = context;
    enum err err = attach(session, fd);
    if (!err && server_name) {
        SSL_set_connect_state(session->ssl);
        err = expect(session->ssl, server_name);
    } else if (!err) {
        SSL_set_accept_state(session->ssl);
    }
    if (err) {
        session_free(session);
        close(fd);
        return err;
    }
    *stream = (struct stream){.ops = &tls_ops, .tls = session, .fd = fd};
    return OK;
}

enum err stream_init_tls_client(struct stream *stream, int fd, struct tls_context *context,
                                const char *server_name)
{
    return init_tls(stream, fd, context, server_name);
}

enum err stream_init_tls_server(struct stream *stream, int fd, struct tls_context *context)
{
    return init_tls(stream, fd, context, NULL);
}

const char *stream_tls_why(const struct stream *stream)
{
    const struct session *session = stream->tls;
    return session && session->why ? session->why : "the peer broke off";
}

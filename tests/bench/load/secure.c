#include "secure.h"

#include <errno.h>
#include <openssl/err.h>

SSL_CTX *secure_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context != NULL) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_read_ahead(context, 1);
    }
    return context;
}

SSL *secure_new(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (ssl != NULL) {
        SSL_set_connect_state(ssl);
    }
    return ssl;
}

enum err secure_handshake(SSL *ssl)
{
    ERR_clear_error();
    int answer = SSL_do_handshake(ssl);
    if (answer == 1) {
        return OK;
    }
    return SSL_get_error(ssl, answer) == SSL_ERROR_WANT_READ ? ERR_AGAIN : ERR_PROTO;
}

ssize_t secure_recv(SSL *ssl, void *bytes, size_t cap)
{
    size_t len = 0;
    ERR_clear_error();
    errno = 0;
    int answer = SSL_read_ex(ssl, bytes, cap, &len);
    if (answer == 1) {
        return (ssize_t)len;
    }
    switch (SSL_get_error(ssl, answer)) {
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = errno == 0 ? EPROTO : errno;
        return -1;
    }
}

bool secure_send(SSL *ssl, const void *bytes, size_t len)
{
    ERR_clear_error();
    return SSL_write(ssl, bytes, (int)len) == (int)len;
}

bool secure_pending(const SSL *ssl)
{
    return SSL_has_pending(ssl);
}

const char *secure_why(void)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    return why != NULL ? why : "TLS failed";
}

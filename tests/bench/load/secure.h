/*
 * A client's TLS, by OpenSSL: full handshakes always, and whatever certificate the server has,
 * since it is the bench's own. It costs some 15 KB a client beside what plain TCP does.
 */
#ifndef BENCH_SECURE_H
#define BENCH_SECURE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/attr.h"
#include "util/err.h"

/* NULL without memory. SSL_CTX_free takes it away. */
SSL_CTX *secure_context(void);
/* A client's side over a connected, non-blocking socket, which stays the caller's. Or NULL. */
SSL *secure_new(SSL_CTX *context, int fd);
/* OK when it is done, AGAIN, PROTO. */
MUST_CHECK enum err secure_handshake(SSL *ssl);
/* Like recv: 0 at the end, -1 with errno, which is EAGAIN also where only TLS' own has come. */
ssize_t secure_recv(SSL *ssl, void *bytes, size_t cap);
/* All or nothing: false is a failure. */
bool secure_send(SSL *ssl, const void *bytes, size_t len);
/* Whether more can be read although the socket may not show it. */
bool secure_pending(const SSL *ssl);
/* Why a call has failed: static text. */
const char *secure_why(void);

#endif

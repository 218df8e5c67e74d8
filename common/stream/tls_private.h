/* What the files of TLS know of each other. Not for other rooms. */
#ifndef STREAM_TLS_PRIVATE_H
#define STREAM_TLS_PRIVATE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "stream/tls.h"

/* The payload of one TLS record: small parts are gathered up to it. */
enum { TLS_RECORD_MAX = 16 * 1024, TLS_PROTOCOL_MAX = 32 };

struct tls_context {
    unsigned refs;
    SSL_CTX *ssl;
    BIO_METHOD *socket;                       /* bytes in and out of a descriptor: tls.c */
    unsigned char protocol[TLS_PROTOCOL_MAX]; /* as ALPN lists it: length, then name */
};

/* NULL without memory. */
BIO_METHOD *tls_socket_method(void);
/* OpenSSL's word for the last error: static text. */
const char *tls_last_reason(void);

#endif

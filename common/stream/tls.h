/*
 * TLS (OpenSSL 3, at least TLS 1.2) as a stream: the other value of stream.h's table.
 *
 * A context is shared by many streams and counted: each holds it until it closes. Bytes go through
 * send(2) with MSG_NOSIGNAL, so that a peer that went away raises no signal.
 *
 * A server's stream takes memory from the first byte of the client on: some 47 KB until hands are
 * shaken, then 14 KB, of which OpenSSL's own structs are nearly all; buffers only while bytes are
 * in them.
 */
#ifndef STREAM_TLS_H
#define STREAM_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "stream/stream.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct tls_context;

enum { TLS_TICKET_SECRET_LEN = 32 };

struct tls_options {
    const char *ca_file;   /* PEM, for clients, as servers ask for no certificate; NULL: system's */
    const char *cert_file; /* PEM chain, own certificate first; NULL: none */
    const char *key_file;  /* PEM; NULL: it stands in cert_file */
    bool server;
    /* What follows is for servers. */
    const char *protocol; /* what ALPN may choose, "http/1.1"; NULL: ALPN is not spoken */
    /*
     * Random bytes, TLS_TICKET_SECRET_LEN of them: contexts with the same ones and the same
     * certificate resume each other's sessions. NULL: each its own.
     */
    const unsigned char *ticket_secret;
};

/* INVALID, NOMEM: *complaint got one sentence that names the file and says what is wrong. */
MUST_CHECK enum err tls_context_new(const struct tls_options *options,
                                    struct tls_context **ret_context, struct buf *complaint);
/* One more reference. */
struct tls_context *tls_context_ref(struct tls_context *context);
/* Gives the caller's reference back. NULL is fine. */
void tls_context_unref(struct tls_context *context);
/* When its certificate ends, in seconds since 1970. */
int64_t tls_context_expires(const struct tls_context *context);

/*
 * Takes over a connected, non-blocking descriptor, on failure too (it is closed then). The peer's
 * certificate must be valid for `server_name` (a host name or a numeric address). NOMEM, INVALID.
 */
MUST_CHECK enum err stream_init_tls_client(struct stream *stream, int fd,
                                           struct tls_context *context, const char *server_name);
/* NOMEM. */
MUST_CHECK enum err stream_init_tls_server(struct stream *stream, int fd,
                                           struct tls_context *context);

/*
 * Why TLS failed, for a log line: "self-signed certificate in certificate chain". Static text, to
 * be read before the stream is closed.
 */
const char *stream_tls_why(const struct stream *stream);
/* After the handshake: whether it went on with an earlier session, without a signature. */
bool stream_tls_resumed(const struct stream *stream);

#endif

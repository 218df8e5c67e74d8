/*
 * A connected, non-blocking byte stream: plain TCP or TLS, two values of one table of functions.
 *
 * It keeps no bytes and registers no events; its owner watches the descriptor and calls again.
 * Nothing above asks whether it is TLS. Embedded in its owner, 24 bytes.
 */
#ifndef STREAM_STREAM_H
#define STREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "util/attr.h"
#include "util/err.h"

struct stream;

/* Each fails with AGAIN (call again when the descriptor is ready), CLOSED, or IO (errno is set). */
struct stream_ops {
    /*
     * Reads at most cap bytes. An orderly end is CLOSED. Whoever stops before AGAIN, and before
     * `drained`, comes back by itself: TLS may hold bytes that the descriptor no longer shows.
     */
    enum err (*recv)(struct stream *stream, void *bytes, size_t cap, size_t *ret_len);
    /*
     * Writes as much as goes at once, in one system call if it can; never raises SIGPIPE. Where
     * that is not all, the rest would be AGAIN: wants_write says for what to wait.
     */
    enum err (*send)(struct stream *stream, const struct iovec *parts, int count, size_t *ret_len);
    /* Goes on with the handshake; OK when it is done (for plain TCP at once). PROTO: refused. */
    enum err (*handshake)(struct stream *stream);
    /* Says that we send nothing more; the peer may. As far as that goes without waiting. IO. */
    enum err (*finish)(struct stream *stream);
    /* Says goodbye as far as that goes without waiting, and closes the descriptor. */
    void (*close)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    void *tls;        /* private to the TLS table */
    int fd;           /* -1 when closed */
    bool wants_write; /* the last AGAIN, or send that was cut short, waits for writability */
    bool drained;     /* the last recv took all that had come; false also where nobody knows */
};

/* Whether there is a handshake to wait for. */
static inline bool stream_is_tls(const struct stream *stream)
{
    return stream->tls != NULL;
}

/* Takes over a connected, non-blocking descriptor. */
void stream_init_plain(struct stream *stream, int fd);

static inline MUST_CHECK enum err stream_recv(struct stream *stream, void *bytes, size_t cap,
                                              size_t *ret_len)
{
    return stream->ops->recv(stream, bytes, cap, ret_len);
}

static inline MUST_CHECK enum err stream_send(struct stream *stream, const struct iovec *parts,
                                              int count, size_t *ret_len)
{
    return stream->ops->send(stream, parts, count, ret_len);
}

static inline MUST_CHECK enum err stream_handshake(struct stream *stream)
{
    return stream->ops->handshake(stream);
}

static inline MUST_CHECK enum err stream_finish(struct stream *stream)
{
    return stream->ops->finish(stream);
}

/* Idempotent. */
static inline void stream_close(struct stream *stream)
{
    if (stream->fd >= 0) {
        stream->ops->close(stream);
        stream->fd = -1;
    }
}

#endif

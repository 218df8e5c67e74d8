#include "stream/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum err result(struct stream *stream, ssize_t n, bool writing, size_t *ret_len)
{
    if (n >= 0) {
        *ret_len = (size_t)n;
        return OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        stream->wants_write = writing;
        return ERR_AGAIN;
    }
    return errno == EPIPE || errno == ECONNRESET ? ERR_CLOSED : ERR_IO;
}

static enum err plain_recv(struct stream *stream, void *bytes, size_t cap, size_t *ret_len)
{
    ssize_t n = recv(stream->fd, bytes, cap, MSG_DONTWAIT);
    stream->drained = n < (ssize_t)cap;
    return n == 0 && cap > 0 ? ERR_CLOSED : result(stream, n, false, ret_len);
}

static enum err plain_send(struct stream *stream, const struct iovec *parts, int count,
                           size_t *ret_len)
{
    ssize_t n;
    if (count == 1) {
        n = send(stream->fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
        n = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    stream->wants_write = true; /* whatever is left */
    return result(stream, n, true, ret_len);
}

static enum err plain_handshake(struct stream *stream)
{
    (void)stream;
    return OK;
}

static enum err plain_finish(struct stream *stream)
{
    return shutdown(stream->fd, SHUT_WR) == 0 ? OK : ERR_IO;
}

static void plain_close(struct stream *stream)
{
    close(stream->fd);
}

static const struct stream_ops plain_ops = {plain_recv, plain_send, plain_handshake, plain_finish,
                                            plain_close};

void stream_init_plain(struct stream *stream, int fd)
{
    *stream = (struct stream){.ops = &plain_ops, .fd = fd};
}

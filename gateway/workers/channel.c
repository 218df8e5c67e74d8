#include "workers/channel.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "ops/server.h"

struct channel {
    struct bufferevent *stream;
    const struct channel_ops *ops;
    void *owner;
    bool reading; /* on_read goes on, and frees what was closed meanwhile */
    bool closed;
};

static void destroy(struct channel *channel)
{
    if (channel->stream) {
        bufferevent_free(channel->stream);
    }
    free(channel);
}

/* Hands on the next frame that is whole. False: there is none, or the channel was closed. */
static bool take_frame(struct channel *channel)
{
    struct evbuffer *in = bufferevent_get_input(channel->stream);
    struct channel_frame frame;
    if (evbuffer_copyout(in, &frame, sizeof frame) < (ev_ssize_t)sizeof frame) {
        return false;
    }
    if (frame.len > OPS_ANSWER_MAX) {
        channel->ops->on_end(channel->owner);
        return false;
    }
    size_t whole = sizeof frame + frame.len;
    if (evbuffer_get_length(in) < whole) {
        return false;
    }
    const unsigned char *bytes = evbuffer_pullup(in, (ev_ssize_t)whole);
    if (!bytes) {
        channel->ops->on_end(channel->owner);
        return false;
    }
    channel->ops->on_frame(channel->owner, &frame,
                           (struct str){(const char *)bytes + sizeof frame, frame.len});
    if (!channel->closed) {
        evbuffer_drain(in, whole);
    }
    return !channel->closed;
}

static void on_read(struct bufferevent *stream, void *arg)
{
    struct channel *channel = arg;
    (void)stream;
    channel->reading = true;
    while (take_frame(channel)) {
    }
    channel->reading = false;
    if (channel->closed) {
        destroy(channel);
    }
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    struct channel *channel = arg;
    (void)stream;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        channel->ops->on_end(channel->owner);
    }
}

struct channel *channel_open(struct loop *loop, int fd, const struct channel_ops *ops, void *owner)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel || evutil_make_socket_nonblocking(fd) < 0) {
        free(channel);
        close(fd);
        return NULL;
    }
    *channel = (struct channel){.ops = ops, .owner = owner};
    channel->stream = bufferevent_socket_new(loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!channel->stream) {
        free(channel);
        close(fd);
        return NULL;
    }
    bufferevent_setcb(channel->stream, on_read, NULL, on_event, channel);
    if (bufferevent_enable(channel->stream, EV_READ | EV_WRITE) < 0) {
        destroy(channel);
        return NULL;
    }
    return channel;
}

void channel_close(struct channel *channel)
{
    if (!channel) {
        return;
    }
    channel->closed = true;
    if (!channel->reading) {
        destroy(channel);
    }
}

enum err channel_send(struct channel *channel, struct channel_frame frame, struct str body)
{
    struct evbuffer *whole = evbuffer_new();
    frame.len = (uint32_t)body.len;
    bool queued = whole && evbuffer_add(whole, &frame, sizeof frame) == 0 &&
                  (body.len == 0 || evbuffer_add(whole, body.ptr, body.len) == 0) &&
                  bufferevent_write_buffer(channel->stream, whole) == 0;
    if (whole) {
        evbuffer_free(whole);
    }
    return queued ? OK : ERR_NOMEM;
}

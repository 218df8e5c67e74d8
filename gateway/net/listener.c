#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "net/server.h"

enum {
    ACCEPTS_A_TURN = 64,
    SHORTAGE_PAUSE_MS = 100,
};

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void pause_accepting(struct net_listener *listener)
{
    for (size_t i = 0; i < listener->port.count; i++) {
        event_del(&listener->events[i]);
    }
    loop_timer_set(listener->loop, &listener->pause, SHORTAGE_PAUSE_MS);
    listener->ops->on_shortage(listener->owner);
}

static void resume_accepting(struct wheel_timer *timer)
{
    struct net_listener *listener = container_of(timer, struct net_listener, pause);
    for (size_t i = 0; i < listener->port.count; i++) {
        if (event_add(&listener->events[i], NULL)) {
            loop_timer_set(listener->loop, timer, SHORTAGE_PAUSE_MS);
        }
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct net_listener *listener = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_A_TURN && listener->port.count > 0; i++) {
        int socket = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            listener->ops->on_socket(listener->owner, socket);
        } else if (is_shortage(errno)) {
            pause_accepting(listener);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        /* Anything else is the end of that one connection before we had it: accept(2). */
    }
}

/* As many events as there are sockets; those that are not reached stay unwatched. */
static enum err watch(struct net_listener *listener)
{
    for (size_t i = 0; i < listener->port.count; i++) {
        event_assign(&listener->events[i], loop_base(listener->loop), listener->port.fds[i],
                     EV_READ | EV_PERSIST, on_readable, listener);
    }
    for (size_t i = 0; i < listener->port.count; i++) {
        if (event_add(&listener->events[i], NULL)) {
            return ERR_NOMEM;
        }
    }
    return OK;
}

enum err net_listener_open(struct net_listener *listener, struct loop *loop,
                           const struct net_server_options *options,
                           const struct net_listener_ops *ops, void *owner, struct buf *complaint)
{
    *listener = (struct net_listener){.loop = loop, .ops = ops, .owner = owner};
    wheel_timer_init(&listener->pause, resume_accepting);
    enum err err = net_port_listen(&listener->port, options, complaint);
    if (err) {
        return err;
    }
    err = watch(listener);
    if (err) {
        net_listener_close(listener);
    }
    return err;
}

void net_listener_close(struct net_listener *listener)
{
    loop_timer_cancel(listener->loop, &listener->pause);
    for (size_t i = 0; i < listener->port.count; i++) {
        event_del(&listener->events[i]);
    }
    net_port_close(&listener->port);
}

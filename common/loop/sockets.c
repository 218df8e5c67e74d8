#include "loop/sockets.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util/clock.h"

/* The share of time is overdrawn by what a batch costs, so it is not large. */
enum { BATCH = 32 };

struct loop_sockets {
    struct event event; /* a batch can be fetched */
    int epoll;
    uint64_t share_us;
    loop_sockets_fn on_ready;
};

static unsigned ready_of(uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) {
        return LOOP_READABLE | LOOP_WRITABLE | LOOP_ENDED; /* whatever is tried tells why */
    }
    unsigned ready = events & EPOLLIN ? LOOP_READABLE : 0;
    ready |= events & EPOLLOUT ? LOOP_WRITABLE : 0;
    return ready | (events & EPOLLRDHUP ? LOOP_READABLE | LOOP_ENDED : 0);
}

/* False: nobody is left. */
static bool tell_batch(struct loop_sockets *sockets)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(sockets->epoll, events, BATCH, 0); /* -1 where a signal came */
    for (int i = 0; i < count; i++) {
        sockets->on_ready(events[i].data.ptr, ready_of(events[i].events));
    }
    return count == BATCH;
}

static void on_batch(evutil_socket_t fd, short what, void *arg)
{
    struct loop_sockets *sockets = arg;
    uint64_t start = clock_monotonic_us();
    (void)fd;
    (void)what;
    while (tell_batch(sockets) && clock_monotonic_us() - start < sockets->share_us) {
    }
}

struct loop_sockets *loop_sockets_new(struct loop *loop, uint64_t share_us,
                                      loop_sockets_fn on_ready)
{
    struct loop_sockets *sockets = calloc(1, sizeof *sockets);
    if (!sockets) {
        return NULL;
    }
    sockets->share_us = share_us;
    sockets->on_ready = on_ready;
    sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (sockets->epoll < 0) {
        free(sockets);
        return NULL;
    }
    event_assign(&sockets->event, loop_base(loop), sockets->epoll, EV_READ | EV_PERSIST, on_batch,
                 sockets);
    if (event_add(&sockets->event, NULL)) {
        loop_sockets_free(sockets);
        return NULL;
    }
    return sockets;
}

void loop_sockets_free(struct loop_sockets *sockets)
{
    if (!sockets) {
        return;
    }
    event_del(&sockets->event);
    close(sockets->epoll);
    free(sockets);
}

static enum err control(struct loop_sockets *sockets, int operation, int fd, uint32_t events,
                        void *owner_of_socket)
{
    struct epoll_event event = {.events = events | EPOLLIN | EPOLLRDHUP | EPOLLET,
                                .data.ptr = owner_of_socket};
    return epoll_ctl(sockets->epoll, operation, fd, &event) ? ERR_IO : OK;
}

enum err loop_sockets_add(struct loop_sockets *sockets, int fd, void *owner_of_socket)
{
    return control(sockets, EPOLL_CTL_ADD, fd, 0, owner_of_socket) ? ERR_NOMEM : OK;
}

enum err loop_sockets_await_writable(struct loop_sockets *sockets, int fd, void *owner_of_socket)
{
    return control(sockets, EPOLL_CTL_MOD, fd, EPOLLOUT, owner_of_socket);
}

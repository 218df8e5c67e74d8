#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/server.h"

enum {
    ACCEPTS_A_TURN = 64,
    SHORTAGE_PAUSE_MS = 100,
    /* What the kernel takes of a peer that does not keep up; without it megabytes, where no bound
     * of ours sees them. */
    UNSENT_BYTES = 128 * 1024,
};

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void pause_accepting(struct net_listener *listener)
{
    for (size_t i = 0; i < listener->count; i++) {
        event_del(&listener->events[i]);
    }
    loop_timer_set(listener->loop, &listener->pause, SHORTAGE_PAUSE_MS);
    listener->ops->on_shortage(listener->owner);
}

static void resume_accepting(struct wheel_timer *timer)
{
    struct net_listener *listener = container_of(timer, struct net_listener, pause);
    for (size_t i = 0; i < listener->count; i++) {
        if (event_add(&listener->events[i], NULL)) {
            loop_timer_set(listener->loop, timer, SHORTAGE_PAUSE_MS);
        }
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct net_listener *listener = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_A_TURN && listener->count > 0; i++) {
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

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* Linux hands these on to the sockets it accepts, which spares the system calls for each. */
static bool set_options(int fd, int family, const struct net_server_options *options, bool dual)
{
    int timeout = options->stall_ms > INT32_MAX ? INT32_MAX : (int)options->stall_ms;
    return set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!options->reuse_port || set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (family != AF_INET6 || set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual)) &&
           set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
           set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES) &&
           set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout);
}

static void set_port(struct addrinfo *address, uint16_t port)
{
    /* Both families have the port at the same place. */
    ((struct sockaddr_in *)(void *)address->ai_addr)->sin_port = htons(port);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 name = {0};
    socklen_t len = sizeof name;
    return getsockname(fd, (struct sockaddr *)&name, &len) ? 0 : ntohs(name.sin6_port);
}

/* A listening socket, or -1 with errno. */
static int listen_on(struct addrinfo *address, const struct net_server_options *options, bool dual)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (!set_options(fd, address->ai_family, options, dual) ||
        bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, (int)options->backlog)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static enum err add(struct net_listener *listener, int fd)
{
    struct event *event = &listener->events[listener->count];
    event_assign(event, loop_base(listener->loop), fd, EV_READ | EV_PERSIST, on_readable, listener);
    if (event_add(event, NULL)) {
        close(fd);
        return ERR_NOMEM;
    }
    listener->count++;
    listener->port = port_of(fd);
    return OK;
}

static bool is_empty(const char *host)
{
    return !host || !*host;
}

/*
 * All addresses of the host as far as they can be bound; for no host at all the first that can,
 * which serves both families where the machine has IPv6.
 */
static enum err listen_on_all(struct net_listener *listener, struct addrinfo *addresses,
                              const struct net_server_options *options)
{
    bool all = is_empty(options->host);
    int error = 0;
    listener->port = options->port;
    for (struct addrinfo *at = addresses; at && listener->count < NET_LISTENERS; at = at->ai_next) {
        set_port(at, listener->port);
        int fd = listen_on(at, options, all);
        if (fd < 0) {
            error = errno;
            if (error == EADDRINUSE || error == EACCES) {
                break;
            }
            continue;
        }
        error = 0;
        enum err err = add(listener, fd);
        if (err) {
            return err;
        }
        if (all) {
            break;
        }
    }
    errno = error;
    return listener->count > 0 && error != EADDRINUSE && error != EACCES ? OK : ERR_IO;
}

static enum err resolve(const char *host, int family, struct addrinfo **ret_addresses,
                        struct buf *complaint)
{
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int error = getaddrinfo(is_empty(host) ? NULL : host, "0", &hints, ret_addresses);
    if (error) {
        enum err err = buf_printf(complaint, "cannot resolve %s: %s", is_empty(host) ? "*" : host,
                                  gai_strerror(error));
        return err ? err : ERR_IO;
    }
    return OK;
}

static enum err complain(const struct net_server_options *options, enum err err,
                         struct buf *complaint)
{
    const char *why = err == ERR_IO ? strerror(errno) : err_name(err);
    enum err error = buf_printf(complaint, "cannot listen on %s port %u: %s",
                                is_empty(options->host) ? "*" : options->host, options->port, why);
    return error ? error : err;
}

/* IPv6 first: its wildcard takes IPv4 too, the other one does not. */
static enum err open_families(struct net_listener *listener,
                              const struct net_server_options *options, struct buf *complaint)
{
    static const int wildcards[] = {AF_INET6, AF_INET}, any[] = {AF_UNSPEC};
    bool all = is_empty(options->host);
    const int *families = all ? wildcards : any;
    size_t count = all ? ARRAY_LEN(wildcards) : ARRAY_LEN(any);
    enum err err = ERR_IO;
    for (size_t i = 0; i < count && err == ERR_IO; i++) {
        struct addrinfo *addresses;
        err = resolve(options->host, families[i], &addresses, complaint);
        if (err) {
            continue;
        }
        err = listen_on_all(listener, addresses, options);
        int error = errno;
        freeaddrinfo(addresses);
        errno = error;
        if (err && (i + 1 == count || error == EADDRINUSE)) {
            return complain(options, err, complaint);
        }
    }
    return err;
}

enum err net_listener_open(struct net_listener *listener, struct loop *loop,
                           const struct net_server_options *options,
                           const struct net_listener_ops *ops, void *owner, struct buf *complaint)
{
    *listener = (struct net_listener){.loop = loop, .ops = ops, .owner = owner};
    wheel_timer_init(&listener->pause, resume_accepting);
    enum err err = open_families(listener, options, complaint);
    if (err) {
        net_listener_close(listener);
    }
    return err;
}

void net_listener_close(struct net_listener *listener)
{
    loop_timer_cancel(listener->loop, &listener->pause);
    for (size_t i = 0; i < listener->count; i++) {
        event_del(&listener->events[i]);
        close(event_get_fd(&listener->events[i]));
    }
    listener->count = 0;
}

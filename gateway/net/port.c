#include "net/port.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/server.h"

enum {
    /* What the kernel takes of a peer that does not keep up; without it megabytes, where no bound
     * of ours sees them. */
    UNSENT_BYTES = 128 * 1024,
    /* Least that there is: after it a silent peer is ours to count, bound and turn away. */
    SILENCE_SECONDS = 1,
};

static bool is_empty(const char *host)
{
    return !host || !*host;
}

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* Linux hands these on to the sockets it accepts, which spares the system calls for each. */
static bool set_options(int fd, int family, const struct net_server_options *options)
{
    int timeout = options->stall_ms > INT32_MAX ? INT32_MAX : (int)options->stall_ms;
    bool dual = is_empty(options->host);
    return set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!options->reuse_port || set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (family != AF_INET6 || set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual)) &&
           (!options->defer_accept ||
            set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, SILENCE_SECONDS)) &&
           set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
           set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES) &&
           set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout);
}

static void set_number(struct addrinfo *address, uint16_t number)
{
    /* Both families have the port at the same place. */
    ((struct sockaddr_in *)(void *)address->ai_addr)->sin_port = htons(number);
}

static uint16_t number_of(int fd)
{
    struct sockaddr_in6 name = {0};
    socklen_t len = sizeof name;
    return getsockname(fd, (struct sockaddr *)&name, &len) ? 0 : ntohs(name.sin6_port);
}

/* What becomes of a socket that is bound: false with errno. */
typedef bool (*finish_fn)(int fd, const struct net_server_options *options);

static bool finish_listening(int fd, const struct net_server_options *options)
{
    return listen(fd, (int)options->backlog) == 0;
}

/* Only now: set before, the port would be shared with whoever has it already. */
static bool finish_reserving(int fd, const struct net_server_options *options)
{
    (void)options;
    return set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

/* A bound socket, or -1 with errno. */
static int open_socket(const struct addrinfo *address, const struct net_server_options *options,
                       finish_fn finish)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (!set_options(fd, address->ai_family, options) ||
        bind(fd, address->ai_addr, address->ai_addrlen) || !finish(fd, options)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/*
 * All addresses of the host as far as they can be bound; for no host at all the first that can,
 * which serves both families where the machine has IPv6.
 */
static enum err open_addresses(struct net_port *port, struct addrinfo *addresses,
                               const struct net_server_options *options, finish_fn finish)
{
    int error = 0;
    port->number = options->port;
    for (struct addrinfo *at = addresses; at && port->count < NET_PORT_SOCKETS; at = at->ai_next) {
        set_number(at, port->number);
        int fd = open_socket(at, options, finish);
        if (fd < 0) {
            error = errno;
            if (error == EADDRINUSE || error == EACCES) {
                break;
            }
            continue;
        }
        error = 0;
        port->fds[port->count++] = fd;
        port->number = number_of(fd);
        if (is_empty(options->host)) {
            break;
        }
    }
    errno = error;
    return port->count > 0 && error != EADDRINUSE && error != EACCES ? OK : ERR_IO;
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
static enum err open_families(struct net_port *port, const struct net_server_options *options,
                              finish_fn finish, struct buf *complaint)
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
        err = open_addresses(port, addresses, options, finish);
        int error = errno;
        freeaddrinfo(addresses);
        errno = error;
        if (err && (i + 1 == count || error == EADDRINUSE)) {
            return complain(options, err, complaint);
        }
    }
    return err;
}

static enum err open_port(struct net_port *port, const struct net_server_options *options,
                          finish_fn finish, struct buf *complaint)
{
    *port = (struct net_port){0};
    enum err err = open_families(port, options, finish, complaint);
    if (err) {
        net_port_close(port);
    }
    return err;
}

enum err net_port_listen(struct net_port *port, const struct net_server_options *options,
                         struct buf *complaint)
{
    return open_port(port, options, finish_listening, complaint);
}

enum err net_port_reserve(struct net_port *port, const char *host, uint16_t number,
                          struct buf *complaint)
{
    struct net_server_options options = {.host = host, .port = number};
    return open_port(port, &options, finish_reserving, complaint);
}

void net_port_close(struct net_port *port)
{
    for (size_t i = 0; i < port->count; i++) {
        close(port->fds[i]);
    }
    port->count = 0;
}

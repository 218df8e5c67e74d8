#include "redis/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    KEEPALIVE_IDLE_S = 30,
    KEEPALIVE_INTERVAL_S = 10,
    KEEPALIVE_PROBES = 3,
    UNACKNOWLEDGED_MAX_MS = 30000,
};

static void try_next(struct redis_dial *dial);

/* A host that vanished without a word is noticed by the kernel, too. */
static void set_socket_options(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MAX_MS},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
    }
}

static void finish(struct redis_dial *dial, int fd)
{
    dial->fd = -1;
    redis_dial_cancel(dial);
    dial->done(dial->context, fd, dial->why);
}

static void abandon(struct redis_dial *dial)
{
    if (dial->fd >= 0) {
        event_del(&dial->ready);
        close(dial->fd);
        dial->fd = -1;
    }
    loop_timer_cancel(dial->loop, &dial->turn_over);
}

static void fail(struct redis_dial *dial, const char *why)
{
    abandon(dial);
    snprintf(dial->why, sizeof dial->why, "%s", why);
    try_next(dial);
}

static void on_connected(evutil_socket_t fd, short what, void *context)
{
    struct redis_dial *dial = context;
    (void)what;
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error) {
        fail(dial, strerror(error));
        return;
    }
    finish(dial, fd);
}

static void on_turn_over(struct wheel_timer *timer)
{
    struct redis_dial *dial = container_of(timer, struct redis_dial, turn_over);
    fail(dial, "timed out");
}

static uint64_t share_of_time(const struct redis_dial *dial)
{
    uint64_t now = loop_now(dial->loop), left = 0, addresses = 1;
    if (dial->deadline_ms > now) {
        left = dial->deadline_ms - now;
    }
    for (const struct addrinfo *at = dial->next; at; at = at->ai_next) {
        addresses++;
    }
    return left / addresses;
}

/* The attempt goes on in the background; false: it failed already, errno says how. */
static bool attempt(struct redis_dial *dial, const struct addrinfo *address)
{
    int type = address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(address->ai_family, type, address->ai_protocol);
    if (fd < 0) {
        return false;
    }
    set_socket_options(fd);
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    dial->fd = fd;
    event_assign(&dial->ready, loop_base(dial->loop), fd, EV_WRITE, on_connected, dial);
    if (event_add(&dial->ready, NULL) != 0) {
        abandon(dial);
        errno = ENOMEM;
        return false;
    }
    loop_timer_set(dial->loop, &dial->turn_over, share_of_time(dial));
    return true;
}

static void try_next(struct redis_dial *dial)
{
    while (dial->next) {
        const struct addrinfo *address = dial->next;
        dial->next = address->ai_next;
        if (attempt(dial, address)) {
            return;
        }
        snprintf(dial->why, sizeof dial->why, "%s", strerror(errno));
    }
    finish(dial, -1);
}

static void begin(struct redis_dial *dial, struct addrinfo *addresses)
{
    dial->addresses = dial->next = addresses;
    try_next(dial);
}

static void on_resolved(evutil_socket_t fd, short what, void *context)
{
    struct redis_dial *dial = context;
    (void)fd;
    (void)what;
    struct addrinfo *addresses = NULL;
    const char *why = "no address";
    enum err err = redis_resolve_take(dial->resolve, &addresses, &why);
    if (err == ERR_AGAIN) {
        return;
    }
    event_del(&dial->ready);
    redis_resolve_free(dial->resolve);
    dial->resolve = NULL;
    snprintf(dial->why, sizeof dial->why, "%s", why);
    begin(dial, addresses);
}

static bool watch_resolve(struct redis_dial *dial)
{
    event_assign(&dial->ready, loop_base(dial->loop), redis_resolve_fd(dial->resolve),
                 EV_READ | EV_PERSIST, on_resolved, dial);
    if (event_add(&dial->ready, NULL) == 0) {
        return true;
    }
    redis_resolve_free(dial->resolve);
    dial->resolve = NULL;
    return false;
}

void redis_dial_init(struct redis_dial *dial, struct loop *loop, redis_dial_fn done, void *context)
{
    *dial = (struct redis_dial){.loop = loop, .fd = -1, .done = done, .context = context};
    wheel_timer_init(&dial->turn_over, on_turn_over);
}

void redis_dial_start(struct redis_dial *dial, const char *host, uint64_t port, uint64_t timeout_ms)
{
    dial->deadline_ms = loop_now(dial->loop) + timeout_ms;
    struct addrinfo *addresses = NULL;
    enum err err = redis_resolve_numeric(host, port, &addresses);
    if (!err) {
        begin(dial, addresses);
        return;
    }
    if (err == ERR_INVALID) {
        err = redis_resolve_start(host, port, &dial->resolve);
    }
    if (err || !watch_resolve(dial)) {
        snprintf(dial->why, sizeof dial->why, "cannot look up the name: %s",
                 err == ERR_NOMEM ? "no memory" : "no thread");
        finish(dial, -1);
    }
}

void redis_dial_cancel(struct redis_dial *dial)
{
    if (dial->resolve) {
        event_del(&dial->ready);
        redis_resolve_free(dial->resolve);
        dial->resolve = NULL;
    }
    abandon(dial);
    if (dial->addresses) {
        freeaddrinfo(dial->addresses);
        dial->addresses = dial->next = NULL;
    }
}

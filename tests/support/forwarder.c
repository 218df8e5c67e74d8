#include "forwarder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_MS = 20 /* whether to stop */ };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void hang_up(struct forwarder *forwarder, unsigned i)
{
    close(forwarder->pairs[i][0]);
    close(forwarder->pairs[i][1]);
    forwarder->used--;
    memcpy(forwarder->pairs[i], forwarder->pairs[forwarder->used], sizeof forwarder->pairs[i]);
}

static void take(struct forwarder *forwarder)
{
    unsigned n = atomic_fetch_add(&forwarder->accepted, 1);
    struct sockaddr_in to =
        loopback(forwarder->ports[n < forwarder->count ? n : forwarder->count - 1]);
    int near = accept(forwarder->listener, NULL, NULL);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (near < 0 || far < 0 || forwarder->used == FORWARDER_PAIRS_MAX) {
        die("forwarder");
    }
    if (connect(far, (struct sockaddr *)&to, sizeof to) != 0) {
        close(near);
        close(far);
        return;
    }
    forwarder->pairs[forwarder->used][0] = near;
    forwarder->pairs[forwarder->used][1] = far;
    forwarder->used++;
}

static bool copy(int from, int to)
{
    char bytes[65536];
    ssize_t n = recv(from, bytes, sizeof bytes, 0);
    for (ssize_t done = 0, m; n > 0 && done < n; done += m) {
        m = send(to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (m <= 0) {
            return false;
        }
    }
    return n > 0;
}

static void serve(struct forwarder *forwarder, const struct pollfd *polled)
{
    for (unsigned i = forwarder->used; i-- > 0;) {
        const struct pollfd *near = &polled[2 * i], *far = &polled[2 * i + 1];
        if ((near->revents && !copy(near->fd, far->fd)) ||
            (far->revents && !copy(far->fd, near->fd))) {
            hang_up(forwarder, i);
        }
    }
}

static void *run(void *context)
{
    struct forwarder *forwarder = context;
    while (!atomic_load(&forwarder->stopping)) {
        struct pollfd polled[2 * FORWARDER_PAIRS_MAX + 1];
        for (unsigned i = 0; i < 2 * forwarder->used; i++) {
            polled[i] = (struct pollfd){forwarder->pairs[i / 2][i % 2], POLLIN, 0};
        }
        unsigned last = 2 * forwarder->used;
        polled[last] = (struct pollfd){forwarder->listener, POLLIN, 0};
        if (poll(polled, last + 1, LOOK_MS) > 0) {
            serve(forwarder, polled);
        }
        if (polled[last].revents) {
            take(forwarder);
        }
    }
    return NULL;
}

void forwarder_start(struct forwarder *forwarder, const uint16_t *ports, unsigned count)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    memset(forwarder, 0, sizeof *forwarder);
    memcpy(forwarder->ports, ports, count * sizeof *ports);
    forwarder->count = count;
    forwarder->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (forwarder->listener < 0 ||
        bind(forwarder->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(forwarder->listener, FORWARDER_PAIRS_MAX) != 0 ||
        getsockname(forwarder->listener, (struct sockaddr *)&address, &len) != 0) {
        die("forwarder");
    }
    forwarder->port = ntohs(address.sin_port);
    if (pthread_create(&forwarder->thread, NULL, run, forwarder) != 0) {
        die("forwarder");
    }
}

void forwarder_stop(struct forwarder *forwarder)
{
    atomic_store(&forwarder->stopping, true);
    pthread_join(forwarder->thread, NULL);
    while (forwarder->used > 0) {
        hang_up(forwarder, 0);
    }
    close(forwarder->listener);
}

unsigned forwarder_accepted(struct forwarder *forwarder)
{
    return atomic_load(&forwarder->accepted);
}

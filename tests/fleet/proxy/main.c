/*
 * A proxy that gives each request, not each connection, to the next server in turn: the worst that
 * a load balancer without stickiness does to sessions over several requests. Usage: see usage_text.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "util/attr.h"
#include "visitor.h"

static const char usage_text[] =
    "proxy FILE [PORT]\n"
    "Listens on 127.0.0.1, on PORT or any that is free, and says so on stdout. FILE lists the\n"
    "servers, host:port, one a line; read again on SIGHUP. On SIGUSR1 it prints a line of JSON:\n"
    "for each server how many requests it was sent, tunnels it opened, connections it refused and\n"
    "requests it left without an answer. SIGTERM ends it.\n";

enum { BACKLOG = 4096 };

struct proxy {
    struct event_base *base;
    struct backends backends;
    struct list visitors;
    struct evconnlistener *listener;
    struct event *signals[4];
};

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int len, void *arg)
{
    struct proxy *proxy = arg;
    (void)listener;
    (void)address;
    (void)len;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    visitor_open(&proxy->visitors, &proxy->backends, fd);
}

static void print_counts(const struct backends *backends)
{
    printf("{");
    for (unsigned i = 0; i < backends->count; i++) {
        const struct backend *one = &backends->each[i];
        printf("%s\"%s\":{\"listed\":%s,\"requests\":%llu,\"tunnels\":%llu,\"refused\":%llu,"
               "\"cut\":%llu}",
               i > 0 ? "," : "", one->name, one->listed ? "true" : "false",
               (unsigned long long)one->requests, (unsigned long long)one->tunnels,
               (unsigned long long)one->refused, (unsigned long long)one->cut);
    }
    printf("}\n");
    fflush(stdout);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct proxy *proxy = arg;
    (void)what;
    switch (number) {
    case SIGHUP:
        if (backends_load(&proxy->backends)) {
            printf("%u servers\n", backends_listed(&proxy->backends));
            fflush(stdout);
        }
        break;
    case SIGUSR1:
        print_counts(&proxy->backends);
        break;
    default:
        event_base_loopbreak(proxy->base);
    }
}

static bool watch_signals(struct proxy *proxy)
{
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGTERM, SIGINT};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        proxy->signals[i] = evsignal_new(proxy->base, numbers[i], on_signal, proxy);
        if (proxy->signals[i] == NULL || event_add(proxy->signals[i], NULL) != 0) {
            return false;
        }
    }
    return signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

static bool listen_on(struct proxy *proxy, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy->listener =
        evconnlistener_new_bind(proxy->base, on_accept, proxy,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                BACKLOG, (struct sockaddr *)&address, sizeof address);
    socklen_t len = sizeof address;
    if (proxy->listener == NULL ||
        getsockname(evconnlistener_get_fd(proxy->listener), (struct sockaddr *)&address, &len)) {
        perror("listen");
        return false;
    }
    printf("listening on port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    return true;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool run(struct proxy *proxy, const char *path, unsigned port)
{
    proxy->base = event_base_new();
    if (proxy->base == NULL) {
        return false;
    }
    backends_init(&proxy->backends, proxy->base, path);
    return backends_load(&proxy->backends) && watch_signals(proxy) && listen_on(proxy, port) &&
           event_base_dispatch(proxy->base) >= 0;
}

static void stop(struct proxy *proxy)
{
    for (size_t i = 0; i < ARRAY_LEN(proxy->signals); i++) {
        if (proxy->signals[i] != NULL) {
            event_free(proxy->signals[i]);
        }
    }
    if (proxy->listener != NULL) {
        evconnlistener_free(proxy->listener);
    }
    visitors_close(&proxy->visitors);
    backends_fini(&proxy->backends);
    if (proxy->base != NULL) {
        event_base_free(proxy->base);
    }
}

int main(int argc, char **argv)
{
    static struct proxy proxy;
    list_init(&proxy.visitors);
    if (argc < 2 || argc > 3 || argv[1][0] == '-') {
        fputs(usage_text, stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
    }
    raise_file_limit();
    bool fine = run(&proxy, argv[1], argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0);
    stop(&proxy);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

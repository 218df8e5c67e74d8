#include "backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <netinet/tcp.h>

#include "address.h"
#include "util/attr.h"

struct idle {
    struct list node;
    struct bufferevent *connection;
};

uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void backends_init(struct backends *backends, struct event_base *base, const char *path)
{
    *backends = (struct backends){.base = base, .path = path};
}

static void idle_free(struct idle *idle, bool close)
{
    list_remove(&idle->node);
    if (close) {
        bufferevent_free(idle->connection);
    }
    free(idle);
}

static void backend_drop_idle(struct backend *backend)
{
    while (!list_empty(&backend->idle)) {
        idle_free(container_of(backend->idle.next, struct idle, node), true);
    }
}

void backends_fini(struct backends *backends)
{
    for (unsigned i = 0; i < backends->count; i++) {
        backend_drop_idle(&backends->each[i]);
    }
}

static struct backend *find(struct backends *backends, const char *name)
{
    for (unsigned i = 0; i < backends->count; i++) {
        if (strcmp(backends->each[i].name, name) == 0) {
            return &backends->each[i];
        }
    }
    return NULL;
}

/* Places are never given back: a request under way points to its own. */
static struct backend *add(struct backends *backends, const char *name)
{
    struct sockaddr_in address;
    if (!address_parse(name, &address)) {
        fprintf(stderr, "%s: not an address like 127.0.0.1:3000: %s\n", backends->path, name);
        return NULL;
    }
    if (backends->count == BACKENDS_MAX) {
        fprintf(stderr, "%s: more than %d servers\n", backends->path, BACKENDS_MAX);
        return NULL;
    }
    struct backend *backend = &backends->each[backends->count++];
    *backend = (struct backend){.address = address};
    snprintf(backend->name, sizeof backend->name, "%s", name);
    list_init(&backend->idle);
    return backend;
}

static bool read_names(struct backends *backends, FILE *file, bool listed[BACKENDS_MAX])
{
    char line[BACKEND_NAME_SIZE];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        struct backend *backend = find(backends, line);
        backend = backend != NULL ? backend : add(backends, line);
        if (backend == NULL) {
            return false;
        }
        listed[backend - backends->each] = true;
    }
    return true;
}

bool backends_load(struct backends *backends)
{
    bool listed[BACKENDS_MAX] = {false};
    FILE *file = fopen(backends->path, "r");
    if (file == NULL) {
        perror(backends->path);
        return false;
    }
    bool good = read_names(backends, file, listed);
    fclose(file);
    for (unsigned i = 0; good && i < backends->count; i++) {
        struct backend *backend = &backends->each[i];
        backend->listed = listed[i];
        backend->rests_till = 0;
        if (!backend->listed) {
            backend_drop_idle(backend);
        }
    }
    return good;
}

unsigned backends_listed(const struct backends *backends)
{
    unsigned listed = 0;
    for (unsigned i = 0; i < backends->count; i++) {
        listed += backends->each[i].listed;
    }
    return listed;
}

struct backend *backends_next(struct backends *backends)
{
    uint64_t now = now_ms();
    struct backend *resting = NULL;
    for (unsigned i = 0; i < backends->count; i++) {
        unsigned at = (backends->next + i) % backends->count;
        struct backend *backend = &backends->each[at];
        if (backend->listed && backend->rests_till <= now) {
            backends->next = at + 1;
            return backend;
        }
        resting = backend->listed && resting == NULL ? backend : resting;
    }
    if (resting != NULL) {
        backends->next = (unsigned)(resting - backends->each) + 1;
    }
    return resting;
}

void backend_rest(struct backend *backend)
{
    backend->refused++;
    backend->rests_till = now_ms() + BACKEND_REST_MS;
    backend_drop_idle(backend);
}

static struct bufferevent *new_connection(struct backends *backends, struct backend *backend)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        perror("socket");
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct bufferevent *connection =
        bufferevent_socket_new(backends->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (connection == NULL) {
        close(fd);
        return NULL;
    }
    if (bufferevent_socket_connect(connection, (struct sockaddr *)&backend->address,
                                   sizeof backend->address) != 0) {
        bufferevent_free(connection);
        return NULL;
    }
    return connection;
}

struct bufferevent *backend_connection(struct backends *backends, struct backend *backend,
                                       bool *kept)
{
    *kept = !list_empty(&backend->idle);
    if (!*kept) {
        return new_connection(backends, backend);
    }
    struct idle *idle = container_of(backend->idle.prev, struct idle, node);
    struct bufferevent *connection = idle->connection;
    idle_free(idle, false);
    return connection;
}

/* A kept connection that says anything is over. */
static void on_idle_read(struct bufferevent *connection, void *arg)
{
    (void)connection;
    idle_free(arg, true);
}

static void on_idle_event(struct bufferevent *connection, short what, void *arg)
{
    (void)connection;
    (void)what;
    idle_free(arg, true);
}

void backend_keep(struct backend *backend, struct bufferevent *connection)
{
    struct idle *idle = backend->listed ? malloc(sizeof *idle) : NULL;
    if (idle == NULL) {
        bufferevent_free(connection);
        return;
    }
    *idle = (struct idle){.connection = connection};
    list_init(&idle->node);
    list_push_back(&backend->idle, &idle->node);
    bufferevent_setcb(connection, on_idle_read, NULL, on_idle_event, idle);
}

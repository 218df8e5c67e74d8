#include "redis/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Shared by the loop and the thread; whoever lets go last frees it. */
struct redis_resolve {
    atomic_int refs;
    int done; /* an eventfd: the thread's last word, which also publishes the fields below */
    int code; /* of getaddrinfo */
    struct addrinfo *addresses;
    char port[8];
    char host[];
};

static int look_up(const char *host, const char *port, int flags, struct addrinfo **addresses)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | flags,
    };
    return getaddrinfo(host, port, &hints, addresses);
}

static void unref(struct redis_resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->refs, 1) > 1) {
        return;
    }
    if (resolve->addresses) {
        freeaddrinfo(resolve->addresses);
    }
    close(resolve->done);
    free(resolve);
}

static void *work(void *context)
{
    struct redis_resolve *resolve = context;
    resolve->code = look_up(resolve->host, resolve->port, 0, &resolve->addresses);
    eventfd_write(resolve->done, 1);
    unref(resolve);
    return NULL;
}

/* Detached, and deaf to the signals of the program. */
static bool start_thread(struct redis_resolve *resolve)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    bool started = pthread_create(&thread, &attributes, work, resolve) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

enum err redis_resolve_start(const char *host, uint64_t port, struct redis_resolve **ret_resolve)
{
    struct redis_resolve *resolve = calloc(1, sizeof *resolve + strlen(host) + 1);
    if (!resolve) {
        return ERR_NOMEM;
    }
    memcpy(resolve->host, host, strlen(host) + 1);
    snprintf(resolve->port, sizeof resolve->port, "%u", (unsigned)(uint16_t)port);
    resolve->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolve->done < 0) {
        free(resolve);
        return ERR_IO;
    }
    atomic_init(&resolve->refs, 2);
    if (!start_thread(resolve)) {
        atomic_store(&resolve->refs, 1);
        unref(resolve);
        return ERR_IO;
    }
    *ret_resolve = resolve;
    return OK;
}

int redis_resolve_fd(const struct redis_resolve *resolve)
{
    return resolve->done;
}

enum err redis_resolve_take(struct redis_resolve *resolve, struct addrinfo **ret_addresses,
                            const char **ret_why)
{
    eventfd_t ready;
    if (eventfd_read(resolve->done, &ready) != 0) {
        return ERR_AGAIN;
    }
    if (resolve->code != 0) {
        *ret_why = gai_strerror(resolve->code);
        return ERR_IO;
    }
    *ret_addresses = resolve->addresses;
    resolve->addresses = NULL;
    return OK;
}

void redis_resolve_free(struct redis_resolve *resolve)
{
    if (resolve) {
        unref(resolve);
    }
}

enum err redis_resolve_numeric(const char *host, uint64_t port, struct addrinfo **ret_addresses)
{
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)(uint16_t)port);
    struct addrinfo *addresses;
    int code = look_up(host, service, AI_NUMERICHOST, &addresses);
    if (code != 0) {
        return code == EAI_MEMORY ? ERR_NOMEM : ERR_INVALID;
    }
    *ret_addresses = addresses;
    return OK;
}

#include "fleet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "secure.h"
#include "source.h"

enum { EVENTS_PER_TURN = 256 };

static bool watch(const struct fleet *fleet, unsigned index, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = index};
    return epoll_ctl(fleet->epoll_fd, operation, fleet->clients[index].fd, &event) == 0;
}

void fleet_connect(struct fleet *fleet, unsigned index)
{
    struct client *client = &fleet->clients[index];
    client_move(fleet, client, CLIENT_CONNECTING);
    client->fd = source_socket(index);
    if (client->fd < 0 || !watch(fleet, index, EPOLL_CTL_ADD, EPOLLOUT)) {
        client_end(fleet, client, "no socket");
        return;
    }
    const struct sockaddr *to = (const struct sockaddr *)&fleet->address;
    if (connect(client->fd, to, sizeof(fleet->address)) != 0 && errno != EINPROGRESS) {
        client_end(fleet, client, "connect failed");
    }
}

void fleet_subscribe(struct fleet *fleet, unsigned index)
{
    client_subscribe(fleet, &fleet->clients[index]);
}

void fleet_close(struct fleet *fleet, unsigned index)
{
    client_close(fleet, &fleet->clients[index]);
}

void fleet_listen(struct fleet *fleet)
{
    fleet->heard = 0;
    fleet->heard_again = 0;
    for (unsigned i = 0; i < fleet->count; i++) {
        fleet->clients[i].heard = false;
    }
}

void fleet_move(struct fleet *fleet)
{
    fleet->moving = true;
    fleet->address.sin_addr = fleet->next_address;
}

void fleet_poll(struct fleet *fleet)
{
    fleet->poll_ready = true;
    for (unsigned i = 0; i < fleet->count; i++) {
        client_poll(fleet, &fleet->clients[i]);
    }
}

unsigned fleet_groups(const struct fleet *fleet)
{
    return fleet->options->rooms < fleet->count ? fleet->options->rooms : fleet->count;
}

unsigned fleet_group(const struct fleet *fleet, const struct client *client)
{
    return (unsigned)(client - fleet->clients) % fleet_groups(fleet);
}

void fleet_recycle(struct fleet *fleet, bool same)
{
    for (unsigned i = 0; i < fleet->count; i++) {
        struct client *client = &fleet->clients[i];
        if (client->state == CLIENT_CLOSED) {
            client_move(fleet, client, CLIENT_UNUSED);
            client->pid[0] = same ? client->pid[0] : '\0';
        }
    }
}

void fleet_turn(struct fleet *fleet, uint64_t timeout_us)
{
    struct epoll_event events[EVENTS_PER_TURN];
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_us / 1000000),
        .tv_nsec = (long)(timeout_us % 1000000) * 1000,
    };
    int n = epoll_pwait2(fleet->epoll_fd, events, EVENTS_PER_TURN, &timeout, NULL);
    for (int i = 0; i < n; i++) {
        struct client *client = &fleet->clients[events[i].data.u32];
        if (client->state == CLIENT_CONNECTING) {
            watch(fleet, events[i].data.u32, EPOLL_CTL_MOD, EPOLLIN);
            client_begin(fleet, client);
        } else if (client->fd >= 0) {
            client_read(fleet, client);
        }
    }
}

enum err fleet_init(struct fleet *fleet, const struct fleet_options *options, unsigned count)
{
    *fleet = (struct fleet){.options = options, .count = count, .epoll_fd = -1};
    fleet->address.sin_family = AF_INET;
    fleet->address.sin_port = htons((uint16_t)options->port);
    if (options->rooms > count && options->rooms % count != 0) {
        return ERR_INVALID;
    }
    const char *next_host = options->next_host == NULL ? options->host : options->next_host;
    if (inet_pton(AF_INET, options->host, &fleet->address.sin_addr) != 1 ||
        inet_pton(AF_INET, next_host, &fleet->next_address) != 1) {
        return ERR_INVALID;
    }
    fleet->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (fleet->epoll_fd < 0) {
        return ERR_IO;
    }
    fleet->scratch = malloc(FLEET_SCRATCH_SIZE);
    fleet->clients = calloc(count, sizeof(*fleet->clients));
    fleet->tls = options->tls ? secure_context() : NULL;
    if (fleet->scratch == NULL || fleet->clients == NULL || (options->tls && !fleet->tls)) {
        fleet->count = 0;
        fleet_fini(fleet);
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        fleet->clients[i] = (struct client){.fd = -1, .next_event = 1 + i % fleet_groups(fleet)};
    }
    fleet->in_state[CLIENT_UNUSED] = count;
    return OK;
}

void fleet_fini(struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->count; i++) {
        if (fleet->clients[i].fd >= 0) {
            client_hang_up(fleet, &fleet->clients[i]);
        }
    }
    free(fleet->clients);
    free(fleet->scratch);
    SSL_CTX_free(fleet->tls);
    if (fleet->epoll_fd >= 0) {
        close(fleet->epoll_fd);
    }
    *fleet = (struct fleet){.epoll_fd = -1};
}

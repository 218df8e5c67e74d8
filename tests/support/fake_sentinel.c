#include "fake_sentinel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARGS_MAX = 4, ARG_MAX_LEN = 128, NAP_MS = 5 };

struct command {
    char args[ARGS_MAX][ARG_MAX_LEN];
    int count;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void say(const struct fake_sentinel_client *client, const char *bytes)
{
    (void)!send(client->fd, bytes, strlen(bytes), MSG_NOSIGNAL);
}

static void hang_up(struct fake_sentinel *sentinel, struct fake_sentinel_client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
        sentinel->subscribers -= client->subscribed;
    }
}

/* --- Answers --- */

static void tell_address(struct fake_sentinel *sentinel, const struct fake_sentinel_client *client,
                         const char *master)
{
    char port[8], text[128];
    int len = snprintf(port, sizeof port, "%u", sentinel->primary_port);
    snprintf(text, sizeof text, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len, port);
    const char *answer = sentinel->answer ? sentinel->answer : text;
    say(client, strcmp(master, sentinel->master) == 0 ? answer : "*-1\r\n");
    sentinel->asked++;
}

static bool is_command(const struct command *command, const char *name)
{
    return strcasecmp(command->args[0], name) == 0;
}

static void answer(struct fake_sentinel *sentinel, struct fake_sentinel_client *client,
                   const struct command *command)
{
    if (is_command(command, "AUTH")) {
        client->let_in = sentinel->password && strcmp(command->args[1], sentinel->password) == 0;
        say(client, client->let_in ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n");
    } else if (sentinel->password && !client->let_in) {
        say(client, "-NOAUTH Authentication required.\r\n");
    } else if (is_command(command, "PING")) {
        say(client, client->subscribed ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n");
    } else if (is_command(command, "ROLE")) {
        say(client, "*2\r\n$8\r\nsentinel\r\n*0\r\n");
    } else if (is_command(command, "SENTINEL")) {
        tell_address(sentinel, client, command->args[2]);
    } else if (is_command(command, "SUBSCRIBE")) {
        client->subscribed = true;
        sentinel->subscribers++;
        say(client, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    } else {
        say(client, "-ERR unknown command\r\n");
    }
}

/* --- Commands --- */

/* How many bytes of the input the first command takes; 0 while it is incomplete. */
static size_t parse(const char *input, struct command *command)
{
    const char *at = input;
    int used = 0;
    if (sscanf(at, "*%d\r\n%n", &command->count, &used) != 1 || used == 0 ||
        command->count > ARGS_MAX) {
        return 0;
    }
    at += used;
    for (int i = 0; i < command->count; i++) {
        size_t len;
        used = 0;
        if (sscanf(at, "$%zu\r\n%n", &len, &used) != 1 || used == 0 || len >= ARG_MAX_LEN ||
            strlen(at) < (size_t)used + len + 2) {
            return 0;
        }
        memcpy(command->args[i], at + used, len);
        command->args[i][len] = '\0';
        at += (size_t)used + len + 2;
    }
    return (size_t)(at - input);
}

static void read_commands(struct fake_sentinel *sentinel, struct fake_sentinel_client *client)
{
    size_t room = sizeof client->input - 1 - client->len;
    ssize_t n = recv(client->fd, client->input + client->len, room, MSG_DONTWAIT);
    if (n <= 0) {
        hang_up(sentinel, client);
        return;
    }
    client->len += (size_t)n;
    client->input[client->len] = '\0';
    struct command command = {0};
    for (size_t used; !sentinel->silent && (used = parse(client->input, &command)) > 0;) {
        answer(sentinel, client, &command);
        client->len -= used;
        memmove(client->input, client->input + used, client->len + 1);
    }
}

/* --- The thread --- */

static void take_client(struct fake_sentinel *sentinel)
{
    int fd = accept(sentinel->listener, NULL, NULL);
    for (int i = 0; i < FAKE_SENTINEL_CLIENTS; i++) {
        if (sentinel->clients[i].fd < 0) {
            sentinel->clients[i] = (struct fake_sentinel_client){.fd = fd};
            return;
        }
    }
    close(fd);
}

static void serve(struct fake_sentinel *sentinel)
{
    struct pollfd fds[FAKE_SENTINEL_CLIENTS + 1];
    for (int i = 0; i < FAKE_SENTINEL_CLIENTS; i++) {
        fds[i] = (struct pollfd){sentinel->clients[i].fd, POLLIN, 0};
    }
    fds[FAKE_SENTINEL_CLIENTS] = (struct pollfd){sentinel->listener, POLLIN, 0};
    pthread_mutex_unlock(&sentinel->lock);
    poll(fds, FAKE_SENTINEL_CLIENTS + 1, NAP_MS);
    pthread_mutex_lock(&sentinel->lock);
    for (int i = 0; i < FAKE_SENTINEL_CLIENTS; i++) {
        if (fds[i].revents && sentinel->clients[i].fd == fds[i].fd) {
            read_commands(sentinel, &sentinel->clients[i]);
        }
    }
    if (fds[FAKE_SENTINEL_CLIENTS].revents) {
        take_client(sentinel);
    }
}

static void *run(void *context)
{
    struct fake_sentinel *sentinel = context;
    pthread_mutex_lock(&sentinel->lock);
    while (!sentinel->stop) {
        serve(sentinel);
    }
    pthread_mutex_unlock(&sentinel->lock);
    return NULL;
}

void fake_sentinel_start(struct fake_sentinel *sentinel)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    sentinel->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(sentinel->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(sentinel->listener, FAKE_SENTINEL_CLIENTS) != 0 ||
        getsockname(sentinel->listener, (struct sockaddr *)&address, &len) != 0) {
        die("fake_sentinel");
    }
    sentinel->port = ntohs(address.sin_port);
    for (int i = 0; i < FAKE_SENTINEL_CLIENTS; i++) {
        sentinel->clients[i].fd = -1;
    }
    pthread_mutex_init(&sentinel->lock, NULL);
    if (pthread_create(&sentinel->thread, NULL, run, sentinel) != 0) {
        die("fake_sentinel");
    }
}

void fake_sentinel_stop(struct fake_sentinel *sentinel)
{
    sentinel->stop = true;
    pthread_join(sentinel->thread, NULL);
    fake_sentinel_drop(sentinel);
    close(sentinel->listener);
    pthread_mutex_destroy(&sentinel->lock);
}

void fake_sentinel_publish(struct fake_sentinel *sentinel, const char *bytes)
{
    pthread_mutex_lock(&sentinel->lock);
    for (int i = 0; i < FAKE_SENTINEL_CLIENTS; i++) {
        if (sentinel->clients[i].fd >= 0 && sentinel->clients[i].subscribed) {
            say(&sentinel->clients[i], bytes);
        }
    }
    pthread_mutex_unlock(&sentinel->lock);
}

void fake_sentinel_switch(struct fake_sentinel *sentinel, const char *master, unsigned port)
{
    char text[128], bytes[256];
    int len = snprintf(text, sizeof text, "%s 127.0.0.1 1 127.0.0.1 %u", master, port);
    snprintf(bytes, sizeof bytes, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n",
             len, text);
    fake_sentinel_publish(sentinel, bytes);
}

void fake_sentinel_drop(struct fake_sentinel *sentinel)
{
    pthread_mutex_lock(&sentinel->lock);
    for (int i = 0; i < FAKE_SENTINEL_CLIENTS; i++) {
        hang_up(sentinel, &sentinel->clients[i]);
    }
    pthread_mutex_unlock(&sentinel->lock);
}

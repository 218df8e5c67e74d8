#include "publisher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static enum err connect_to(const char *host, unsigned port, int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        return ERR_INVALID;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ERR_IO;
    }
    int on = 1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        close(fd);
        return ERR_IO;
    }
    *ret_fd = fd;
    return OK;
}

enum err publisher_open(struct publisher *publisher, const char *host, unsigned port,
                        const char *channel)
{
    *publisher = (struct publisher){.fd = -1};
    enum err err = connect_to(host, port, &publisher->fd);
    if (err != OK) {
        return err;
    }
    buf_init(&publisher->out, 0);
    publisher->channel = strdup(channel);
    if (publisher->channel == NULL) {
        publisher_close(publisher);
        return ERR_NOMEM;
    }
    return OK;
}

void publisher_close(struct publisher *publisher)
{
    if (publisher->fd >= 0) {
        close(publisher->fd);
        publisher->fd = -1;
    }
    buf_fini(&publisher->out);
    free(publisher->channel);
    publisher->channel = NULL;
}

enum err publisher_add(struct publisher *publisher, struct str message)
{
    enum err err = buf_printf(
        &publisher->out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n%.*s\r\n",
        strlen(publisher->channel), publisher->channel, message.len, (int)message.len, message.ptr);
    if (err == OK) {
        publisher->pending++;
    }
    return err;
}

enum err publisher_flush(struct publisher *publisher)
{
    while (publisher->out.len > 0) {
        ssize_t n = send(publisher->fd, publisher->out.data, publisher->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return ERR_IO;
        }
        if (n > 0) {
            buf_consume(&publisher->out, (size_t)n);
        }
    }
    return OK;
}

static enum err take_reply(struct publisher *publisher)
{
    if (publisher->line[0] != ':' || publisher->pending == 0) {
        return ERR_PROTO;
    }
    publisher->pending--;
    if (strcmp(publisher->line, ":0\r") == 0) {
        publisher->unheard++;
    }
    return OK;
}

static enum err take_bytes(struct publisher *publisher, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (publisher->line_len == sizeof(publisher->line) - 1) {
            return ERR_PROTO;
        }
        if (bytes[i] != '\n') {
            publisher->line[publisher->line_len++] = bytes[i];
            continue;
        }
        publisher->line[publisher->line_len] = '\0';
        publisher->line_len = 0;
        enum err err = take_reply(publisher);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

enum err publisher_poll(struct publisher *publisher)
{
    char bytes[4096];
    while (publisher->pending > 0) {
        ssize_t n = recv(publisher->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? OK : ERR_IO;
        }
        if (n == 0) {
            return ERR_CLOSED;
        }
        enum err err = take_bytes(publisher, bytes, (size_t)n);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

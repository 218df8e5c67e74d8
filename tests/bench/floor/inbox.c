#include "inbox.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "shared/loopback.h"

enum { PARTS = 3 };

/* One part of an array: what it holds and where the next begins. */
struct part {
    const char *text;
    size_t len;
};

/* The rest of a line that starts with a type byte, as a number. */
static enum err take_number(const char **at, const char *end, char type, size_t *ret_number)
{
    const char *line_end = memchr(*at, '\n', (size_t)(end - *at));
    if (line_end == NULL) {
        return ERR_AGAIN;
    }
    if (**at != type) {
        return ERR_PROTO;
    }
    *ret_number = strtoul(*at + 1, NULL, 10);
    *at = line_end + 1;
    return OK;
}

static enum err take_bulk(const char **at, const char *end, struct part *ret_part)
{
    size_t len;
    const char *next = *at;
    enum err err = take_number(&next, end, '$', &len);
    if (err != OK) {
        return err;
    }
    if ((size_t)(end - next) < len + 2) {
        return ERR_AGAIN;
    }
    *ret_part = (struct part){next, len};
    *at = next + len + 2;
    return OK;
}

/* "message", the channel and the payload. */
static enum err take_message(const char **at, const char *end, struct part parts[PARTS])
{
    size_t count;
    const char *next = *at;
    enum err err = take_number(&next, end, '*', &count);
    if (err == OK && count != PARTS) {
        err = ERR_PROTO;
    }
    for (int i = 0; i < PARTS && err == OK; i++) {
        err = take_bulk(&next, end, &parts[i]);
    }
    if (err == OK) {
        *at = next;
    }
    return err;
}

enum err inbox_read(struct inbox *inbox,
                    void (*on_message)(void *arg, const char *message, size_t len), void *arg)
{
    ssize_t n = recv(inbox->fd, inbox->bytes + inbox->len, INBOX_SIZE - inbox->len, MSG_DONTWAIT);
    if (n <= 0) {
        return n == 0 ? ERR_CLOSED : errno == EAGAIN ? ERR_AGAIN : ERR_IO;
    }
    inbox->len += (size_t)n;
    const char *at = inbox->bytes;
    const char *end = inbox->bytes + inbox->len;
    struct part parts[PARTS];
    enum err err;
    while ((err = take_message(&at, end, parts)) == OK) {
        on_message(arg, parts[2].text, parts[2].len);
    }
    inbox->len = (size_t)(end - at);
    memmove(inbox->bytes, at, inbox->len);
    return err == ERR_AGAIN ? OK : err;
}

/* Three parts, the last of them a number: the whole answer to SUBSCRIBE comes in one piece. */
static bool is_confirmed(int fd)
{
    static const char beginning[] = "*3\r\n$9\r\nsubscribe\r\n";
    char answer[512];
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    return n > (ssize_t)strlen(beginning) && memcmp(answer, beginning, strlen(beginning)) == 0;
}

enum err inbox_open(struct inbox *inbox, unsigned port, const char *channel)
{
    char command[512];
    int fd;
    int len = snprintf(command, sizeof(command), "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n",
                       strlen(channel), channel);
    enum err err = len < (int)sizeof(command) ? loopback_connect(port, &fd) : ERR_LIMIT;
    if (err != OK) {
        return err;
    }
    if (send(fd, command, (size_t)len, MSG_NOSIGNAL) != len || !is_confirmed(fd)) {
        close(fd);
        return ERR_IO;
    }
    inbox->fd = fd;
    inbox->len = 0;
    return OK;
}

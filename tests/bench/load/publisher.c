#include "publisher.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>
#include <unistd.h>

#include "event.h"
#include "shared/loopback.h"

/* SCRIPT_LINES: the array, the id's length, the id, two numbers. */
enum { SCRIPT_MAX = 32 * 1024, SCRIPT_LINES = 5 };

enum err publisher_open(struct publisher *publisher, unsigned port)
{
    *publisher = (struct publisher){.fd = -1};
    buf_init(&publisher->out, 0);
    return loopback_connect(port, &publisher->fd);
}

void publisher_close(struct publisher *publisher)
{
    if (publisher->fd >= 0) {
        close(publisher->fd);
        publisher->fd = -1;
    }
    buf_fini(&publisher->out);
}

static enum err read_file(const char *path, char *out, size_t size, size_t *ret_len)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ERR_IO;
    }
    *ret_len = fread(out, 1, size, file);
    enum err err = ferror(file) ? ERR_IO : *ret_len == size ? ERR_LIMIT : OK;
    fclose(file);
    return err;
}

/* One command of `count` arguments, as RESP2 wants it. */
static enum err add_command(struct publisher *publisher, const struct str *arguments, size_t count)
{
    enum err err = buf_printf(&publisher->out, "*%zu\r\n", count);
    for (size_t i = 0; i < count && err == OK; i++) {
        err = buf_printf(&publisher->out, "$%zu\r\n" STR_FMT "\r\n", arguments[i].len,
                         STR_ARG(arguments[i]));
    }
    return err;
}

enum err publisher_load(struct publisher *publisher, const char *file)
{
    static char text[SCRIPT_MAX];
    static const char head[] = "$40\r\n";
    char reply[sizeof(head) - 1 + PUBLISHER_SHA_LEN + sizeof("\r\n") - 1];
    size_t len;
    enum err err = read_file(file, text, sizeof(text), &len);
    if (err == OK) {
        const struct str command[] = {STR("SCRIPT"), STR("LOAD"), {text, len}};
        err = add_command(publisher, command, ARRAY_LEN(command));
    }
    if (err == OK) {
        err = publisher_flush(publisher);
    }
    if (err != OK) {
        return err;
    }
    if (recv(publisher->fd, reply, sizeof(reply), MSG_WAITALL) != (ssize_t)sizeof(reply) ||
        memcmp(reply, head, strlen(head)) != 0) {
        return ERR_PROTO;
    }
    memcpy(publisher->script, reply + strlen(head), PUBLISHER_SHA_LEN);
    return OK;
}

enum err publisher_add(struct publisher *publisher, const char *channel, struct str message)
{
    const struct str command[] = {STR("PUBLISH"), str_from(channel), message};
    enum err err = add_command(publisher, command, ARRAY_LEN(command));
    publisher->pending += err == OK;
    return err;
}

enum err publisher_keep(struct publisher *publisher, unsigned room, struct str payload)
{
    char channel[EVENT_CHANNEL_MAX];
    char log[EVENT_CHANNEL_MAX];
    char name[EVENT_CHANNEL_MAX];
    event_channel(EVENT_PLAIN, room, channel);
    snprintf(log, sizeof(log), "guesslyfe:{0}:log:market:%u", room);
    snprintf(name, sizeof(name), "market:%u", room);
    const struct str command[] = {STR("EVALSHA"), str_from(publisher->script), STR("2"),
                                  /* KEYS */
                                  STR("guesslyfe:{0}:clock"), str_from(log),
                                  /* the event, its rooms and payload, no idempotency key */
                                  STR("market:trade"), str_from(name), payload, STR("0"),
                                  /* how much of it the log keeps, for how many seconds */
                                  str_from(channel), STR("100"), STR("300")};
    enum err err = add_command(publisher, command, ARRAY_LEN(command));
    publisher->pending += err == OK;
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

/*
 * A line of a reply: PUBLISH answers the number that heard it; the script an array of the event's
 * id, 0 and that number, which comes last.
 */
static enum err take_line(struct publisher *publisher)
{
    const char *line = publisher->line;
    if (line[0] == '*') {
        publisher->skip = SCRIPT_LINES - 1;
    } else if (publisher->skip > 0) {
        publisher->skip--;
    }
    if (line[0] == '-' || publisher->pending == 0) {
        return ERR_PROTO;
    }
    if (publisher->skip > 0) {
        return OK;
    }
    publisher->pending--;
    publisher->unheard += strcmp(line, ":0\r") == 0;
    return line[0] == ':' ? OK : ERR_PROTO;
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
        enum err err = take_line(publisher);
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

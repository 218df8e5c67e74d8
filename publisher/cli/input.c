#include "publisher/cli/input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { READ_CAP = 64 * 1024 };

/* Reads once. CLOSED at the end. */
static enum err read_more(int fd, size_t cap, struct buf *out)
{
    enum err err = buf_reserve(out, cap);
    if (err) {
        return err;
    }
    ssize_t n;
    do {
        n = read(fd, out->data + out->len, cap);
    } while (n < 0 && errno == EINTR);
    out->len += n > 0 ? (size_t)n : 0;
    return n > 0 ? OK : n == 0 ? ERR_CLOSED : ERR_IO;
}

enum err input_read_all(int fd, size_t limit, struct buf *out, struct buf *complaint)
{
    enum err err = OK;
    while (!err && out->len < limit) {
        size_t room = limit - out->len;
        err = read_more(fd, room < READ_CAP ? room : READ_CAP, out);
    }
    if (err == ERR_IO && buf_printf(complaint, "standard input: %s", strerror(errno))) {
        return ERR_NOMEM;
    }
    return err == ERR_CLOSED ? OK : err;
}

void input_lines_init(struct input_lines *lines, int fd)
{
    *lines = (struct input_lines){.fd = fd};
    buf_init(&lines->bytes, INPUT_LINE_MAX + READ_CAP);
}

void input_lines_fini(struct input_lines *lines)
{
    buf_fini(&lines->bytes);
}

static struct str unused(const struct input_lines *lines)
{
    return str_skip(buf_str(&lines->bytes), lines->used);
}

static bool has_line(const struct input_lines *lines)
{
    struct str rest = unused(lines);
    return lines->ended || str_find(rest, '\n') < rest.len;
}

bool input_lines_would_wait(const struct input_lines *lines)
{
    struct pollfd ready = {.fd = lines->fd, .events = POLLIN};
    return !has_line(lines) && poll(&ready, 1, 0) == 0;
}

static enum err fill(struct input_lines *lines)
{
    buf_consume(&lines->bytes, lines->used);
    lines->used = 0;
    enum err err = OK;
    while (!err && !has_line(lines)) {
        err = lines->bytes.len > INPUT_LINE_MAX ? ERR_LIMIT
                                                : read_more(lines->fd, READ_CAP, &lines->bytes);
    }
    lines->ended |= err == ERR_CLOSED;
    return err == ERR_CLOSED ? OK : err;
}

enum err input_lines_next(struct input_lines *lines, struct str *ret_line)
{
    enum err err = has_line(lines) ? OK : fill(lines);
    if (err) {
        return err;
    }
    struct str rest = unused(lines);
    if (rest.len == 0) {
        return ERR_CLOSED;
    }
    size_t len = str_find(rest, '\n');
    lines->used += len < rest.len ? len + 1 : len;
    lines->count++;
    *ret_line = str_range(rest.ptr, len);
    return OK;
}

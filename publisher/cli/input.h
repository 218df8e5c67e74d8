/* Standard input: as a whole, or line by line without waiting unasked. */
#ifndef PUBLISHER_CLI_INPUT_H
#define PUBLISHER_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* Appends everything up to the end, at most `limit` bytes: what is more is left unread. IO:
 * *complaint. */
MUST_CHECK enum err input_read_all(int fd, size_t limit, struct buf *out, struct buf *complaint);

enum { INPUT_LINE_MAX = 1024 * 1024 };

struct input_lines {
    int fd;
    bool ended;
    size_t used; /* bytes of the buffer that lines already took */
    struct buf bytes;
    unsigned long count; /* lines taken */
};

void input_lines_init(struct input_lines *lines, int fd);
void input_lines_fini(struct input_lines *lines);
/* Whether input_lines_next would have to wait for more input. */
bool input_lines_would_wait(const struct input_lines *lines);
/*
 * The next line without its end, valid until the next call; CLOSED at the end of the input. LIMIT:
 * the line is too long. IO: errno says why.
 */
MUST_CHECK enum err input_lines_next(struct input_lines *lines, struct str *ret_line);

#endif

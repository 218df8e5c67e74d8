#include "message.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char connection_name[] = "connection:";

static bool begins(const char *line, size_t len, const char *name)
{
    size_t name_len = strlen(name);
    return len >= name_len && strncasecmp(line, name, name_len) == 0;
}

/* Whether a header's list of words has this one. */
static bool has_word(const char *list, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    for (size_t at = 0; at + word_len <= len; at++) {
        bool alone = (at == 0 || !isalnum((unsigned char)list[at - 1])) &&
                     (at + word_len == len || !isalnum((unsigned char)list[at + word_len]));
        if (alone && strncasecmp(list + at, word, word_len) == 0) {
            return true;
        }
    }
    return false;
}

static void read_header(struct message *message, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return;
    }
    const char *value = colon + 1;
    size_t value_len = len - (size_t)(value - line);
    if (begins(line, len, "content-length:")) {
        message->has_length = true;
        message->body = strtoull(value, NULL, 10);
    } else if (begins(line, len, "transfer-encoding:")) {
        message->chunked = true;
    } else if (begins(line, len, connection_name)) {
        message->close = has_word(value, value_len, "close");
    } else if (begins(line, len, "upgrade:")) {
        message->upgrade = has_word(value, value_len, "websocket");
    }
}

static bool read_first_line(struct message *message, const char *line, size_t len)
{
    if (begins(line, len, "HTTP/1.1 ")) {
        message->status = (unsigned)strtoul(line + strlen("HTTP/1.1 "), NULL, 10);
        return message->status >= 100;
    }
    message->head_only = begins(line, len, "HEAD ");
    message->safe = message->head_only || begins(line, len, "GET ");
    return len > 9 && strncmp(line + len - 9, " HTTP/1.1", 9) == 0;
}

/* The head's length, or 0 where its end has not come. */
static size_t head_length(struct evbuffer *from)
{
    struct evbuffer_ptr end = evbuffer_search(from, "\r\n\r\n", 4, NULL);
    return end.pos < 0 ? 0 : (size_t)end.pos + 4;
}

static const char *line_end(const char *line)
{
    return strstr(line, "\r\n");
}

static enum message_result read_lines(struct message *message, const char *line)
{
    const char *end = line_end(line);
    if (!read_first_line(message, line, (size_t)(end - line))) {
        return MESSAGE_BAD;
    }
    for (line = end + 2; (end = line_end(line)) != line; line = end + 2) {
        read_header(message, line, (size_t)(end - line));
    }
    return message->chunked ? MESSAGE_BAD : MESSAGE_WHOLE;
}

enum message_result message_read(struct evbuffer *from, struct message *message)
{
    size_t len = head_length(from);
    if (len == 0) {
        return evbuffer_get_length(from) > MESSAGE_HEAD_MAX ? MESSAGE_BAD : MESSAGE_MORE;
    }
    if (len > MESSAGE_HEAD_MAX) {
        return MESSAGE_BAD;
    }
    char head[MESSAGE_HEAD_MAX + 1];
    evbuffer_copyout(from, head, len);
    head[len] = '\0';
    if (strlen(head) != len) {
        return MESSAGE_BAD;
    }
    *message = (struct message){.head = len};
    return read_lines(message, head);
}

void message_move_head(struct evbuffer *from, struct evbuffer *to, const struct message *message,
                       bool keep_connection, bool close)
{
    if (keep_connection) {
        evbuffer_remove_buffer(from, to, message->head);
        return;
    }
    for (;;) {
        size_t len;
        char *line = evbuffer_readln(from, &len, EVBUFFER_EOL_CRLF_STRICT);
        if (line == NULL || len == 0) {
            free(line);
            break;
        }
        if (!begins(line, len, connection_name)) {
            evbuffer_add(to, line, len);
            evbuffer_add(to, "\r\n", 2);
        }
        free(line);
    }
    evbuffer_add_printf(to, "%s\r\n", close ? "Connection: close\r\n" : "");
}

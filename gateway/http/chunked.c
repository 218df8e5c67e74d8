#include "http/chunked.h"

#include <stdbool.h>

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE_START, /* of a trailer, or of the empty line that ends all */
    TRAILER,
    TRAILER_LF,
    END_LF,
};

enum { MAX_DIGITS = 8, MAX_OVERHEAD = 4096 };

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static enum err move(struct http_chunked *chunked, enum state next)
{
    chunked->state = (uint8_t)next;
    return ERR_AGAIN;
}

static enum err on_size(struct http_chunked *chunked, char c)
{
    int value = hex_value(c);
    if (value >= 0 && chunked->digits < MAX_DIGITS) {
        chunked->left = chunked->left * 16 + (unsigned)value;
        chunked->digits++;
        return ERR_AGAIN;
    }
    if (value >= 0) {
        return ERR_LIMIT;
    }
    if (chunked->digits == 0 || (c != '\r' && c != ';')) {
        return ERR_PROTO;
    }
    return move(chunked, c == '\r' ? SIZE_LF : EXTENSION);
}

static enum err on_dropped(struct http_chunked *chunked, char c, enum state at_cr)
{
    if (c == '\r') {
        return move(chunked, at_cr);
    }
    if ((unsigned char)c < ' ' && c != '\t') {
        return ERR_PROTO;
    }
    return ++chunked->overhead > MAX_OVERHEAD ? ERR_LIMIT : ERR_AGAIN;
}

static enum err expect(struct http_chunked *chunked, bool matches, enum state next)
{
    return matches ? move(chunked, next) : ERR_PROTO;
}

static enum err next_chunk(struct http_chunked *chunked, char c)
{
    chunked->left = 0;
    chunked->digits = 0;
    return expect(chunked, c == '\n', SIZE);
}

static enum err on_line_start(struct http_chunked *chunked, char c)
{
    if (c == '\r') {
        return move(chunked, END_LF);
    }
    chunked->state = TRAILER;
    return on_dropped(chunked, c, TRAILER_LF);
}

/* One byte that is not data. OK at the end. */
static enum err step(struct http_chunked *chunked, char c)
{
    switch ((enum state)chunked->state) {
    case SIZE:
        return on_size(chunked, c);
    case EXTENSION:
        return on_dropped(chunked, c, SIZE_LF);
    case SIZE_LF:
        return expect(chunked, c == '\n', chunked->left ? DATA : LINE_START);
    case DATA_CR:
        return expect(chunked, c == '\r', DATA_LF);
    case DATA_LF:
        return next_chunk(chunked, c);
    case LINE_START:
        return on_line_start(chunked, c);
    case TRAILER:
        return on_dropped(chunked, c, TRAILER_LF);
    case TRAILER_LF:
        return expect(chunked, c == '\n', LINE_START);
    case END_LF:
        return c == '\n' ? OK : ERR_PROTO;
    case DATA:
        break;
    }
    return ERR_PROTO;
}

static enum err take_data(struct http_chunked *chunked, struct str *input, struct buf *body)
{
    size_t n = input->len < chunked->left ? input->len : (size_t)chunked->left;
    enum err err = buf_append(body, (struct str){input->ptr, n});
    if (err) {
        return err;
    }
    *input = str_skip(*input, n);
    chunked->left -= n;
    return chunked->left ? ERR_AGAIN : move(chunked, DATA_CR);
}

enum err http_chunked_decode(struct http_chunked *chunked, struct str *input, struct buf *body)
{
    enum err err = ERR_AGAIN;
    while (err == ERR_AGAIN && input->len > 0) {
        if (chunked->left > body->limit - body->len && body->limit) {
            return ERR_LIMIT; /* as soon as its size says so */
        }
        if (chunked->state == DATA) {
            err = take_data(chunked, input, body);
        } else {
            char c = input->ptr[0];
            *input = str_skip(*input, 1);
            err = step(chunked, c);
        }
    }
    return err;
}

#include "util/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 64 };

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit};
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->limit);
}

static enum err grow(struct buf *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : SMALLEST;
    while (cap < need) {
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    }
    char *data = realloc(buf->data, cap);
    if (!data) {
        return ERR_NOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return OK;
}

enum err buf_reserve(struct buf *buf, size_t n)
{
    if (n > SIZE_MAX - buf->len || (buf->limit && n > buf->limit - buf->len)) {
        return ERR_LIMIT;
    }
    size_t need = buf->len + n;
    return need <= buf->cap ? OK : grow(buf, need);
}

enum err buf_append(struct buf *buf, struct str bytes)
{
    enum err err = buf_reserve(buf, bytes.len);
    if (err) {
        return err;
    }
    if (bytes.len > 0) {
        memcpy(buf->data + buf->len, bytes.ptr, bytes.len);
        buf->len += bytes.len;
    }
    return OK;
}

enum err buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, (struct str){&c, 1});
}

enum err buf_append_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return buf_append(buf, (struct str){digits + at, sizeof digits - at});
}

enum err buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0) {
        va_end(again);
        return ERR_INVALID;
    }
    /* vsnprintf writes a terminator that we neither count nor hold against the limit. */
    enum err err = buf_reserve(buf, (size_t)n);
    if (!err && buf->cap - buf->len < (size_t)n + 1) {
        err = grow(buf, buf->len + (size_t)n + 1);
    }
    if (!err) {
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    return err;
}

enum err buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum err err = buf_vprintf(buf, format, args);
    va_end(args);
    return err;
}

struct str buf_str(const struct buf *buf)
{
    return buf->data ? (struct str){buf->data, buf->len} : (struct str){"", 0};
}

const char *buf_cstr(struct buf *buf)
{
    if (buf->cap == buf->len && grow(buf, buf->len + 1)) {
        return NULL;
    }
    buf->data[buf->len] = '\0';
    return buf->data;
}

void buf_consume(struct buf *buf, size_t n)
{
    if (n >= buf->len) {
        buf->len = 0;
        return;
    }
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

#include "redis/outbox.h"

enum {
    LENGTH_MAX = 1 + 20 + 2, /* "$" or "*", 64 bits in digits, CR LF */
    IDLE_MAX = 256 * 1024,   /* memory kept when nothing is due */
};

void redis_outbox_init(struct redis_outbox *outbox)
{
    outbox->written = 0;
    buf_init(&outbox->bytes, REDIS_OUTBOX_MAX);
}

void redis_outbox_fini(struct redis_outbox *outbox)
{
    buf_fini(&outbox->bytes);
    outbox->written = 0;
}

/* Moves the rest down once it is the smaller half: each byte is moved at most once, on average. */
static void compact(struct redis_outbox *outbox)
{
    if (outbox->written > outbox->bytes.len / 2) {
        buf_consume(&outbox->bytes, outbox->written);
        outbox->written = 0;
    }
}

static enum err add_length(struct buf *bytes, char kind, size_t length)
{
    enum err err = buf_append_char(bytes, kind);
    if (!err) {
        err = buf_append_u64(bytes, length);
    }
    return err ? err : buf_append(bytes, STR("\r\n"));
}

static enum err add_argument(struct buf *bytes, struct str arg)
{
    enum err err = add_length(bytes, '$', arg.len);
    if (!err) {
        err = buf_append(bytes, arg);
    }
    return err ? err : buf_append(bytes, STR("\r\n"));
}

/* Written here rather than by hiredis' formatter, which would cost an allocation and a copy. */
enum err redis_outbox_add(struct redis_outbox *outbox, const struct str *args, size_t count)
{
    struct buf *bytes = &outbox->bytes;
    size_t need = LENGTH_MAX;
    for (size_t i = 0; i < count; i++) {
        need += LENGTH_MAX + args[i].len + 2;
    }
    compact(outbox);
    enum err err = buf_reserve(bytes, need);
    if (err) {
        return err;
    }
    err = add_length(bytes, '*', count);
    for (size_t i = 0; i < count && !err; i++) {
        err = add_argument(bytes, args[i]);
    }
    return err;
}

static void empty(struct redis_outbox *outbox)
{
    outbox->written = 0;
    if (outbox->bytes.cap > IDLE_MAX) {
        buf_fini(&outbox->bytes);
    } else {
        buf_clear(&outbox->bytes);
    }
}

enum err redis_outbox_flush(struct redis_outbox *outbox, struct stream *stream)
{
    while (redis_outbox_len(outbox) > 0) {
        struct iovec part = {outbox->bytes.data + outbox->written, redis_outbox_len(outbox)};
        size_t n = 0;
        enum err err = stream_send(stream, &part, 1, &n);
        if (err) {
            return err;
        }
        outbox->written += n;
    }
    empty(outbox);
    return OK;
}

#include "msgpack.h"

#include <string.h>

/* The type bytes, and the longest text whose length stands in its type byte. */
enum { FIXMAP = 0x80, FIXARRAY = 0x90, FIXSTR = 0xa0, STR8 = 0xd9, FIXSTR_MAX = 31 };

static void put(struct msgpack *out, size_t byte)
{
    out->bytes[out->len++] = (char)byte;
}

void msgpack_array(struct msgpack *out, size_t count)
{
    put(out, FIXARRAY | count);
}

void msgpack_map(struct msgpack *out, size_t count)
{
    put(out, FIXMAP | count);
}

void msgpack_text(struct msgpack *out, const char *text)
{
    size_t len = strlen(text);
    if (len <= FIXSTR_MAX) {
        put(out, FIXSTR | len);
    } else {
        put(out, STR8);
        put(out, len);
    }
    memcpy(out->bytes + out->len, text, len);
    out->len += len;
}

void msgpack_number(struct msgpack *out, unsigned number)
{
    put(out, number);
}

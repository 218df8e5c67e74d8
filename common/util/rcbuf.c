#include "util/rcbuf.h"

#include <stdlib.h>
#include <string.h>

struct rcbuf *rcbuf_new(size_t len)
{
    if (len > UINT32_MAX) {
        return NULL;
    }
    struct rcbuf *rcbuf = malloc(sizeof *rcbuf + len);
    if (rcbuf) {
        rcbuf->refs = 1;
        rcbuf->len = (uint32_t)len;
    }
    return rcbuf;
}

struct rcbuf *rcbuf_copy(struct str bytes)
{
    struct rcbuf *rcbuf = rcbuf_new(bytes.len);
    if (rcbuf && bytes.len > 0) {
        memcpy(rcbuf->data, bytes.ptr, bytes.len);
    }
    return rcbuf;
}

void rcbuf_unref(struct rcbuf **rcbuf)
{
    struct rcbuf *shared = *rcbuf;
    *rcbuf = NULL;
    if (shared && --shared->refs == 0) {
        free(shared);
    }
}

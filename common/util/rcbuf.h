/*
 * Immutable bytes shared by count: encoded once, queued to many.
 *
 * The maker fills `data` before it hands the first reference on; afterwards nobody writes. Counts
 * are plain integers: one rcbuf belongs to one loop.
 */
#ifndef UTIL_RCBUF_H
#define UTIL_RCBUF_H

#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

struct rcbuf {
    uint32_t refs;
    uint32_t len; /* bytes in data */
    char data[];
};

/* What a reference in a queue may cost beside its bytes, for those who bound a queue: the place
 * there, and the allocation of a small one that nobody shares. */
enum { RCBUF_OVERHEAD = 32 };

/* One reference, the caller's; contents undefined. NULL without memory or over 4 GiB. */
struct rcbuf *rcbuf_new(size_t len);
struct rcbuf *rcbuf_copy(struct str bytes);

static inline struct rcbuf *rcbuf_ref(struct rcbuf *rcbuf)
{
    rcbuf->refs++;
    return rcbuf;
}

/* Gives one reference back and forgets the pointer; *rcbuf may be NULL. */
void rcbuf_unref(struct rcbuf **rcbuf);

static inline struct str rcbuf_str(const struct rcbuf *rcbuf)
{
    return (struct str){rcbuf->data, rcbuf->len};
}

#endif

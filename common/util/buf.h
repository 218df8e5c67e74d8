/*
 * A growing byte buffer with a hard cap. At rest it owns nothing.
 */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct buf {
    char *data;   /* private: NULL while nothing was ever reserved */
    size_t len;   /* bytes in use */
    size_t cap;   /* bytes allocated */
    size_t limit; /* len never exceeds it; 0 means no limit */
};

void buf_init(struct buf *buf, size_t limit);
/* Releases the memory; the buffer is as after buf_init and may be used again. */
void buf_fini(struct buf *buf);

/* Room for n more bytes behind len. LIMIT, NOMEM. */
MUST_CHECK enum err buf_reserve(struct buf *buf, size_t n);
/* All appends are all or nothing: on LIMIT or NOMEM the buffer is as before. */
MUST_CHECK enum err buf_append(struct buf *buf, struct str bytes);
MUST_CHECK enum err buf_append_char(struct buf *buf, char c);
MUST_CHECK enum err buf_append_u64(struct buf *buf, uint64_t value);
MUST_CHECK enum err buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
MUST_CHECK enum err buf_vprintf(struct buf *buf, const char *format, va_list args);

/* What is in it, borrowed until the next change. */
struct str buf_str(const struct buf *buf);
/* Terminates with a NUL that len does not count; NULL on LIMIT or NOMEM. Borrowed likewise. */
const char *buf_cstr(struct buf *buf);
/* Drops the first n bytes (all, where n is larger). */
void buf_consume(struct buf *buf, size_t n);
/* Empties it and keeps the memory. */
void buf_clear(struct buf *buf);

#endif

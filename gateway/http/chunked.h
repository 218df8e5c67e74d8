/*
 * Decoder of the chunked transfer coding (RFC 9112 section 7.1). Sans-I/O, strict: extensions and
 * trailers are dropped, and bounded. All zero is the beginning.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct http_chunked {
    uint64_t left;     /* of the current chunk's data */
    uint32_t overhead; /* bytes of extensions and trailers so far */
    uint8_t digits;    /* of the current size */
    uint8_t state;     /* private */
};

/*
 * Takes from *input what belongs to the body and appends its data to `body`, whose limit bounds it.
 * OK: the body has ended, what follows is left in *input. AGAIN: all was taken, more is needed.
 * PROTO, LIMIT, NOMEM.
 */
MUST_CHECK enum err http_chunked_decode(struct http_chunked *chunked, struct str *input,
                                        struct buf *body);

#endif

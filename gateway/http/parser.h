/*
 * Heads of HTTP/1.x requests (RFC 9112). Sans-I/O, strict, linear in the bytes however they arrive.
 *
 * What two parsers might read differently is refused: bare LF or CR, folded lines, blanks before a
 * colon, several or odd Content-Lengths, Content-Length beside Transfer-Encoding, control bytes.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct http_head {
    struct http_request request; /* without its body */
    uint64_t content_length;     /* 0 where the body is chunked */
    bool chunked;
    bool keep_alive;       /* what the peer wants */
    bool expects_continue; /* it waits for 100 before it sends the body */
};

/*
 * Looks for the end of the first head in `bytes`. *scanned is the caller's, 0 at first and kept
 * while more bytes are put behind these. OK: *ret_size is the head's size, its empty line included.
 * AGAIN: more is needed. PROTO: a line does not end in CRLF. LIMIT: longer than `max`.
 */
MUST_CHECK enum err http_head_find(struct str bytes, size_t max, size_t *scanned, size_t *ret_size);

/*
 * Parses a whole head as found above into *ret_head, whose views point into it and whose headers
 * are in `headers`. PROTO or LIMIT: *ret_status is the status to refuse it with.
 */
MUST_CHECK enum err http_head_parse(struct str bytes, struct http_header *headers,
                                    size_t max_headers, struct http_head *ret_head,
                                    unsigned *ret_status);

/*
 * The Origin in a head that may be cut short or refused, so that its answer can be read by the page
 * which asked; ptr is NULL without one.
 */
struct str http_head_origin(struct str bytes);

#endif

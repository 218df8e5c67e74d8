/*
 * Heads of responses (RFC 9112 section 4).
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* "Not Found" for 404; "Unknown" for what is not in the table. */
struct str http_reason(unsigned status);

/*
 * Appends status line, Date, Content-Type (unless empty), Content-Length (where the status may have
 * one) and Connection: close where the connection is not kept. More lines and the empty one are up
 * to the caller. `old` is a peer of HTTP/1.0, which must be told that it is kept.
 */
struct http_response_head {
    unsigned status;
    struct str content_type;
    size_t content_length;
    struct str date;
    bool keep;
    bool old;
};
MUST_CHECK enum err http_response_begin(const struct http_response_head *head, struct buf *out);

enum { HTTP_DATE_LEN = 29 };
/* "Sun, 06 Nov 1994 08:49:37 GMT" and a terminator. */
void http_date(int64_t wall_seconds, char out[HTTP_DATE_LEN + 1]);

#endif

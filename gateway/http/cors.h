/*
 * Which pages may read our answers (Fetch standard, "CORS protocol"; credentials allowed).
 *
 * Echoes the page's own origin or nothing: browsers refuse "*" where credentials are sent.
 */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

#include <stdbool.h>

#include "http/request.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct http_cors {
    struct str origins; /* comma list or "*", borrowed; ptr is NULL without a policy */
};

/* Whether the origin is on the list. One that could not stand in a header never is. */
bool http_cors_allows(const struct http_cors *cors, struct str origin);
/* Appends header lines for any answer to a page of that origin (ptr NULL: to no page). */
MUST_CHECK enum err http_cors_headers(const struct http_cors *cors, struct str origin,
                                      struct buf *out);
/* Appends what the answer to a preflight has besides. */
MUST_CHECK enum err http_cors_preflight(const struct http_request *request, struct buf *out);

#endif

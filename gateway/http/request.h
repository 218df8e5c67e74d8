/*
 * A parsed request: views into bytes that somebody else owns.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

enum http_method {
    HTTP_GET,
    HTTP_POST,
    HTTP_OPTIONS,
    HTTP_HEAD,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_PATCH,
    HTTP_OTHER
};

struct http_header {
    struct str name;  /* as the peer spelled it */
    struct str value; /* without white space around it */
};

/* Everything in it is borrowed until the handler returns, except in upgrade requests: see there. */
struct http_request {
    enum http_method method;
    struct str path;        /* raw, from the first slash up to '?' */
    struct str query;       /* raw, behind '?', empty without */
    unsigned minor_version; /* 1 for HTTP/1.1 */
    const struct http_header *headers;
    size_t header_count;
    struct str body;
};

/* Value of the first header of that name in any letter case; ptr is NULL where there is none. */
struct str http_request_header(const struct http_request *request, struct str name);
/* Whether a comma list in any header of that name has the token, in any letter case (Connection:
 * …). */
bool http_request_has_token(const struct http_request *request, struct str name, struct str token);
/*
 * First query parameter of that name, percent-decoding left to the caller; ptr is NULL where it is
 * missing, len 0 where it is empty.
 */
struct str http_request_param(const struct http_request *request, struct str name);

#endif

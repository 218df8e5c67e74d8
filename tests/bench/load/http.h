/* The requests of a client and the responses to them, as far as the load generator needs them. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stddef.h>

#include "client.h"
#include "util/attr.h"
#include "util/err.h"

struct fleet;

enum { HTTP_REQUEST_MAX = 2048 };

/* A request as a whole, into `out`; its length. */
size_t http_websocket(const struct fleet *fleet, char out[HTTP_REQUEST_MAX]);
size_t http_poll(const struct fleet *fleet, const struct client *client,
                 char out[HTTP_REQUEST_MAX]);
/* With client->due as its body. */
size_t http_post(const struct fleet *fleet, const struct client *client,
                 char out[HTTP_REQUEST_MAX]);

struct http_response {
    char *body; /* inside the parsed bytes */
    size_t len;
    size_t size; /* of the whole response */
};

/* A response with a length. AGAIN while it is incomplete, PROTO unless it is a 200. */
MUST_CHECK enum err http_parse(char *bytes, size_t len, struct http_response *ret_response);

#endif

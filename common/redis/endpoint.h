/* Where a server listens: host and port, and how settings and log lines write them. */
#ifndef REDIS_ENDPOINT_H
#define REDIS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum {
    REDIS_HOST_MAX = 253,
    REDIS_ENDPOINT_TEXT_MAX = REDIS_HOST_MAX + 9, /* brackets, colon, port and terminator */
};

struct redis_endpoint {
    char host[REDIS_HOST_MAX + 1]; /* a name or numeric address, without brackets */
    uint64_t port;
};

/* INVALID: the host is empty, too long or holds what no host has; the port is not 1 … 65535. */
MUST_CHECK enum err redis_endpoint_set(struct redis_endpoint *endpoint, struct str host,
                                       uint64_t port);
bool redis_endpoint_eq(const struct redis_endpoint *a, const struct redis_endpoint *b);
/* "host:port", "[2001:db8::1]:port". */
void redis_endpoint_print(const struct redis_endpoint *endpoint,
                          char ret_text[REDIS_ENDPOINT_TEXT_MAX]);

/*
 * "host:port,host,[2001:db8::1]:port": commas between them, spaces around each are fine; one
 * without a port has `default_port`. INVALID; LIMIT: more than `cap`.
 */
MUST_CHECK enum err redis_endpoints_parse(struct str list, uint64_t default_port,
                                          struct redis_endpoint *endpoints, size_t cap,
                                          size_t *ret_count);

#endif

/* A JSON Web Token signed with HS256 (RFC 7519), one for each client of the load generator. */
#ifndef BENCH_TOKEN_H
#define BENCH_TOKEN_H

#include "util/attr.h"
#include "util/err.h"

enum { TOKEN_MAX = 512 };

/*
 * For user number `user`: `sub` is the number, `address` is 0x and its 40 hex digits; valid for an
 * hour. NUL-terminated. LIMIT, IO.
 */
MUST_CHECK enum err token_make(const char *secret, unsigned user, char out[TOKEN_MAX]);

#endif

/*
 * A name look-up that never blocks the loop: getaddrinfo in a short-lived thread.
 *
 * libevent's resolver would need another library and ignores nsswitch; getaddrinfo_a cannot be
 * abandoned safely while it runs. Numeric addresses are answered without a thread.
 */
#ifndef REDIS_RESOLVE_H
#define REDIS_RESOLVE_H

#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"

struct addrinfo;
struct redis_resolve;

/* Starts a look-up. NOMEM; IO: no thread or descriptor. */
MUST_CHECK enum err redis_resolve_start(const char *host, uint64_t port,
                                        struct redis_resolve **ret_resolve);
/* Becomes readable when the look-up is done. */
int redis_resolve_fd(const struct redis_resolve *resolve);
/*
 * Once it is readable: hands over the addresses (for freeaddrinfo). AGAIN; IO: *ret_why says why
 * the name means nothing, static text.
 */
MUST_CHECK enum err redis_resolve_take(struct redis_resolve *resolve,
                                       struct addrinfo **ret_addresses, const char **ret_why);
/* Abandons it, also while it is running. NULL is fine. */
void redis_resolve_free(struct redis_resolve *resolve);

/* The addresses of a numeric host, at once. INVALID: it is a name. */
MUST_CHECK enum err redis_resolve_numeric(const char *host, uint64_t port,
                                          struct addrinfo **ret_addresses);

#endif

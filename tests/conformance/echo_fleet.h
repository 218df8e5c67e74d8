/* Lets echo servers share their sessions, as gateways do: over a Redis. */
#ifndef CONFORMANCE_ECHO_FLEET_H
#define CONFORMANCE_ECHO_FLEET_H

#include <stdint.h>

#include "engineio/server.h"
#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"

struct echo_fleet;

/* With the Redis on a port of 127.0.0.1. NOMEM. */
MUST_CHECK enum err echo_fleet_join(struct loop *loop, uint64_t redis_port, struct eio_server *eio,
                                    struct echo_fleet **ret_fleet);
/* After the server is freed. NULL is fine. */
void echo_fleet_free(struct echo_fleet *fleet);

#endif

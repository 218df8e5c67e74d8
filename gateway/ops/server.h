/*
 * What operators see, on a port of its own: GET /healthz, /readyz, /metrics and /stats.
 */
#ifndef OPS_SERVER_H
#define OPS_SERVER_H

#include <stdint.h>

#include "app/app.h"
#include "engineio/server.h"
#include "http/server.h"
#include "loop/loop.h"
#include "net/server.h"
#include "ops/drain.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct ops_server;

/* What is reported on; all borrowed for the server's lifetime. */
struct ops_sources {
    const struct app *app;
    const struct eio_server *engine;
    const struct net_server *net; /* the clients' */
    const struct ops_drain *drain;
    int64_t started_ms; /* since 1970 */
};

/* On failure *complaint says what and why. */
MUST_CHECK enum err ops_server_open(struct loop *loop, const char *host, uint16_t port,
                                    const struct ops_sources *sources,
                                    struct ops_server **ret_server, struct buf *complaint);
/* NULL is fine. */
void ops_server_free(struct ops_server *server);
uint16_t ops_server_port(const struct ops_server *server);

#endif

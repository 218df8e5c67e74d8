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

/* What may be asked, each by a path of its own. */
enum ops_question { OPS_HEALTH, OPS_READINESS, OPS_METRICS, OPS_STATS, OPS_QUESTIONS };

enum { OPS_ANSWER_MAX = 4 * 1024 * 1024 };

/* What is reported on; all borrowed for the server's lifetime. */
struct ops_sources {
    struct app *app;
    const struct eio_server *engine;
    const struct net_server *net; /* the clients' */
    const struct ops_drain *drain;
    int64_t started_ms; /* since 1970 */
};

/* Who knows: calls ops_respond once for each question, now or later (see http_exchange_watch). */
struct ops_answerer {
    void (*on_question)(void *owner, enum ops_question question, struct http_exchange *exchange);
    void *owner;
};

/* With `err` the answer is that there is none. `body` is copied. */
void ops_respond(struct http_exchange *exchange, enum ops_question question, enum err err,
                 unsigned status, struct str body);

/* On failure *complaint says what and why. */
MUST_CHECK enum err ops_server_open(struct loop *loop, const char *host, uint16_t port,
                                    struct ops_answerer answerer, struct ops_server **ret_server,
                                    struct buf *complaint);
/* NULL is fine. */
void ops_server_free(struct ops_server *server);
uint16_t ops_server_port(const struct ops_server *server);

#endif

#include "ops/answer.h"

#include "ops/health.h"
#include "ops/metrics.h"
#include "ops/stats.h"

enum err ops_answer_write(const struct ops_sources *sources, enum ops_question question,
                          unsigned *ret_status, struct buf *out)
{
    bool good = true;
    enum err err = ERR_INVALID;
    switch (question) {
    case OPS_HEALTH:
        /* Whoever answers here is alive; Redis may be away, which restarting would not mend. */
        err = ops_health_write(sources, out);
        break;
    case OPS_READINESS:
        err = ops_readiness_write(sources, &good, out);
        break;
    case OPS_METRICS:
        err = ops_metrics_write(sources, out);
        break;
    case OPS_STATS:
        err = ops_stats_write(sources->app, out);
        break;
    case OPS_QUESTIONS:
        break;
    }
    if (!err) {
        *ret_status = good ? 200 : 503;
    }
    return err;
}

static void answer_now(void *owner, enum ops_question question, struct http_exchange *exchange)
{
    const struct ops_sources *sources = owner;
    struct buf body;
    unsigned status = 0;
    buf_init(&body, OPS_ANSWER_MAX);
    enum err err = ops_answer_write(sources, question, &status, &body);
    ops_respond(exchange, question, err, status, buf_str(&body));
    buf_fini(&body);
}

struct ops_answerer ops_answerer_of(const struct ops_sources *sources)
{
    return (struct ops_answerer){answer_now, (void *)sources};
}

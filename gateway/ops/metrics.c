#include "ops/metrics.h"

#include "engineio/fleet.h"
#include "ops/exposition.h"

static const char *reason_name(size_t reason)
{
    return eio_close_reason_name((enum eio_close_reason)reason);
}

/* Where the table's numbers come from. */
struct reading {
    const struct app *app;
    const struct bus_subscriber_stats *bus;
    const struct eio_server_stats *engine;
    const struct eio_fleet_stats *fleet;
    const struct net_server_stats *net;
    bool draining;
    uint64_t started_ms;
    uint64_t tls_expires_ms; /* UINT64_MAX: there is no certificate */
};

static void write_table(const struct reading *reading, struct exposition *text)
{
    const struct app *app = reading->app;
    const struct bus_subscriber_stats *bus = reading->bus;
    const struct eio_server_stats *engine = reading->engine;
    const struct eio_fleet_stats *fleet = reading->fleet;
    const struct net_server_stats *net = reading->net;
    const struct loop_stats *loop = loop_stats(app->loop);
    bool draining = reading->draining;
    uint64_t started_ms = reading->started_ms;
    uint64_t tls_expires_ms = reading->tls_expires_ms;
#define GAUGE   "gauge"
#define COUNTER "counter"
#define GROUP(title)
#define FAMILY(type, name, label, help) exposition_family(text, type, name, label, help);
#define SAMPLE(value, number)           exposition_labelled(text, value, number);
#define SAMPLES(name_of, numbers)                                                                  \
    exposition_all_labelled(text, name_of, numbers, ARRAY_LEN(numbers));
#define METRIC(type, name, help, number)                                                           \
    exposition_family(text, type, name, NULL, help);                                               \
    exposition_number(text, number);
#define SECONDS(type, name, help, ms)                                                              \
    exposition_family(text, type, name, NULL, help);                                               \
    exposition_seconds(text, ms);
#include "ops/metrics.def"
}

static uint64_t expires_ms(const struct tls_context *tls)
{
    return tls ? (uint64_t)tls_context_expires(tls) * 1000 : UINT64_MAX;
}

enum err ops_metrics_write(const struct ops_sources *sources, struct buf *out)
{
    static const struct eio_fleet_stats alone;
    const struct eio_fleet_stats *fleet = eio_server_fleet_stats(sources->engine);
    struct reading reading = {
        .app = sources->app,
        .bus = bus_subscriber_stats(sources->app->subscriber),
        .engine = eio_server_stats(sources->engine),
        .fleet = fleet ? fleet : &alone,
        .net = net_server_stats(sources->net),
        .draining = ops_draining(sources->drain),
        .started_ms = (uint64_t)sources->started_ms,
        .tls_expires_ms = expires_ms(net_server_tls(sources->net)),
    };
    struct exposition text = {.out = out};
    write_table(&reading, &text);
    return text.err;
}

#include "ops/metrics.h"

/* A text that is being written: nothing more is once something has failed. */
struct text {
    struct buf *out;
    enum err err;
    const char *family, *label;
};

static void begin_family(struct text *text, const char *type, const char *name, const char *label,
                         const char *help)
{
    text->family = name;
    text->label = label;
    text->err = text->err ? text->err
                          : buf_printf(text->out,
                                       "# HELP " OPS_METRICS_PREFIX "%s %s\n"
                                       "# TYPE " OPS_METRICS_PREFIX "%s %s\n",
                                       name, help, name, type);
}

static void add_number(struct text *text, uint64_t number)
{
    text->err = text->err ? text->err
                          : buf_printf(text->out, OPS_METRICS_PREFIX "%s %llu\n", text->family,
                                       (unsigned long long)number);
}

static void add_seconds(struct text *text, uint64_t ms)
{
    if (ms != UINT64_MAX && !text->err) {
        text->err = buf_printf(text->out, OPS_METRICS_PREFIX "%s %llu.%03u\n", text->family,
                               (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
    }
}

static void add_labelled(struct text *text, const char *value, uint64_t number)
{
    text->err = text->err
                    ? text->err
                    : buf_printf(text->out, OPS_METRICS_PREFIX "%s{%s=\"%s\"} %llu\n", text->family,
                                 text->label, value, (unsigned long long)number);
}

static void add_all_labelled(struct text *text, const char *(*name_of)(size_t),
                             const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_labelled(text, name_of(i), numbers[i]);
    }
}

static const char *reason_name(size_t reason)
{
    return eio_close_reason_name((enum eio_close_reason)reason);
}

/* Where the table's numbers come from. */
struct reading {
    const struct app *app;
    const struct bus_subscriber_stats *bus;
    const struct eio_server_stats *engine;
    const struct net_server_stats *net;
    bool draining;
    uint64_t started_ms;
};

static void write_table(const struct reading *reading, struct text *text)
{
    const struct app *app = reading->app;
    const struct bus_subscriber_stats *bus = reading->bus;
    const struct eio_server_stats *engine = reading->engine;
    const struct net_server_stats *net = reading->net;
    bool draining = reading->draining;
    uint64_t started_ms = reading->started_ms;
#define GAUGE   "gauge"
#define COUNTER "counter"
#define GROUP(title)
#define FAMILY(type, name, label, help) begin_family(text, type, name, label, help);
#define SAMPLE(value, number)           add_labelled(text, value, number);
#define SAMPLES(name_of, numbers)       add_all_labelled(text, name_of, numbers, ARRAY_LEN(numbers));
#define METRIC(type, name, help, number)                                                           \
    begin_family(text, type, name, NULL, help);                                                    \
    add_number(text, number);
#define SECONDS(type, name, help, ms)                                                              \
    begin_family(text, type, name, NULL, help);                                                    \
    add_seconds(text, ms);
#include "ops/metrics.def"
}

enum err ops_metrics_write(const struct ops_sources *sources, struct buf *out)
{
    struct reading reading = {
        .app = sources->app,
        .bus = bus_subscriber_stats(sources->app->subscriber),
        .engine = eio_server_stats(sources->engine),
        .net = net_server_stats(sources->net),
        .draining = ops_draining(sources->drain),
        .started_ms = (uint64_t)sources->started_ms,
    };
    struct text text = {.out = out};
    write_table(&reading, &text);
    return text.err;
}

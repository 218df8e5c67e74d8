#include "ops/health.h"

static enum err write_age(uint64_t age_ms, struct buf *out)
{
    return age_ms == UINT64_MAX ? buf_append(out, STR("null")) : buf_append_u64(out, age_ms);
}

enum err ops_health_write(const struct ops_sources *sources, struct buf *out)
{
    const struct bus_subscriber *subscriber = sources->app->subscriber;
    enum err err = buf_printf(out, "{\"status\":\"ok\",\"redis\":\"%s\",\"probeAgeMs\":",
                              bus_subscriber_connected(subscriber) ? "up" : "down");
    err = err ? err : write_age(bus_subscriber_probe_age_ms(subscriber), out);
    return err ? err
               : buf_printf(out, ",\"sessions\":%zu}\n",
                            eio_server_stats(sources->engine)->sessions);
}

static enum err write_why(enum bus_readiness readiness, uint64_t age_ms, struct buf *out)
{
    unsigned long long age = age_ms;
    switch (readiness) {
    case BUS_READY:
        break;
    case BUS_NOT_CONNECTED:
        return buf_append(out, STR("Redis is not connected"));
    case BUS_PROBES_REFUSED:
        return buf_append(out, STR("Redis refuses probes; the log has its words"));
    case BUS_NO_PROBE_YET:
        return buf_append(out, STR("no probe has come back yet"));
    case BUS_PROBES_MISSED:
        return buf_printf(out, "probes missed; the last one came back %llu ms ago", age);
    case BUS_PROBE_OVERDUE:
        return buf_printf(out, "no probe has come back for %llu ms", age);
    }
    return OK;
}

enum err ops_readiness_write(const struct ops_sources *sources, bool *ret_ready, struct buf *out)
{
    const struct bus_subscriber *subscriber = sources->app->subscriber;
    enum bus_readiness readiness = bus_subscriber_readiness(subscriber);
    uint64_t age_ms = bus_subscriber_probe_age_ms(subscriber);
    if (ops_draining(sources->drain)) {
        *ret_ready = false;
        return buf_append(out, STR("{\"status\":\"not ready\",\"why\":\"draining\"}\n"));
    }
    bool known = sources->app->revocations.known;
    *ret_ready = readiness == BUS_READY && known;
    if (*ret_ready) {
        return buf_printf(out, "{\"status\":\"ready\",\"probeAgeMs\":%llu}\n",
                          (unsigned long long)age_ms);
    }
    enum err err = buf_append(out, STR("{\"status\":\"not ready\",\"why\":\""));
    err = err                      ? err
          : readiness == BUS_READY ? buf_append(out, STR("revocations are not read yet"))
                                   : write_why(readiness, age_ms, out);
    return err ? err : buf_append(out, STR("\"}\n"));
}

#include "workers/merge.h"

#include "util/jtext.h"

size_t merge_up(const struct merge_part *parts, size_t count)
{
    size_t up = 0;
    for (size_t i = 0; i < count; i++) {
        up += !parts[i].why_not;
    }
    return up;
}

enum err merge_health(const struct merge_part *parts, size_t count, struct buf *out)
{
    return buf_printf(out, "{\"status\":\"ok\",\"workers\":%zu,\"workersUp\":%zu}\n", count,
                      merge_up(parts, count));
}

/* Why the worker is not ready, as the inside of a JSON string; empty where it is. */
static struct str why_not_ready(const struct merge_part *part)
{
    if (part->why_not) {
        return str_from(part->why_not);
    }
    if (part->status == 200) {
        return STR("");
    }
    struct str why = jtext_member(part->body, STR("why"));
    /* Without its quotes; its escapes stay. */
    return why.len > 2 ? str_range(why.ptr + 1, why.len - 2) : STR("not ready");
}

static enum err write_reasons(const struct merge_part *parts, size_t count, struct buf *out)
{
    enum err err = OK;
    bool first = true;
    for (size_t i = 0; i < count && !err; i++) {
        struct str why = why_not_ready(&parts[i]);
        if (why.len > 0) {
            err = buf_printf(out, "%sworker %zu: " STR_FMT, first ? "" : "; ", i, STR_ARG(why));
            first = false;
        }
    }
    return err;
}

enum err merge_readiness(const struct merge_part *parts, size_t count, bool *ret_ready,
                         struct buf *out)
{
    size_t ready = 0;
    for (size_t i = 0; i < count; i++) {
        ready += why_not_ready(&parts[i]).len == 0;
    }
    *ret_ready = ready == count;
    if (ready == count) {
        return buf_printf(out, "{\"status\":\"ready\",\"workers\":%zu}\n", count);
    }
    enum err err = buf_append(out, STR("{\"status\":\"not ready\",\"why\":\""));
    err = err ? err : write_reasons(parts, count, out);
    return err ? err : buf_append(out, STR("\"}\n"));
}

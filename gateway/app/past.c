#include "app/past.h"

#include "app/app.h"
#include "util/jtext.h"

enum { EVENT_HEAD = 96 /* bytes of an event in an answer beside its payload */ };

const char *app_past_read(struct str since, struct str last, uint64_t most, struct app_join *join)
{
    uint64_t number;
    if (since.len > 0 && last.len > 0) {
        return "Expected since or last, not both";
    }
    join->wants_past = since.len > 0 || last.len > 0;
    if (since.len > 0) {
        bool text = jtext_kind(since) == JTEXT_STRING;
        since = text ? str_range(since.ptr + 1, since.len - 2) : since;
        bool good = text && !str_to_u64(since, &join->past.position.since);
        return good ? NULL : "Invalid since; expected the id of an event";
    }
    if (last.len > 0) {
        if (str_to_u64(last, &number) || number == 0) {
            return "Invalid last; expected a whole number from 1";
        }
        join->past.most = (unsigned)(number < most ? number : most);
    }
    return NULL;
}

/* {"id":…,"event":…,"payload":…} */
static enum err append_event(const struct app_event *event, struct buf *out)
{
    enum err err = buf_printf(out, "{\"id\":\"%llu\",\"event\":\"%s\",\"payload\":",
                              (unsigned long long)event->id, event->name);
    err = err ? err : buf_append(out, app_event_payload(event));
    return err ? err : buf_append_char(out, '}');
}

/*
 * The oldest from which on everything is wanted, and fits into one answer; *ret_all turns false
 * where some that are wanted do not.
 */
static const struct app_recent_entry *first_to_tell(const struct app_join *join, bool *ret_all)
{
    uint64_t most = join->past.most ? join->past.most : join->member->app->options->max_history;
    const struct app_recent_entry *first = app_recent_past(join->room, join->past.position.since);
    uint64_t count = 0;
    size_t bytes = 0;
    for (const struct app_recent_entry *entry = first; entry; entry = app_recent_next(entry)) {
        count++;
        bytes += entry->event->payload_len + EVENT_HEAD;
        while (first != entry && (count > most || bytes > APP_PAST_BYTES_MAX)) {
            *ret_all = *ret_all && join->past.most > 0 && count > most;
            count--;
            bytes -= first->event->payload_len + EVENT_HEAD;
            first = app_recent_next(first);
        }
    }
    return first;
}

enum err app_past_write(const struct app_join *join, struct buf *out)
{
    bool all = true;
    const struct app_recent_entry *entry = first_to_tell(join, &all);
    enum err err = buf_append(out, STR(",\"events\":["));
    for (bool more = false; entry && !err; entry = app_recent_next(entry), more = true) {
        err = more ? buf_append_char(out, ',') : OK;
        err = err ? err : append_event(entry->event, out);
    }
    const char *complete = join->past.complete && all ? "true" : "false";
    return err ? err : buf_printf(out, "],\"complete\":%s", complete);
}

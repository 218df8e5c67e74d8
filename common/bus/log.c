#include "bus/log.h"

#include <hiredis/hiredis.h>

enum { HEAD = 3 /* clock, time, newest */, ARGS_MAX = 5, US_PER_SECOND = 1000000 };

/* --- Answers --- */

static struct str text_at(const redisReply *reply, size_t i)
{
    const redisReply *element = reply->element[i];
    return element->type == REDIS_REPLY_STRING ? (struct str){element->str, element->len}
                                               : (struct str){"", 0};
}

struct str bus_log_entry(const struct bus_log_page *page, size_t i)
{
    return text_at(page->reply, HEAD + i);
}

enum err bus_log_envelope(const struct bus_log_page *page, size_t i,
                          struct bus_envelope *ret_envelope)
{
    return bus_envelope_parse(bus_log_entry(page, i), ret_envelope);
}

/* As the script sees it: also of an entry that is no event. 0: it has none. */
static uint64_t id_of(struct str entry)
{
    size_t digits = 0;
    uint64_t id;
    while (digits < entry.len && entry.ptr[digits] >= '0' && entry.ptr[digits] <= '9') {
        digits++;
    }
    return str_to_u64(str_range(entry.ptr, digits), &id) ? 0 : id;
}

static uint64_t largest_id(const struct bus_log_page *page)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < page->count; i++) {
        uint64_t id = id_of(bus_log_entry(page, i));
        largest = id > largest ? id : largest;
    }
    return largest;
}

static enum err read_page(const redisReply *reply, struct bus_log_page *page)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < HEAD) {
        return ERR_PROTO;
    }
    *page = (struct bus_log_page){.reply = reply, .count = reply->elements - HEAD};
    enum err err = str_to_u64(text_at(reply, 0), &page->clock);
    err = err ? err : str_to_u64(text_at(reply, 1), &page->now_us);
    err = err ? err : str_to_u64(text_at(reply, 2), &page->newest);
    page->last = largest_id(page);
    page->more = page->last > 0 && page->last < page->newest;
    return err;
}

static void on_answer(void *context, const struct redisReply *reply)
{
    struct bus_log_query *query = context;
    struct bus_log_page page;
    enum err err = read_page(reply, &page);
    query->request = NULL;
    query->done(query, err ? NULL : &page);
}

/* --- Questions --- */

/* Their places are known by their ends until the text stops moving. */
struct words {
    struct buf text;
    size_t ends[ARGS_MAX];
    size_t count;
};

static enum err end_word(struct words *words, enum err err)
{
    words->ends[words->count++] = words->text.len;
    return err;
}

static enum err add_number(struct words *words, uint64_t number)
{
    return end_word(words, buf_append_u64(&words->text, number));
}

static enum err add_all(struct words *words, const struct bus_keys *keys,
                        const struct bus_log_read *read)
{
    unsigned partition = read->room.len > 0 ? bus_partition(keys, read->room) : read->partition;
    enum err err = end_word(words, bus_clock_key(keys, partition, &words->text));
    if (err || read->room.len == 0) {
        return err;
    }
    err = end_word(words, bus_log_key(keys, read->room, &words->text));
    err = err ? err : add_number(words, read->since);
    err = err ? err : add_number(words, read->most);
    return err ? err : add_number(words, BUS_LOG_PAGE_BYTES);
}

enum err bus_log_ask(struct bus_store *store, const struct bus_keys *keys,
                     const struct bus_log_read *read, bus_log_fn done, struct bus_log_query *query)
{
    struct words words = {0};
    struct str args[ARGS_MAX];
    enum err err = add_all(&words, keys, read);
    for (size_t i = 0, at = 0; !err && i < words.count; at = words.ends[i++]) {
        args[i] = str_range(words.text.data + at, words.ends[i] - at);
    }
    if (!err) {
        query->done = done;
        query->request = bus_store_call(store, &bus_read_script, read->room.len > 0 ? 2 : 1, args,
                                        words.count, on_answer, query);
        err = query->request ? OK : ERR_NOMEM;
    }
    buf_fini(&words.text);
    return err;
}

void bus_log_cancel(struct bus_log_query *query)
{
    bus_store_cancel(query->request);
    query->request = NULL;
}

/* --- Trust --- */

/* Whether an event between `from` and `to` would still be there by its age. */
static bool too_young_to_expire(uint64_t from, uint64_t to, struct bus_history history)
{
    return to <= from || to - from < (uint64_t)history.age_seconds * US_PER_SECOND;
}

bool bus_log_reaches(const struct bus_log_page *page, struct bus_log_position position,
                     struct bus_history history)
{
    uint64_t known = position.as_of > position.since ? position.as_of : position.since;
    struct bus_envelope first;
    if (history.length == 0) {
        return true;
    }
    if (page->count == 0) {
        return page->newest > 0 || too_young_to_expire(known, page->now_us, history);
    }
    if (bus_log_envelope(page, 0, &first)) {
        return false;
    }
    return first.previous > 0 ? first.previous <= known
                              : too_young_to_expire(known, first.id, history);
}

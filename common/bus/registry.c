#include "bus/registry.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "util/jtext.h"

enum {
    FORGOTTEN_AFTER_MS = 60000, /* a gateway without an entry stays in the set for so long */
    ENTRY_DEPTH_MAX = 8,
};

/* --- The entry --- */

enum kind { TEXT, NUMBER, AGE, FLAG };

/* The members of an entry in their order; those with a parent stand in an object of that name. */
static const struct field {
    const char *parent, *key;
    enum kind kind;
    size_t offset, size; /* size: of a text, its terminator among it */
} fields[] = {
#define AT(member) offsetof(struct bus_gateway, member)
#define WORD(m)    TEXT, AT(m), sizeof(((struct bus_gateway *)0)->m)
#define COUNT(m)   NUMBER, AT(m), 0
    {NULL, "id", WORD(id)},
    {NULL, "host", WORD(host)},
    {NULL, "pid", COUNT(pid)},
    {NULL, "worker", COUNT(worker)},
    {NULL, "version", WORD(version)},
    {NULL, "started", COUNT(started_ms)},
    {NULL, "time", COUNT(time_ms)},
    {NULL, "port", COUNT(port)},
    {NULL, "opsPort", COUNT(ops_port)},
    {"connections", "polling", COUNT(polling)},
    {"connections", "websocket", COUNT(websocket)},
    {NULL, "maxConnections", COUNT(max_connections)},
    {NULL, "clients", COUNT(clients)},
    {NULL, "rooms", COUNT(rooms)},
    {NULL, "deliveries", COUNT(deliveries)},
    {NULL, "received", COUNT(received)},
    {NULL, "queueBytes", COUNT(queue_bytes)},
    {NULL, "lagMs", COUNT(lag_ms)},
    {NULL, "probeAgeMs", AGE, AT(probe_age_ms), 0},
    {NULL, "pingInterval", COUNT(ping_interval_ms)},
    {NULL, "pingTimeout", COUNT(ping_timeout_ms)},
    {NULL, "draining", FLAG, AT(draining), 0},
    {NULL, "ready", FLAG, AT(ready), 0},
};

static enum err write_value(const struct bus_gateway *gateway, const struct field *field,
                            struct buf *out)
{
    const char *at = (const char *)gateway + field->offset;
    uint64_t number = 0;
    switch (field->kind) {
    case TEXT:
        return jtext_quote(str_from(at), out);
    case FLAG:
        return buf_append(out, *(const bool *)at ? STR("true") : STR("false"));
    case NUMBER:
    case AGE:
        memcpy(&number, at, sizeof number);
        break;
    }
    return field->kind == AGE && number == UINT64_MAX ? buf_append(out, STR("null"))
                                                      : buf_append_u64(out, number);
}

static enum err write_all(const struct bus_gateway *gateway, struct buf *out)
{
    enum err err = buf_append_char(out, '{');
    const char *inside = NULL;
    for (size_t i = 0; i < ARRAY_LEN(fields) && !err; i++) {
        const struct field *field = &fields[i];
        if (inside && !field->parent) {
            err = buf_append_char(out, '}');
        }
        bool begins = field->parent && !inside;
        err = err || i == 0 ? err : buf_append_char(out, ',');
        err = err || !begins ? err : buf_printf(out, "\"%s\":{", field->parent);
        err = err ? err : buf_printf(out, "\"%s\":", field->key);
        err = err ? err : write_value(gateway, field, out);
        inside = field->parent;
    }
    return err ? err : buf_append_char(out, '}');
}

enum err bus_gateway_write(const struct bus_gateway *gateway, struct buf *out)
{
    size_t before = out->len;
    enum err err = write_all(gateway, out);
    if (err) {
        out->len = before;
    }
    return err;
}

static enum err read_text(struct str value, char *to, size_t size)
{
    struct buf text;
    buf_init(&text, size - 1);
    enum err err = jtext_unescape(value, &text);
    if (!err && memchr(text.data ? text.data : "", '\0', text.len)) {
        err = ERR_PROTO;
    }
    if (!err && text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    to[err ? 0 : text.len] = '\0';
    buf_fini(&text);
    return err == ERR_NOMEM ? ERR_NOMEM : err ? ERR_PROTO : OK;
}

static enum err read_number(struct str value, enum kind kind, char *to)
{
    uint64_t number = UINT64_MAX;
    if (kind == AGE && jtext_kind(value) == JTEXT_NULL) {
        memcpy(to, &number, sizeof number);
        return OK;
    }
    if (jtext_kind(value) != JTEXT_NUMBER || str_to_u64(value, &number)) {
        return ERR_PROTO;
    }
    memcpy(to, &number, sizeof number);
    return OK;
}

static enum err read_flag(struct str value, char *to)
{
    enum jtext_kind kind = jtext_kind(value);
    *(bool *)to = kind == JTEXT_TRUE;
    return kind == JTEXT_TRUE || kind == JTEXT_FALSE ? OK : ERR_PROTO;
}

static enum err read_field(struct str object, const struct field *field,
                           struct bus_gateway *gateway)
{
    if (field->parent) {
        object = jtext_member(object, str_from(field->parent));
    }
    if (jtext_kind(object) == JTEXT_NONE) {
        return OK;
    }
    if (jtext_kind(object) != JTEXT_OBJECT) {
        return ERR_PROTO;
    }
    struct str value = jtext_member(object, str_from(field->key));
    char *to = (char *)gateway + field->offset;
    if (jtext_kind(value) == JTEXT_NONE) {
        return OK;
    }
    switch (field->kind) {
    case TEXT:
        return jtext_kind(value) == JTEXT_STRING ? read_text(value, to, field->size) : ERR_PROTO;
    case FLAG:
        return read_flag(value, to);
    case NUMBER:
    case AGE:
        break;
    }
    return read_number(value, field->kind, to);
}

enum err bus_gateway_parse(struct str text, struct bus_gateway *ret_gateway)
{
    struct bus_gateway gateway = {0};
    if (jtext_check(text, ENTRY_DEPTH_MAX)) {
        return ERR_PROTO;
    }
    struct str object = jtext_trim(text);
    if (jtext_kind(object) != JTEXT_OBJECT) {
        return ERR_PROTO;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        enum err err = read_field(object, &fields[i], &gateway);
        if (err) {
            return err;
        }
    }
    if (gateway.id[0] == '\0') {
        return ERR_PROTO;
    }
    *ret_gateway = gateway;
    return OK;
}

/* --- Writing --- */

struct names {
    struct buf entry, all;
};

static enum err make_names(const struct bus_keys *keys, struct str id, struct names *names)
{
    *names = (struct names){0};
    enum err err = bus_gateway_key(keys, id, &names->entry);
    return err ? err : bus_gateways_key(keys, &names->all);
}

static void free_names(struct names *names)
{
    buf_fini(&names->entry);
    buf_fini(&names->all);
}

struct bus_request *bus_registry_write(struct bus_store *store, const struct bus_keys *keys,
                                       const struct bus_gateway *gateway, uint64_t ttl_ms,
                                       bus_answer_fn done, void *context)
{
    struct names names;
    struct buf entry = {0}, ttl = {0}, forgotten = {0};
    struct bus_request *request = NULL;
    struct str id = str_from(gateway->id);
    enum err err = make_names(keys, id, &names);
    err = err ? err : bus_gateway_write(gateway, &entry);
    err = err ? err : buf_append_u64(&ttl, ttl_ms);
    err = err ? err : buf_append_u64(&forgotten, FORGOTTEN_AFTER_MS);
    if (!err) {
        const struct str args[] = {buf_str(&names.entry), buf_str(&names.all), id,
                                   buf_str(&entry),       buf_str(&ttl),       buf_str(&forgotten)};
        request =
            bus_store_call(store, &bus_register_script, 2, args, ARRAY_LEN(args), done, context);
    }
    free_names(&names);
    buf_fini(&entry);
    buf_fini(&ttl);
    buf_fini(&forgotten);
    return request;
}

/* Without memory, or Redis, the entry is gone by itself after a while. */
void bus_registry_remove(struct bus_store *store, const struct bus_keys *keys, struct str id)
{
    struct names names;
    if (!make_names(keys, id, &names)) {
        const struct str drop[] = {STR("DEL"), buf_str(&names.entry)};
        const struct str leave[] = {STR("ZREM"), buf_str(&names.all), id};
        bus_store_ask(store, drop, ARRAY_LEN(drop), NULL, NULL);
        bus_store_ask(store, leave, ARRAY_LEN(leave), NULL, NULL);
    }
    free_names(&names);
}

/* --- Reading: the set, and then the entry of each --- */

struct bus_registry_read {
    struct bus_store *store;
    struct bus_keys keys;
    bus_registry_fn done;
    void *context;
    struct bus_registered *gateways;
    struct bus_request **requests; /* for the set, then for the entries in their order */
    size_t count, answered;
};

static void read_free(struct bus_registry_read *read)
{
    free(read->gateways);
    free(read->requests);
    free(read);
}

void bus_registry_cancel(struct bus_registry_read *read)
{
    if (!read) {
        return;
    }
    size_t requests = read->count > 0 ? read->count : 1;
    for (size_t i = read->answered; i < requests; i++) {
        bus_store_cancel(read->requests[i]);
    }
    read_free(read);
}

static void conclude(struct bus_registry_read *read, enum err err)
{
    size_t count = err ? 0 : read->count;
    bus_registry_fn done = read->done;
    void *context = read->context;
    struct bus_registered *gateways = read->gateways;
    read->gateways = NULL;
    if (err) {
        bus_registry_cancel(read);
    } else {
        read_free(read);
    }
    done(context, err, gateways, count);
    free(gateways);
}

static struct str text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct str){reply->str, reply->len} : STR("");
}

/* Answers come in the order of asking. */
static void on_entry(void *context, const struct redisReply *reply)
{
    struct bus_registry_read *read = context;
    struct bus_registered *registered = &read->gateways[read->answered++];
    struct bus_gateway gateway;
    if (reply->type == REDIS_REPLY_ERROR) {
        conclude(read, ERR_DENIED);
        return;
    }
    enum err err = bus_gateway_parse(text_of(reply), &gateway);
    if (err == ERR_NOMEM) {
        conclude(read, err);
        return;
    }
    if (!err) {
        registered->alive = true;
        registered->gateway = gateway;
    }
    if (read->answered == read->count) {
        conclude(read, OK);
    }
}

static struct bus_request *ask_entry(struct bus_registry_read *read, struct str id)
{
    struct buf key = {0};
    struct bus_request *request = NULL;
    if (!bus_gateway_key(&read->keys, id, &key)) {
        const struct str args[] = {STR("GET"), buf_str(&key)};
        request = bus_store_ask(read->store, args, ARRAY_LEN(args), on_entry, read);
    }
    buf_fini(&key);
    return request;
}

static enum err ask_entries(struct bus_registry_read *read)
{
    for (size_t i = 0; i < read->count; i++) {
        read->requests[i] = ask_entry(read, str_from(read->gateways[i].gateway.id));
        if (!read->requests[i]) {
            return ERR_NOMEM;
        }
    }
    return OK;
}

/* A member that no gateway has written is passed over. */
static void take_member(struct bus_registry_read *read, const redisReply *id,
                        const redisReply *score)
{
    uint64_t seen_ms;
    struct str name = text_of(id);
    if (name.len == 0 || name.len > BUS_GATEWAY_ID_MAX || memchr(name.ptr, '\0', name.len) ||
        str_to_u64(text_of(score), &seen_ms)) {
        return;
    }
    struct bus_registered *registered = &read->gateways[read->count++];
    *registered = (struct bus_registered){.seen_ms = seen_ms};
    memcpy(registered->gateway.id, name.ptr, name.len);
}

static enum err take_members(struct bus_registry_read *read, const redisReply *reply)
{
    size_t members = reply->elements / 2;
    if (members > BUS_REGISTERED_MAX) {
        return ERR_LIMIT;
    }
    struct bus_request **requests = calloc(members + 1, sizeof(struct bus_request *));
    read->gateways = calloc(members + 1, sizeof *read->gateways);
    if (!requests || !read->gateways) {
        free(requests);
        return ERR_NOMEM;
    }
    free(read->requests);
    read->requests = requests;
    for (size_t i = 0; i < members; i++) {
        take_member(read, reply->element[2 * i], reply->element[2 * i + 1]);
    }
    return OK;
}

static void on_members(void *context, const struct redisReply *reply)
{
    struct bus_registry_read *read = context;
    read->requests[0] = NULL;
    enum err err = reply->type == REDIS_REPLY_ARRAY ? take_members(read, reply) : ERR_DENIED;
    err = err ? err : ask_entries(read);
    if (err || read->count == 0) {
        conclude(read, err);
    }
}

struct bus_registry_read *bus_registry_read(struct bus_store *store, const struct bus_keys *keys,
                                            bus_registry_fn done, void *context)
{
    struct bus_registry_read *read = calloc(1, sizeof *read);
    struct buf all = {0};
    if (!read) {
        return NULL;
    }
    *read =
        (struct bus_registry_read){.store = store, .keys = *keys, .done = done, .context = context};
    read->requests = calloc(1, sizeof(struct bus_request *));
    if (read->requests && !bus_gateways_key(keys, &all)) {
        const struct str args[] = {STR("ZRANGE"), buf_str(&all), STR("0"), STR("-1"),
                                   STR("WITHSCORES")};
        read->requests[0] = bus_store_ask(store, args, ARRAY_LEN(args), on_members, read);
    }
    buf_fini(&all);
    if (!read->requests || !read->requests[0]) {
        read_free(read);
        return NULL;
    }
    return read;
}

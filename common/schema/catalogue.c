#include "schema/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "schema/catalogue_tables.h"
#include "schema/check.h"
#include "util/clock.h"
#include "util/jtext.h"

enum { FIELDS_MAX = 32 };

const struct catalogue_event *catalogue_events(size_t *ret_count)
{
    *ret_count = catalogue_table_count;
    return catalogue_table;
}

const struct catalogue_event *catalogue_find(struct str name)
{
    if (name.len > catalogue_longest_name) {
        return NULL;
    }
    uint32_t hash = catalogue_seed;
    for (size_t i = 0; i < name.len; i++) {
        hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619;
    }
    int index = catalogue_slots[hash >> 27];
    const struct catalogue_event *event = index < 0 ? NULL : &catalogue_table[index];
    return event && str_eq(name, str_from(event->name)) ? event : NULL;
}

/* One call of catalogue_encode. */
struct encoding {
    const struct catalogue_event *event;
    struct str data;
    struct str values[FIELDS_MAX]; /* by the event's fields; empty: not given */
    struct buf scratch;
    struct buf *complaint;
};

static enum err complain(struct encoding *e, const char *what)
{
    enum err err = buf_append(e->complaint, str_from(what));
    return err ? err : ERR_INVALID;
}

static enum err complain_key(struct encoding *e, struct str key, const char *what)
{
    struct str seen = check_excerpt(key);
    enum err err = buf_printf(e->complaint, "data." STR_FMT "%s: %s %s", STR_ARG(seen),
                              seen.len < key.len ? "…" : "", what, e->event->name);
    return err ? err : ERR_INVALID;
}

/* The UTF-16 unit of the escape \uXXXX at `at`; 0 where there is no such escape. */
static unsigned unit_at(struct str text, size_t at)
{
    if (text.len < at + 6 || text.ptr[at] != '\\' || text.ptr[at + 1] != 'u') {
        return 0;
    }
    char digits[5] = {0};
    memcpy(digits, text.ptr + at + 2, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

static bool is_high(unsigned unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(unsigned unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Half a surrogate pair somewhere: JavaScript takes it, but parsers elsewhere call it malformed. */
static bool has_half_pair(struct str text)
{
    for (size_t at = str_find(text, '\\'); at < text.len;) {
        unsigned unit = unit_at(text, at);
        bool pair = is_high(unit) && is_low(unit_at(text, at + 6));
        if (!pair && (is_high(unit) || is_low(unit))) {
            return true;
        }
        at += pair ? 12 : 2;
        at += str_find(str_skip(text, at), '\\');
    }
    return false;
}

static enum err check_form(struct encoding *e)
{
    if (e->data.len > CATALOGUE_DATA_MAX) {
        return complain(e, "data: larger than 512 KiB");
    }
    enum err err = jtext_check(e->data, CATALOGUE_DEPTH_MAX);
    if (err == ERR_LIMIT) {
        return complain(e, "data: nested deeper than 64 levels");
    }
    if (err) {
        return complain(e, "data: expected a JSON object, got text that is not JSON in UTF-8");
    }
    if (jtext_kind(e->data) != JTEXT_OBJECT) {
        return complain(e, "data: expected a JSON object, got another kind of value");
    }
    return has_half_pair(e->data) ? complain(e, "data: has half of a surrogate pair") : OK;
}

static size_t field_index(const struct catalogue_event *event, struct str key)
{
    size_t i = 0;
    while (i < event->field_count && !jtext_is(key, str_from(event->fields[i].name))) {
        i++;
    }
    return i;
}

static enum err check_given(struct encoding *e)
{
    struct jtext_walk walk;
    struct str key, value;
    jtext_walk(&walk, e->data);
    while (jtext_next(&walk, &key, &value)) {
        size_t i = field_index(e->event, key);
        if (i == e->event->field_count) {
            return complain_key(e, key, "unknown field of");
        }
        if (e->values[i].len > 0) {
            return complain_key(e, key, "given twice for");
        }
        e->values[i] = value;
        enum err err = check_value(&e->event->fields[i], value, &e->scratch, e->complaint);
        if (err) {
            return err;
        }
    }
    return OK;
}

static enum err check_required(struct encoding *e)
{
    for (size_t i = 0; i < e->event->field_count; i++) {
        const struct catalogue_field *field = &e->event->fields[i];
        if (field->required && !field->defaults_to_now && e->values[i].len == 0) {
            return check_missing(field, e->complaint);
        }
    }
    return OK;
}

static void add_room(struct catalogue_message *message, const struct room_name *name)
{
    for (size_t i = 0; i < message->room_count; i++) {
        if (str_eq(room_name_str(&message->rooms[i]), room_name_str(name))) {
            return;
        }
    }
    message->rooms[message->room_count++] = *name;
}

/* The fields that rooms are made of are required ids: generate.py sees to it. */
static enum err find_rooms(struct encoding *e, struct catalogue_message *message)
{
    for (size_t i = 0; i < e->event->room_count; i++) {
        const struct catalogue_room *room = &e->event->rooms[i];
        struct str id = STR("all");
        enum err err = OK;
        if (room->field) {
            struct str value = e->values[field_index(e->event, str_from(room->field))];
            err = check_text(value, &e->scratch, &id);
        }
        struct room_name name;
        if (!err) {
            err = room_name_make(room->kind, id, &name);
        }
        if (err) {
            return err;
        }
        add_room(message, &name);
    }
    return OK;
}

/* The data object, with the missing timestamps before its closing brace. */
static enum err write_data(const struct encoding *e, const char *now, struct buf *payload)
{
    struct str data = jtext_trim(e->data);
    enum err err = buf_append(payload, str_range(data.ptr, data.len - 1));
    bool empty = jtext_trim(str_range(data.ptr + 1, data.len - 2)).len == 0;
    for (size_t i = 0; i < e->event->field_count && !err; i++) {
        const struct catalogue_field *field = &e->event->fields[i];
        if (field->defaults_to_now && e->values[i].len == 0) {
            err = buf_printf(payload, "%s\"%s\":\"%s\"", empty ? "" : ",", field->name, now);
            empty = false;
        }
    }
    return err ? err : buf_append_char(payload, '}');
}

static enum err write_payload(const struct encoding *e, int64_t now_ms, struct buf *payload)
{
    size_t before = payload->len;
    char now[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(now_ms, now);
    enum err err =
        buf_printf(payload, "{\"type\":\"%s\",\"timestamp\":\"%s\",\"data\":", e->event->name, now);
    if (!err) {
        err = write_data(e, now, payload);
    }
    if (!err) {
        err = buf_append_char(payload, '}');
    }
    if (err) {
        payload->len = before;
    }
    return err;
}

static enum err encode(struct encoding *e, int64_t now_ms, struct catalogue_message *message,
                       struct buf *payload)
{
    enum err err = check_form(e);
    if (!err) {
        err = check_given(e);
    }
    if (!err) {
        err = check_required(e);
    }
    if (!err) {
        err = find_rooms(e, message);
    }
    return err ? err : write_payload(e, now_ms, payload);
}

enum err catalogue_encode(const struct catalogue_event *event, struct str data, int64_t now_ms,
                          struct catalogue_message *ret_message, struct buf *payload,
                          struct buf *complaint)
{
    struct encoding e = {.event = event, .data = data, .complaint = complaint};
    struct catalogue_message message = {.event = event};
    enum err err = encode(&e, now_ms, &message, payload);
    buf_fini(&e.scratch);
    if (!err) {
        *ret_message = message;
    }
    return err;
}

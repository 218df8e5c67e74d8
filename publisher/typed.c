#include "publisher/typed.h"

#include <string.h>

#include "util/jtext.h"
#include "util/utf8.h"

static enum err refuse(const struct catalogue_field *field, const char *expected,
                       struct buf *complaint)
{
    enum err err = buf_printf(complaint, "data.%s: expected %s", field->name, expected);
    return err ? err : ERR_INVALID;
}

static enum err write_text(const struct catalogue_field *field, const char *text, struct buf *json,
                           struct buf *complaint)
{
    if (!utf8_valid(str_from(text))) {
        return refuse(field, "text in UTF-8", complaint);
    }
    return jtext_quote(str_from(text), json);
}

/* The caller's own JSON must not reach beyond its field. */
static enum err write_object(const struct catalogue_field *field, const char *text,
                             struct buf *json, struct buf *complaint)
{
    struct str object = str_from(text);
    if (jtext_check(object, CATALOGUE_DEPTH_MAX) || jtext_kind(object) != JTEXT_OBJECT) {
        return refuse(field, "a JSON object", complaint);
    }
    return buf_append(json, object);
}

static enum err write_texts(const struct catalogue_field *field, const char *const *texts,
                            struct buf *json, struct buf *complaint)
{
    enum err err = buf_append_char(json, '[');
    for (size_t i = 0; texts[i] && !err; i++) {
        err = i > 0 ? buf_append_char(json, ',') : OK;
        if (!err) {
            err = write_text(field, texts[i], json, complaint);
        }
    }
    return err ? err : buf_append_char(json, ']');
}

/* A number outside the enum is written as it is: the catalogue's complaint then shows it. */
static enum err write_choice(const struct catalogue_field *field, unsigned value, struct buf *json)
{
    unsigned count = 0;
    while (field->choices[count]) {
        count++;
    }
    return value <= count ? buf_printf(json, "\"%s\"", field->choices[value - 1])
                          : buf_append_u64(json, value);
}

/* Integers and booleans are values where they are required, pointers where they are optional. */
static const void *scalar_at(const struct catalogue_field *field, const void *place)
{
    if (!field->required) {
        memcpy(&place, place, sizeof place);
    }
    return place;
}

static bool is_given(const struct catalogue_field *field, const void *place)
{
    unsigned choice;
    const void *pointer;
    switch (field->type) {
    case CATALOGUE_INTEGER:
    case CATALOGUE_BOOLEAN:
        return field->required || scalar_at(field, place) != NULL;
    case CATALOGUE_ENUM:
        memcpy(&choice, place, sizeof choice);
        return choice != 0;
    default:
        memcpy(&pointer, place, sizeof pointer);
        return pointer != NULL;
    }
}

static enum err write_value(const struct catalogue_field *field, const void *place,
                            struct buf *json, struct buf *complaint)
{
    const char *text;
    const char *const *texts;
    unsigned choice;
    switch (field->type) {
    case CATALOGUE_INTEGER:
        return buf_printf(json, "%lld", (long long)*(const int64_t *)scalar_at(field, place));
    case CATALOGUE_BOOLEAN:
        return buf_printf(json, "%s", *(const bool *)scalar_at(field, place) ? "true" : "false");
    case CATALOGUE_ENUM:
        memcpy(&choice, place, sizeof choice);
        return write_choice(field, choice, json);
    case CATALOGUE_STRINGS:
        memcpy(&texts, place, sizeof texts);
        return write_texts(field, texts, json, complaint);
    case CATALOGUE_OBJECT:
        memcpy(&text, place, sizeof text);
        return write_object(field, text, json, complaint);
    default:
        memcpy(&text, place, sizeof text);
        return write_text(field, text, json, complaint);
    }
}

enum err typed_to_json(const struct catalogue_event *event, const size_t *offsets,
                       const void *values, struct buf *json, struct buf *complaint)
{
    const char *before = "{";
    for (size_t i = 0; i < event->field_count; i++) {
        const struct catalogue_field *field = &event->fields[i];
        const void *place = (const char *)values + offsets[i];
        if (!is_given(field, place)) {
            continue;
        }
        enum err err = buf_printf(json, "%s\"%s\":", before, field->name);
        if (!err) {
            err = write_value(field, place, json, complaint);
        }
        if (err) {
            return err;
        }
        before = ",";
    }
    return buf_printf(json, "%s", *before == '{' ? "{}" : "}");
}

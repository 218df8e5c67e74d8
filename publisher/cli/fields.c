#include "publisher/cli/fields.h"

#include "util/jtext.h"
#include "util/utf8.h"

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

enum err fields_flag_name(const char *field, struct buf *out)
{
    enum err err = OK;
    for (; *field && !err; field++) {
        err =
            is_upper(*field) ? buf_printf(out, "-%c", *field | 0x20) : buf_append_char(out, *field);
    }
    return err;
}

static bool names_field(struct str flag, const char *field)
{
    size_t i = 0;
    for (; *field && i < flag.len; field++) {
        if (is_upper(*field) && flag.ptr[i] == '-') {
            i++;
            if (i == flag.len || flag.ptr[i] != (*field | 0x20)) {
                return false;
            }
        } else if (flag.ptr[i] != *field) {
            return false;
        }
        i++;
    }
    return *field == '\0' && i == flag.len;
}

static const struct catalogue_field *find_field(const struct catalogue_event *event,
                                                struct str flag)
{
    for (size_t i = 0; i < event->field_count; i++) {
        if (names_field(flag, event->fields[i].name)) {
            return &event->fields[i];
        }
    }
    return NULL;
}

static enum err write_list(struct str list, struct buf *json)
{
    enum err err = buf_append_char(json, '[');
    struct str element;
    for (bool first = true; !err && list.len > 0 && str_split(&list, ',', &element);
         first = false) {
        err = first ? OK : buf_append_char(json, ',');
        if (!err) {
            err = jtext_quote(str_trim(element), json);
        }
    }
    return err ? err : buf_append_char(json, ']');
}

/* Whether the text is JSON of the kind that the field takes, on its own. */
static bool is_json_for(enum catalogue_type type, struct str text)
{
    if (jtext_check(text, CATALOGUE_DEPTH_MAX)) {
        return false;
    }
    enum jtext_kind kind = jtext_kind(text);
    switch (type) {
    case CATALOGUE_INTEGER:
        return kind == JTEXT_NUMBER;
    case CATALOGUE_BOOLEAN:
        return kind == JTEXT_TRUE || kind == JTEXT_FALSE;
    case CATALOGUE_STRINGS:
        return kind == JTEXT_ARRAY;
    case CATALOGUE_OBJECT:
        return kind == JTEXT_OBJECT;
    default:
        return false;
    }
}

static enum err write_value(const struct catalogue_field *field, struct str text, struct buf *json)
{
    if (field && is_json_for(field->type, text)) {
        return buf_append(json, text);
    }
    bool list = field && field->type == CATALOGUE_STRINGS;
    return list ? write_list(text, json) : jtext_quote(text, json);
}

static enum err write_flag(const struct catalogue_event *event, const struct field_flag *flag,
                           struct buf *json, struct buf *complaint)
{
    struct str name = str_range(flag->name, flag->name_len), text = str_from(flag->value);
    const struct catalogue_field *field = find_field(event, name);
    if (!utf8_valid(name) || !utf8_valid(text)) {
        enum err err =
            buf_printf(complaint, "data.%s: expected text in UTF-8", field ? field->name : "?");
        return err ? err : ERR_INVALID;
    }
    enum err err = jtext_quote(field ? str_from(field->name) : name, json);
    if (!err) {
        err = buf_append_char(json, ':');
    }
    return err ? err : write_value(field, text, json);
}

enum err fields_to_json(const struct catalogue_event *event, const struct field_flag *flags,
                        size_t count, struct buf *json, struct buf *complaint)
{
    enum err err = buf_append_char(json, '{');
    for (size_t i = 0; i < count && !err; i++) {
        err = i > 0 ? buf_append_char(json, ',') : OK;
        if (!err) {
            err = write_flag(event, &flags[i], json, complaint);
        }
    }
    return err ? err : buf_append_char(json, '}');
}

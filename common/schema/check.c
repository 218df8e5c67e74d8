#include "schema/check.h"

#include "schema/iso8601.h"
#include "schema/room.h"
#include "util/jtext.h"

enum { WEI_DIGITS_MAX = 78, EXCERPT_MAX = 64 };

struct str check_excerpt(struct str text)
{
    if (text.len <= EXCERPT_MAX) {
        return text;
    }
    text.len = EXCERPT_MAX;
    while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80) {
        text.len--;
    }
    return text;
}

enum err check_text(struct str string, struct buf *scratch, struct str *ret_text)
{
    struct str inner = str_range(string.ptr + 1, string.len - 2);
    if (str_find(inner, '\\') == inner.len) {
        *ret_text = inner;
        return OK;
    }
    buf_clear(scratch);
    enum err err = jtext_unescape(string, scratch);
    if (!err) {
        *ret_text = buf_str(scratch);
    }
    return err;
}

static enum err describe_enum(const struct catalogue_field *field, struct buf *out)
{
    enum err err = buf_append(out, STR("one of"));
    for (size_t i = 0; field->choices[i] && !err; i++) {
        err = buf_printf(out, "%s \"%s\"", i > 0 ? "," : "", field->choices[i]);
    }
    return err;
}

enum err check_describe(const struct catalogue_field *field, struct buf *out)
{
    static const char *const words[] = {
        [CATALOGUE_STRING] = "a string",
        [CATALOGUE_ID] = "a string of 1 to 128 visible ASCII characters without comma",
        [CATALOGUE_WEI] = "wei: a string of up to 78 decimal digits without leading zeros",
        [CATALOGUE_TIMESTAMP] = "a date and time such as \"2025-01-16T10:00:00.000Z\"",
        [CATALOGUE_BOOLEAN] = "true or false",
        [CATALOGUE_STRINGS] = "an array of strings",
        [CATALOGUE_OBJECT] = "an object",
    };
    switch (field->type) {
    case CATALOGUE_ENUM:
        return describe_enum(field, out);
    case CATALOGUE_INTEGER:
        return field->max - field->min == 1
                   ? buf_printf(out, "%lld or %lld", field->min, field->max)
                   : buf_printf(out, "an integer from %lld to %lld", field->min, field->max);
    default:
        return buf_append(out, str_from(words[field->type]));
    }
}

/* Objects and arrays are named, not shown. */
static enum err show(struct str value, struct buf *out)
{
    enum jtext_kind kind = jtext_kind(value);
    if (kind == JTEXT_OBJECT || kind == JTEXT_ARRAY) {
        return buf_append(out, kind == JTEXT_OBJECT ? STR("an object") : STR("an array"));
    }
    struct str seen = check_excerpt(value);
    return buf_printf(out, STR_FMT "%s", STR_ARG(seen), seen.len < value.len ? "…" : "");
}

static enum err refuse(const struct catalogue_field *field, struct str value, struct buf *complaint)
{
    enum err err = buf_printf(complaint, "data.%s: expected ", field->name);
    if (!err) {
        err = check_describe(field, complaint);
    }
    if (!err) {
        err = buf_append(complaint, STR(", got "));
    }
    if (!err) {
        err = value.len > 0 ? show(value, complaint) : buf_append(complaint, STR("nothing"));
    }
    return err ? err : ERR_INVALID;
}

enum err check_missing(const struct catalogue_field *field, struct buf *complaint)
{
    return refuse(field, STR(""), complaint);
}

static bool is_id(struct str text)
{
    struct room_name name;
    return room_name_make(ROOM_MARKET, text, &name) == OK;
}

static bool is_wei(struct str text)
{
    if (text.len == 0 || text.len > WEI_DIGITS_MAX || (text.len > 1 && text.ptr[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool is_choice(const struct catalogue_field *field, struct str text)
{
    for (size_t i = 0; field->choices[i]; i++) {
        if (str_eq(text, str_from(field->choices[i]))) {
            return true;
        }
    }
    return false;
}

static bool text_fits(const struct catalogue_field *field, struct str text)
{
    switch (field->type) {
    case CATALOGUE_ID:
        return is_id(text);
    case CATALOGUE_WEI:
        return is_wei(text);
    case CATALOGUE_TIMESTAMP:
        return iso8601_valid(text);
    case CATALOGUE_ENUM:
        return is_choice(field, text);
    default:
        return true;
    }
}

static bool integer_fits(const struct catalogue_field *field, struct str value)
{
    int64_t number;
    return str_to_i64(value, &number) == OK && number >= field->min && number <= field->max;
}

static enum err check_strings(const struct catalogue_field *field, struct str array,
                              struct buf *complaint)
{
    struct jtext_walk walk;
    struct str element;
    jtext_walk(&walk, array);
    for (size_t i = 0; jtext_next(&walk, NULL, &element); i++) {
        if (jtext_kind(element) != JTEXT_STRING) {
            enum err err =
                buf_printf(complaint, "data.%s[%zu]: expected a string, got ", field->name, i);
            if (!err) {
                err = show(element, complaint);
            }
            return err ? err : ERR_INVALID;
        }
    }
    return OK;
}

enum err check_value(const struct catalogue_field *field, struct str value, struct buf *scratch,
                     struct buf *complaint)
{
    enum jtext_kind kind = jtext_kind(value);
    bool fits = false;
    struct str text;
    enum err err;
    switch (field->type) {
    case CATALOGUE_INTEGER:
        fits = kind == JTEXT_NUMBER && integer_fits(field, value);
        break;
    case CATALOGUE_BOOLEAN:
        fits = kind == JTEXT_TRUE || kind == JTEXT_FALSE;
        break;
    case CATALOGUE_OBJECT:
        fits = kind == JTEXT_OBJECT;
        break;
    case CATALOGUE_STRINGS:
        if (kind == JTEXT_ARRAY) {
            return check_strings(field, value, complaint);
        }
        break;
    default:
        if (kind == JTEXT_STRING) {
            err = check_text(value, scratch, &text);
            if (err) {
                return err;
            }
            fits = text_fits(field, text);
        }
        break;
    }
    return fits ? OK : refuse(field, value, complaint);
}

#include "socketio/placeholder.h"

#include <stdbool.h>

#include "socketio/packet.h"
#include "util/jtext.h"

enum key { KEY_OTHER, KEY_PLACEHOLDER, KEY_NUM };

/* What is known of an object or array that is open around the current place. */
struct level {
    bool object;
    bool expects_key;
    bool placeholder; /* "_placeholder" is true; the last one counts, as in JavaScript */
    bool num_fits;    /* "num" is an integer in range, likewise */
    enum key key;     /* whose value comes next */
};

struct search {
    struct str rest;
    size_t attachments;
    size_t depth;
    struct level levels[SIO_PACKET_DEPTH_MAX + 1]; /* [0] is around the whole value */
};

/* A value of the current key ended: `value` is its text, empty for objects and arrays. */
static void note_value(struct search *s, struct str value)
{
    struct level *level = &s->levels[s->depth];
    uint64_t num;
    if (level->key == KEY_PLACEHOLDER) {
        level->placeholder = str_eq(value, STR("true"));
    } else if (level->key == KEY_NUM) {
        level->num_fits = !str_to_u64(value, &num) && num < s->attachments;
    }
    level->key = KEY_OTHER;
}

/* The text up to the closing quote; the view begins at the opening one. */
static struct str take_string(struct search *s)
{
    size_t i = 1;
    while (s->rest.ptr[i] != '"') {
        i += s->rest.ptr[i] == '\\' ? 2 : 1;
    }
    struct str string = str_range(s->rest.ptr, i + 1);
    s->rest = str_skip(s->rest, i + 1);
    return string;
}

static void on_string(struct search *s)
{
    struct level *level = &s->levels[s->depth];
    struct str string = take_string(s);
    if (!level->expects_key) {
        note_value(s, string);
        return;
    }
    struct str between = str_range(string.ptr + 1, string.len - 2);
    level->expects_key = false;
    level->key = jtext_is(between, STR("_placeholder")) ? KEY_PLACEHOLDER
                 : jtext_is(between, STR("num"))        ? KEY_NUM
                                                        : KEY_OTHER;
}

/* A number or a word. */
static void on_scalar(struct search *s)
{
    size_t len = 1;
    while (len < s->rest.len && s->rest.ptr[len] > ' ' && s->rest.ptr[len] != ',' &&
           s->rest.ptr[len] != '}' && s->rest.ptr[len] != ']') {
        len++;
    }
    note_value(s, str_range(s->rest.ptr, len));
    s->rest = str_skip(s->rest, len);
}

static void open_level(struct search *s, bool object)
{
    s->levels[++s->depth] = (struct level){.object = object, .expects_key = object};
}

static bool close_level(struct search *s)
{
    const struct level *level = &s->levels[s->depth--];
    note_value(s, STR(""));
    return !level->placeholder || level->num_fits;
}

/* Takes the next token; false for a placeholder that refers to nothing. */
static bool step(struct search *s)
{
    char c = s->rest.ptr[0];
    bool fits = true;
    switch (c) {
    case '"':
        on_string(s);
        return true;
    case '{':
    case '[':
        open_level(s, c == '{');
        break;
    case '}':
    case ']':
        fits = close_level(s);
        break;
    case ',':
        s->levels[s->depth].expects_key = s->levels[s->depth].object;
        break;
    case ':':
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        break;
    default:
        on_scalar(s);
        return true;
    }
    s->rest = str_skip(s->rest, 1);
    return fits;
}

enum err sio_placeholders_check(struct str json, size_t attachments)
{
    struct search s = {.rest = json, .attachments = attachments};
    while (s.rest.len > 0) {
        if (!step(&s)) {
            return ERR_PROTO;
        }
    }
    return OK;
}

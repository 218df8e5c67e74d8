#include "util/jtext.h"

#include <string.h>

#include "util/utf8.h"

/* The deepest nesting that can be asked for: one bit a level says object or array. */
enum { DEEPEST = 1024 };

struct scan {
    const char *at;
    const char *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && is_space(*s->at)) {
        s->at++;
    }
}

static bool take(struct scan *s, char c)
{
    if (s->at < s->end && *s->at == c) {
        s->at++;
        return true;
    }
    return false;
}

static bool take_word(struct scan *s, const char *word, size_t len)
{
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) {
        return false;
    }
    s->at += len;
    return true;
}

static bool take_digits(struct scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && is_digit(*s->at)) {
        s->at++;
    }
    return s->at > from;
}

static bool take_number(struct scan *s)
{
    take(s, '-');
    if (!take(s, '0') && !take_digits(s)) {
        return false;
    }
    if (take(s, '.') && !take_digits(s)) {
        return false;
    }
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+')) {
            take(s, '-');
        }
        return take_digits(s);
    }
    return true;
}

static int hex_value(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four hexadecimal digits at `at`; negative where they are not. */
static int32_t hex4(const char *at, const char *end)
{
    if (end - at < 4) {
        return -1;
    }
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static bool take_escape(struct scan *s)
{
    if (s->at == s->end) {
        return false;
    }
    char c = *s->at++;
    if (c == 'u') {
        if (hex4(s->at, s->end) < 0) {
            return false;
        }
        s->at += 4;
        return true;
    }
    return strchr("\"\\/bfnrt", c) && c != '\0';
}

static bool take_string(struct scan *s)
{
    if (!take(s, '"')) {
        return false;
    }
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at++;
        if (c == '"') {
            return true;
        }
        if (c < 0x20 || (c == '\\' && !take_escape(s))) {
            return false;
        }
    }
    return false;
}

static bool take_scalar(struct scan *s)
{
    switch (s->at < s->end ? *s->at : '\0') {
    case '"':
        return take_string(s);
    case 't':
        return take_word(s, "true", 4);
    case 'f':
        return take_word(s, "false", 5);
    case 'n':
        return take_word(s, "null", 4);
    default:
        return take_number(s);
    }
}

/* What is open around the current place, innermost last. */
struct nesting {
    unsigned depth, max;
    uint64_t objects[DEEPEST / 64]; /* bit set: that level is an object */
};

static bool in_object(const struct nesting *n)
{
    return n->objects[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1;
}

static enum err open_level(struct nesting *n, bool object)
{
    if (n->depth == n->max) {
        return ERR_LIMIT;
    }
    uint64_t bit = (uint64_t)1 << (n->depth % 64);
    uint64_t *word = &n->objects[n->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    n->depth++;
    return OK;
}

static bool take_key(struct scan *s)
{
    skip_space(s);
    if (!take_string(s)) {
        return false;
    }
    skip_space(s);
    return take(s, ':');
}

/*
 * Takes one value's beginning: a scalar whole, or an opening bracket with the first key. *ret_done
 * is whether a whole value was taken (scalars and empty brackets).
 */
static enum err take_value(struct scan *s, struct nesting *n, bool *ret_done)
{
    skip_space(s);
    bool object = take(s, '{');
    if (!object && !take(s, '[')) {
        *ret_done = true;
        return take_scalar(s) ? OK : ERR_PROTO;
    }
    skip_space(s);
    if (take(s, object ? '}' : ']')) {
        *ret_done = true;
        return n->depth == n->max ? ERR_LIMIT : OK;
    }
    *ret_done = false;
    enum err err = open_level(n, object);
    return err ? err : !object || take_key(s) ? OK : ERR_PROTO;
}

/* After a whole value: closes levels until one goes on with a comma, or none is left. */
static bool take_endings(struct scan *s, struct nesting *n)
{
    while (n->depth > 0) {
        skip_space(s);
        if (take(s, ',')) {
            return !in_object(n) || take_key(s);
        }
        if (!take(s, in_object(n) ? '}' : ']')) {
            return false;
        }
        n->depth--;
    }
    return true;
}

enum err jtext_check(struct str text, unsigned max_depth)
{
    if (!utf8_valid(text)) {
        return ERR_PROTO;
    }
    struct scan s = {text.ptr, text.ptr + text.len};
    struct nesting n = {.max = max_depth < DEEPEST ? max_depth : DEEPEST};
    do {
        bool done;
        enum err err = take_value(&s, &n, &done);
        if (err) {
            return err;
        }
        if (done && !take_endings(&s, &n)) {
            return ERR_PROTO;
        }
    } while (n.depth > 0);
    skip_space(&s);
    return s.at == s.end ? OK : ERR_PROTO;
}

struct str jtext_trim(struct str value)
{
    while (value.len > 0 && is_space(value.ptr[0])) {
        value = str_skip(value, 1);
    }
    while (value.len > 0 && is_space(value.ptr[value.len - 1])) {
        value.len--;
    }
    return value;
}

enum jtext_kind jtext_kind(struct str value)
{
    value = jtext_trim(value);
    switch (value.len > 0 ? value.ptr[0] : '\0') {
    case '\0':
        return JTEXT_NONE;
    case '{':
        return JTEXT_OBJECT;
    case '[':
        return JTEXT_ARRAY;
    case '"':
        return JTEXT_STRING;
    case 't':
        return JTEXT_TRUE;
    case 'f':
        return JTEXT_FALSE;
    case 'n':
        return JTEXT_NULL;
    default:
        return JTEXT_NUMBER;
    }
}

void jtext_walk(struct jtext_walk *walk, struct str array_or_object)
{
    struct str inner = jtext_trim(array_or_object);
    walk->members = inner.ptr[0] == '{';
    walk->rest = (struct str){inner.ptr + 1, inner.len - 2};
}

void jtext_walk_elements(struct jtext_walk *walk, struct str elements)
{
    *walk = (struct jtext_walk){.rest = elements};
}

/* Length of the checked string that starts here, quotes included. */
static size_t string_len(struct str text)
{
    size_t i = 1;
    while (text.ptr[i] != '"') {
        i += text.ptr[i] == '\\' ? 2 : 1;
    }
    return i + 1;
}

/* Length of the checked value that starts here, up to the comma or end that follows it. */
static size_t value_len(struct str text)
{
    size_t depth = 0, i = 0;
    while (i < text.len) {
        char c = text.ptr[i];
        if (c == '"') {
            i += string_len(str_skip(text, i));
            continue;
        }
        if (c == ',' && depth == 0) {
            break;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        i++;
    }
    return i;
}

bool jtext_next(struct jtext_walk *walk, struct str *ret_key, struct str *ret_value)
{
    struct str rest = jtext_trim(walk->rest);
    if (rest.len == 0) {
        return false;
    }
    struct str key = {"", 0};
    if (walk->members) {
        size_t len = string_len(rest);
        key = (struct str){rest.ptr + 1, len - 2};
        rest = jtext_trim(str_skip(rest, len));
        rest = jtext_trim(str_skip(rest, 1));
    }
    size_t len = value_len(rest);
    *ret_value = jtext_trim((struct str){rest.ptr, len});
    if (ret_key) {
        *ret_key = key;
    }
    walk->rest = str_skip(rest, len + 1);
    return true;
}

static size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3f));
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

/* The escape behind the backslash at text.ptr[0]; its length after the backslash, 0 if impossible.
 */
static size_t unescape_one(struct str text, char out[4], size_t *ret_len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = text.ptr[1];
    if (c != 'u') {
        out[0] = to[strchr(from, c) - from];
        *ret_len = 1;
        return 1;
    }
    const char *end = text.ptr + text.len;
    uint32_t code = (uint32_t)hex4(text.ptr + 2, end);
    size_t taken = 5;
    if (code >= 0xd800 && code <= 0xdbff && text.len >= 12 && text.ptr[6] == '\\' &&
        text.ptr[7] == 'u') {
        uint32_t low = (uint32_t)hex4(text.ptr + 8, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            taken = 11;
        }
    }
    if (code >= 0xd800 && code <= 0xdfff) {
        return 0;
    }
    *ret_len = utf8_encode(code, out);
    return taken;
}

enum err jtext_unescape(struct str string, struct buf *out)
{
    size_t before = out->len;
    struct str rest = {string.ptr + 1, string.len - 2};
    while (rest.len > 0) {
        size_t plain = str_find(rest, '\\');
        enum err err = buf_append(out, str_range(rest.ptr, plain));
        rest = str_skip(rest, plain);
        if (!err && rest.len > 0) {
            char bytes[4];
            size_t len, taken = unescape_one(rest, bytes, &len);
            err = taken ? buf_append(out, str_range(bytes, len)) : ERR_INVALID;
            rest = str_skip(rest, 1 + taken);
        }
        if (err) {
            out->len = before;
            return err;
        }
    }
    return OK;
}

static enum err quote_char(unsigned char c, struct buf *out)
{
    switch (c) {
    case '"':
        return buf_append(out, STR("\\\""));
    case '\\':
        return buf_append(out, STR("\\\\"));
    case '\n':
        return buf_append(out, STR("\\n"));
    case '\r':
        return buf_append(out, STR("\\r"));
    case '\t':
        return buf_append(out, STR("\\t"));
    default:
        return buf_printf(out, "\\u%04x", c);
    }
}

enum err jtext_quote(struct str text, struct buf *out)
{
    size_t before = out->len;
    enum err err = buf_append_char(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.len && !err; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        err = buf_append(out, str_range(text.ptr + from, i - from));
        if (!err) {
            err = quote_char(c, out);
        }
        from = i + 1;
    }
    if (!err) {
        err = buf_append(out, str_range(text.ptr + from, text.len - from));
    }
    if (!err) {
        err = buf_append_char(out, '"');
    }
    if (err) {
        out->len = before;
    }
    return err;
}

bool jtext_is(struct str between_quotes, struct str plain)
{
    struct str a = between_quotes, b = plain;
    while (a.len > 0) {
        char bytes[4] = {a.ptr[0]};
        size_t len = 1, taken = 0;
        if (a.ptr[0] == '\\') {
            taken = unescape_one(a, bytes, &len);
            if (taken == 0) {
                return false;
            }
        }
        if (!str_starts(b, str_range(bytes, len))) {
            return false;
        }
        a = str_skip(a, 1 + taken);
        b = str_skip(b, len);
    }
    return b.len == 0;
}

struct str jtext_member(struct str object, struct str key)
{
    struct str found = {"", 0}, name, value;
    struct jtext_walk walk;
    jtext_walk(&walk, object);
    while (jtext_next(&walk, &name, &value)) {
        if (jtext_is(name, key)) {
            found = value;
        }
    }
    return found;
}

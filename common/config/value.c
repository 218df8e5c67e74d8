#include "config/internal.h"

#include <stdio.h>
#include <string.h>

static void *value_at(const struct config_option *option, void *settings)
{
    return (char *)settings + option->offset;
}

/* Says what was wrong; a complaint that does not fit in memory is still INVALID. */
static enum err refuse(const struct config_option *option, const char *source, const char *text,
                       const char *expected, struct buf *complaint)
{
    bool secret = option->flags & CONFIG_SECRET;
    if (buf_printf(complaint, "%s (from the %s): %s%s%s is refused; expected %s", option->env,
                   source, secret ? "" : "\"", secret ? "the value" : text, secret ? "" : "\"",
                   expected)) {
        return ERR_NOMEM;
    }
    return ERR_INVALID;
}

static enum err set_number(const struct config_option *option, const char *source, const char *text,
                           void *settings, struct buf *complaint)
{
    const char *word = option->choices ? option->choices[0] : NULL;
    uint64_t number;
    if (word && str_eq_nocase(str_from(text), str_from(word))) {
        number = 0;
    } else if (str_to_u64(str_from(text), &number) || number < option->min ||
               number > option->max) {
        char expected[96];
        snprintf(expected, sizeof expected, "a number from %llu to %llu%s%s%s%s",
                 (unsigned long long)option->min, (unsigned long long)option->max,
                 option->unit ? " in " : "", option->unit ? option->unit : "", word ? ", or " : "",
                 word ? word : "");
        return refuse(option, source, text, expected, complaint);
    }
    memcpy(value_at(option, settings), &number, sizeof number);
    return OK;
}

static enum err set_bool(const struct config_option *option, const char *source, const char *text,
                         void *settings, struct buf *complaint)
{
    static const char *const words[] = {"false", "true", "no", "yes", "0", "1"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq_nocase(str_from(text), str_from(words[i]))) {
            bool value = i % 2;
            memcpy(value_at(option, settings), &value, sizeof value);
            return OK;
        }
    }
    return refuse(option, source, text, "true or false", complaint);
}

static enum err set_choice(const struct config_option *option, const char *source, const char *text,
                           void *settings, struct buf *complaint)
{
    char expected[128] = "one of";
    for (unsigned i = 0; option->choices[i]; i++) {
        if (str_eq_nocase(str_from(text), str_from(option->choices[i]))) {
            memcpy(value_at(option, settings), &i, sizeof i);
            return OK;
        }
        size_t len = strlen(expected);
        snprintf(expected + len, sizeof expected - len, "%s %s", i ? "," : "", option->choices[i]);
    }
    return refuse(option, source, text, expected, complaint);
}

static enum err set_string(const struct config_option *option, const char *source, const char *text,
                           void *settings, struct buf *complaint)
{
    size_t len = strlen(text);
    if (option->max > 0 && (len < option->min || len > option->max)) {
        char expected[96];
        snprintf(expected, sizeof expected, "%llu to %llu bytes, not %zu",
                 (unsigned long long)option->min, (unsigned long long)option->max, len);
        return refuse(option, source, text, expected, complaint);
    }
    memcpy(value_at(option, settings), &text, sizeof text);
    return OK;
}

static size_t size_of(enum config_type type)
{
    switch (type) {
    case CONFIG_STRING:
        return sizeof(const char *);
    case CONFIG_NUMBER:
        return sizeof(uint64_t);
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_CHOICE:
        break;
    }
    return sizeof(unsigned);
}

bool config_same_value(const struct config_option *option, const void *a, const void *b)
{
    const void *x = (const char *)a + option->offset, *y = (const char *)b + option->offset;
    if (option->type != CONFIG_STRING) {
        return memcmp(x, y, size_of(option->type)) == 0;
    }
    const char *s, *t;
    memcpy(&s, x, sizeof s);
    memcpy(&t, y, sizeof t);
    return s && t ? strcmp(s, t) == 0 : s == t;
}

void config_copy_value(const struct config_option *option, void *settings, const void *from)
{
    memcpy(value_at(option, settings), (const char *)from + option->offset, size_of(option->type));
}

enum err config_write_value(const struct config_option *option, const void *settings,
                            struct buf *out)
{
    const void *value = (const char *)settings + option->offset;
    const char *text;
    uint64_t number;
    switch (option->type) {
    case CONFIG_STRING:
        memcpy(&text, value, sizeof text);
        return buf_append(out, text && option->flags & CONFIG_SECRET ? STR("***") : str_from(text));
    case CONFIG_NUMBER:
        memcpy(&number, value, sizeof number);
        return number == 0 && option->choices ? buf_append(out, str_from(option->choices[0]))
                                              : buf_append_u64(out, number);
    case CONFIG_BOOL:
        return buf_append(out, *(const bool *)value ? STR("true") : STR("false"));
    case CONFIG_CHOICE:
        break;
    }
    return buf_append(out, str_from(option->choices[*(const unsigned *)value]));
}

enum err config_set_value(const struct config_option *option, const char *source, const char *text,
                          void *settings, struct buf *complaint)
{
    switch (option->type) {
    case CONFIG_NUMBER:
        return set_number(option, source, text, settings, complaint);
    case CONFIG_BOOL:
        return set_bool(option, source, text, settings, complaint);
    case CONFIG_CHOICE:
        return set_choice(option, source, text, settings, complaint);
    case CONFIG_STRING:
        break;
    }
    return set_string(option, source, text, settings, complaint);
}

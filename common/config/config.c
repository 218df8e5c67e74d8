#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "util/str.h"

enum { FLAG_MAX = 64 };

/* "PING_INTERVAL" as "ping-interval". */
static struct str flag_name(const struct config_option *option, char out[FLAG_MAX])
{
    size_t len = 0;
    for (const char *c = option->env; *c && len < FLAG_MAX - 1; c++) {
        out[len++] = *c == '_' ? '-' : *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    out[len] = '\0';
    return str_range(out, len);
}

static const struct config_option *find_flag(struct config_table table, struct str name)
{
    char flag[FLAG_MAX];
    for (size_t i = 0; i < table.count; i++) {
        if (str_eq(flag_name(&table.options[i], flag), name)) {
            return &table.options[i];
        }
    }
    return NULL;
}

static void *value_at(const struct config_option *option, void *settings)
{
    return (char *)settings + option->offset;
}

static const void *const_value_at(const struct config_option *option, const void *settings)
{
    return (const char *)settings + option->offset;
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
    uint64_t number;
    if (str_to_u64(str_from(text), &number) || number < option->min || number > option->max) {
        char expected[96];
        snprintf(expected, sizeof expected, "a number from %llu to %llu%s%s",
                 (unsigned long long)option->min, (unsigned long long)option->max,
                 option->unit ? " in " : "", option->unit ? option->unit : "");
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

static enum err set_value(const struct config_option *option, const char *source, const char *text,
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

static enum err set_default(const struct config_option *option, void *settings,
                            struct buf *complaint)
{
    if (option->fallback) {
        return set_value(option, "default", option->fallback, settings, complaint);
    }
    if (option->type == CONFIG_STRING) {
        const char *unset = NULL;
        memcpy(value_at(option, settings), &unset, sizeof unset);
    }
    return OK;
}

/* An empty variable counts as unset: that is how deployment tools write it. */
static enum err load_environment(struct config_table table, void *settings, struct buf *complaint)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        const char *text = getenv(option->env);
        enum err err = text && *text ? set_value(option, "environment", text, settings, complaint)
                                     : set_default(option, settings, complaint);
        if (err) {
            return err;
        }
    }
    return OK;
}

/* The flag at argv[*at]; moves *at behind it and its value. */
static enum err load_flag(struct config_table table, int argc, char **argv, int *at, void *settings,
                          struct buf *complaint)
{
    struct str flag = str_from(argv[(*at)++] + 2);
    size_t name_len = str_find(flag, '=');
    const struct config_option *option = find_flag(table, str_range(flag.ptr, name_len));
    if (!option) {
        enum err err = buf_printf(complaint, "unknown flag --%.*s; --help lists all flags",
                                  (int)name_len, flag.ptr);
        return err ? err : ERR_INVALID;
    }
    const char *text = flag.ptr + name_len + 1;
    if (name_len == flag.len) {
        text = option->type == CONFIG_BOOL ? "true" : *at < argc ? argv[(*at)++] : NULL;
    }
    if (!text) {
        enum err err = buf_printf(complaint, "--" STR_FMT " needs a value", STR_ARG(flag));
        return err ? err : ERR_INVALID;
    }
    return set_value(option, "command line", text, settings, complaint);
}

enum err config_load(struct config_table table, int argc, char **argv, void *settings,
                     int *ret_rest, struct buf *complaint)
{
    enum err err = load_environment(table, settings, complaint);
    int at = 1;
    while (!err && at < argc && strncmp(argv[at], "--", 2) == 0) {
        if (argv[at][2] == '\0') {
            at++;
            break;
        }
        err = load_flag(table, argc, argv, &at, settings, complaint);
    }
    if (!err) {
        *ret_rest = at;
    }
    return err;
}

static void print_value(const struct config_option *option, const void *value, FILE *out)
{
    const char *text;
    uint64_t number;
    switch (option->type) {
    case CONFIG_STRING:
        memcpy(&text, value, sizeof text);
        fputs(text && option->flags & CONFIG_SECRET ? "***" : text ? text : "", out);
        return;
    case CONFIG_NUMBER:
        memcpy(&number, value, sizeof number);
        fprintf(out, "%llu", (unsigned long long)number);
        return;
    case CONFIG_BOOL:
        fputs(*(const bool *)value ? "true" : "false", out);
        return;
    case CONFIG_CHOICE:
        fputs(option->choices[*(const unsigned *)value], out);
        return;
    }
}

void config_print_values(struct config_table table, const void *settings, FILE *out)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        fprintf(out, "%s=", option->env);
        print_value(option, const_value_at(option, settings), out);
        fputc('\n', out);
    }
}

static bool starts_group(struct config_table table, size_t i)
{
    return i == 0 || strcmp(table.options[i].group, table.options[i - 1].group) != 0;
}

void config_print_help(struct config_table table, FILE *out)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        char flag[FLAG_MAX];
        if (starts_group(table, i)) {
            fprintf(out, "\n%s:\n", option->group);
        }
        fprintf(out, "  --%s  (%s)\n      %s", flag_name(option, flag).ptr, option->env,
                option->help);
        for (unsigned c = 0; option->type == CONFIG_CHOICE && option->choices[c]; c++) {
            fprintf(out, "%s%s", c ? ", " : ": ", option->choices[c]);
        }
        fprintf(out, "%s%s%s", option->unit ? " [" : "", option->unit ? option->unit : "",
                option->unit ? "]" : "");
        fprintf(out, "%s%s\n", option->fallback ? "; default " : "",
                option->fallback ? option->fallback : "");
    }
}

void config_print_markdown(struct config_table table, FILE *out)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        char flag[FLAG_MAX];
        if (starts_group(table, i)) {
            fprintf(out, "%s### %s\n\n| environment | flag | default | |\n|---|---|---|---|\n",
                    i ? "\n" : "", option->group);
        }
        fprintf(out, "| `%s` | `--%s` | %s%s%s%s%s | %s |\n", option->env,
                flag_name(option, flag).ptr, option->fallback ? "`" : "",
                option->fallback ? option->fallback : "", option->fallback ? "`" : "",
                option->unit ? " " : "", option->unit ? option->unit : "", option->help);
    }
}

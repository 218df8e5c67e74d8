#include "publisher/cli/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "publisher/settings.h"
#include "util/str.h"

/* A flag of the program itself: a bool, or a string where it takes a value. */
struct own_flag {
    const char *name;
    bool takes_value;
    size_t offset;
};

static const struct own_flag own_flags[] = {
    {"help", false, offsetof(struct arguments, help)},
    {"version", false, offsetof(struct arguments, version)},
    {"check-config", false, offsetof(struct arguments, check_config)},
    {"dry-run", false, offsetof(struct arguments, dry_run)},
    {"json", false, offsetof(struct arguments, json)},
    {"bulk", false, offsetof(struct arguments, bulk)},
    {"lines", false, offsetof(struct arguments, bulk)},
    {"data", true, offsetof(struct arguments, data)},
    {"idempotency-key", true, offsetof(struct arguments, key)},
    {"timeout", true, offsetof(struct arguments, timeout)},
    {"wait-replicas", true, offsetof(struct arguments, wait_replicas)},
};

/* Where the parser is. */
struct scan {
    int argc, at;
    char **argv;
    struct arguments *arguments;
    struct buf *complaint;
};

static const struct own_flag *find_own(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(own_flags); i++) {
        if (str_eq(name, str_from(own_flags[i].name))) {
            return &own_flags[i];
        }
    }
    return NULL;
}

/* The value behind "=", or else the next argument; NULL where there is none. */
static const char *take_value(struct scan *s, struct str flag, size_t name_len)
{
    if (name_len < flag.len) {
        return flag.ptr + name_len + 1;
    }
    return s->at < s->argc ? s->argv[s->at++] : NULL;
}

static enum err complain_flag(struct scan *s, struct str name, const char *what)
{
    enum err err = buf_printf(s->complaint, "--" STR_FMT " %s", STR_ARG(name), what);
    return err ? err : ERR_INVALID;
}

static enum err set_own(struct scan *s, const struct own_flag *own, struct str flag,
                        size_t name_len)
{
    char *place = (char *)s->arguments + own->offset;
    if (!own->takes_value) {
        if (name_len < flag.len) {
            return complain_flag(s, str_from(own->name), "takes no value");
        }
        *(bool *)place = true;
        return OK;
    }
    const char *value = take_value(s, flag, name_len);
    if (!value) {
        return complain_flag(s, str_from(own->name), "needs a value");
    }
    *(const char **)(void *)place = value;
    return OK;
}

/* "redis-host" and "x" as REDIS_HOST=x. */
static char *as_setting(struct str flag, const char *value)
{
    char *setting = malloc(flag.len + strlen(value) + 2);
    for (size_t i = 0; setting && i < flag.len; i++) {
        char c = flag.ptr[i];
        setting[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    if (setting) {
        setting[flag.len] = '=';
        strcpy(setting + flag.len + 1, value);
    }
    return setting;
}

static enum err add_setting(struct arguments *arguments, struct str flag, const char *value)
{
    size_t count = arguments->setting_count;
    char **settings = realloc(arguments->settings, (count + 2) * sizeof *settings);
    if (!settings) {
        return ERR_NOMEM;
    }
    arguments->settings = settings;
    settings[count + 1] = NULL;
    settings[count] = as_setting(flag, value);
    if (!settings[count]) {
        return ERR_NOMEM;
    }
    arguments->setting_count++;
    return OK;
}

static enum err set_setting(struct scan *s, const struct config_option *option, struct str flag,
                            size_t name_len)
{
    bool alone = option->type == CONFIG_BOOL && name_len == flag.len;
    const char *value = alone ? "true" : take_value(s, flag, name_len);
    if (!value) {
        return complain_flag(s, flag, "needs a value");
    }
    return add_setting(s->arguments, str_range(flag.ptr, name_len), value);
}

enum err arguments_suggest(struct str name, struct buf *complaint)
{
    char near[CONFIG_FLAG_MAX];
    bool found = config_nearest_flag(publisher_settings_table(), name, near);
    return found ? buf_printf(complaint, "; did you mean --%s?", near) : OK;
}

static enum err set_field(struct scan *s, struct str flag, size_t name_len)
{
    struct arguments *arguments = s->arguments;
    const char *value = take_value(s, flag, name_len);
    if (!value) {
        enum err err = complain_flag(s, flag, "is unknown, or a field that needs a value");
        return err == ERR_INVALID && arguments_suggest(flag, s->complaint) ? ERR_NOMEM : err;
    }
    size_t count = arguments->field_count;
    struct field_flag *fields = realloc(arguments->fields, (count + 1) * sizeof *fields);
    if (!fields) {
        return ERR_NOMEM;
    }
    fields[count] = (struct field_flag){flag.ptr, name_len, value};
    arguments->fields = fields;
    arguments->field_count++;
    return OK;
}

static enum err take_flag(struct scan *s)
{
    struct str flag = str_from(s->argv[s->at++] + 2);
    size_t name_len = str_find(flag, '=');
    struct str name = str_range(flag.ptr, name_len);
    const struct own_flag *own = find_own(name);
    if (own) {
        return set_own(s, own, flag, name_len);
    }
    bool is_file;
    const struct config_option *option =
        config_find_flag(publisher_settings_table(), name, &is_file);
    return option ? set_setting(s, option, flag, name_len) : set_field(s, flag, name_len);
}

static enum err take_operand(struct scan *s)
{
    const char *operand = s->argv[s->at++];
    for (size_t i = 0; i < OPERANDS_MAX; i++) {
        if (!s->arguments->operands[i]) {
            s->arguments->operands[i] = operand;
            return OK;
        }
    }
    enum err err = buf_printf(s->complaint, "\"%.64s\" is one argument too many", operand);
    return err ? err : ERR_INVALID;
}

/* --timeout is short for --publish-timeout, --wait-replicas for --publish-wait-replicas. */
static enum err finish(struct scan *s)
{
    struct arguments *arguments = s->arguments;
    enum err err = OK;
    if (arguments->timeout) {
        err = add_setting(arguments, STR("publish-timeout"), arguments->timeout);
    }
    if (!err && arguments->wait_replicas) {
        err = add_setting(arguments, STR("publish-wait-replicas"), arguments->wait_replicas);
    }
    return err;
}

enum err arguments_parse(int argc, char **argv, struct arguments *arguments, struct buf *complaint)
{
    *arguments = (struct arguments){0};
    struct scan s = {argc, 1, argv, arguments, complaint};
    bool flags = true;
    enum err err = OK;
    while (s.at < argc && !err) {
        const char *arg = argv[s.at];
        if (flags && strcmp(arg, "--") == 0) {
            flags = false;
            s.at++;
        } else if (flags && strcmp(arg, "-h") == 0) {
            arguments->help = true;
            s.at++;
        } else {
            err = flags && strncmp(arg, "--", 2) == 0 ? take_flag(&s) : take_operand(&s);
        }
    }
    return err ? err : finish(&s);
}

void arguments_fini(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->setting_count; i++) {
        free(arguments->settings[i]);
    }
    free(arguments->settings);
    free(arguments->fields);
    *arguments = (struct arguments){0};
}

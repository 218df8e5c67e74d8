#include "publisher/cli/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "publisher/cli/verb.h"
#include "publisher/settings.h"
#include "util/str.h"

enum { EVENT_OPERANDS_MOST = 1 }; /* its data */

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
    size_t operand_count;
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

/* --- Behind a verb --- */

static bool begins_with_digit(const char *text)
{
    return *text >= '0' && *text <= '9';
}

static enum err set_choice(struct scan *s, const struct verb_flag *wanted, struct str flag,
                           size_t name_len)
{
    struct arguments *arguments = s->arguments;
    const char *value = NULL;
    bool glued = name_len < flag.len;
    if (glued && !wanted->value) {
        return complain_flag(s, str_from(wanted->name), "takes no value");
    }
    bool follows = s->at < s->argc && begins_with_digit(s->argv[s->at]);
    if (wanted->value && (glued || !wanted->may_be_alone || follows)) {
        value = take_value(s, flag, name_len);
        if (!value) {
            return complain_flag(s, str_from(wanted->name), "needs a value");
        }
    }
    size_t count = arguments->choice_count;
    struct verb_choice *choices = realloc(arguments->choices, (count + 1) * sizeof *choices);
    if (!choices) {
        return ERR_NOMEM;
    }
    choices[count] = (struct verb_choice){wanted, value};
    arguments->choices = choices;
    arguments->choice_count++;
    return OK;
}

/* Which flag was probably meant, if any is near. */
static enum err suggest(struct scan *s, struct str name)
{
    char near[CONFIG_FLAG_MAX];
    bool found = config_nearest_flag(verb_settings(s->arguments->verb), name, near);
    return found ? buf_printf(s->complaint, "; did you mean --%s?", near) : OK;
}

static enum err complain_unknown(struct scan *s, struct str name)
{
    enum err err = buf_printf(s->complaint, "unknown option --" STR_FMT, STR_ARG(name));
    err = err ? err : suggest(s, name);
    return err ? err : ERR_INVALID;
}

static const struct verb_choice *find_choice(const struct arguments *arguments, const char *flag)
{
    for (size_t i = arguments->choice_count; i-- > 0;) {
        if (strcmp(arguments->choices[i].flag->name, flag) == 0) {
            return &arguments->choices[i];
        }
    }
    return NULL;
}

bool arguments_has(const struct arguments *arguments, const char *flag)
{
    return find_choice(arguments, flag) != NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *flag)
{
    const struct verb_choice *choice = find_choice(arguments, flag);
    return choice ? choice->value : NULL;
}

enum err arguments_number(const struct arguments *arguments, const char *flag,
                          struct arguments_range range, uint64_t *ret_value, struct buf *complaint)
{
    const char *text = arguments_value(arguments, flag);
    uint64_t value = range.fallback;
    if (text && (str_to_u64(str_from(text), &value) || value < range.min || value > range.max)) {
        enum err err =
            buf_printf(complaint, "--%s: expected a number from %llu to %llu, got \"%.32s\"", flag,
                       (unsigned long long)range.min, (unsigned long long)range.max, text);
        return err ? err : ERR_INVALID;
    }
    *ret_value = value;
    return OK;
}

/* --- All flags --- */

static enum err set_field(struct scan *s, struct str flag, size_t name_len)
{
    struct arguments *arguments = s->arguments;
    const char *value = take_value(s, flag, name_len);
    if (!value) {
        enum err err = complain_flag(s, flag, "is unknown, or a field that needs a value");
        return err == ERR_INVALID && suggest(s, flag) ? ERR_NOMEM : err;
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
    const struct verb *verb = s->arguments->verb;
    const struct verb_flag *choice = verb ? verb_find_flag(verb, name) : NULL;
    const struct own_flag *own = find_own(name);
    if (choice) {
        return set_choice(s, choice, flag, name_len);
    }
    if (own) {
        return set_own(s, own, flag, name_len);
    }
    bool is_file;
    const struct config_option *option = config_find_flag(verb_settings(verb), name, &is_file);
    if (option) {
        return set_setting(s, option, flag, name_len);
    }
    return verb ? complain_unknown(s, name) : set_field(s, flag, name_len);
}

static enum err take_operand(struct scan *s)
{
    struct arguments *arguments = s->arguments;
    const char *operand = s->argv[s->at++];
    if (s->operand_count == 0) {
        arguments->verb = verb_find(str_from(operand));
    }
    size_t most = 1 + (arguments->verb ? arguments->verb->operands_most : EVENT_OPERANDS_MOST);
    if (s->operand_count == most) {
        enum err err = buf_printf(s->complaint, "\"%.64s\" is one argument too many", operand);
        return err ? err : ERR_INVALID;
    }
    arguments->operands[s->operand_count++] = operand;
    return OK;
}

/* What only an event can have. */
static enum err refuse_for_verb(struct scan *s)
{
    const struct arguments *arguments = s->arguments;
    const char *flag = arguments->data                                        ? "data"
                       : arguments->key                                       ? "idempotency-key"
                       : arguments->bulk                                      ? "bulk"
                       : arguments->dry_run                                   ? "dry-run"
                       : arguments->verb->settings && arguments->check_config ? "check-config"
                                                                              : NULL;
    if (arguments->field_count > 0) {
        return complain_unknown(s,
                                (struct str){arguments->fields->name, arguments->fields->name_len});
    }
    if (!flag) {
        return OK;
    }
    enum err err =
        buf_printf(s->complaint, "--%s is for events, not for %s", flag, arguments->verb->name);
    return err ? err : ERR_INVALID;
}

/* --timeout is short for --publish-timeout, --wait-replicas for --publish-wait-replicas. */
static enum err finish(struct scan *s)
{
    struct arguments *arguments = s->arguments;
    enum err err = arguments->verb ? refuse_for_verb(s) : OK;
    if (!err && arguments->timeout) {
        err = add_setting(arguments, STR("publish-timeout"), arguments->timeout);
    }
    if (!err && arguments->wait_replicas) {
        err = add_setting(arguments, STR("publish-wait-replicas"), arguments->wait_replicas);
    }
    return err;
}

enum err arguments_parse(int argc, char **argv, struct arguments *arguments, struct buf *complaint)
{
    *arguments = (struct arguments){.operands = calloc((size_t)argc + 1, sizeof(char *))};
    struct scan s = {.argc = argc, .at = 1, .argv = argv, arguments, complaint};
    bool flags = true;
    enum err err = arguments->operands ? OK : ERR_NOMEM;
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
    free(arguments->choices);
    free(arguments->operands);
    *arguments = (struct arguments){0};
}

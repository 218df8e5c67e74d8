#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every step of one loading needs. */
struct load {
    struct config_table table;
    void *settings;
    char **lines;                     /* by option: what was read from its file, or NULL */
    struct config_settings_file file; /* all zero without */
    struct buf *complaint;
};

static enum err complain_file(struct load *load, const struct config_option *option,
                              const char *source, const char *path, const char *why)
{
    enum err err = buf_printf(load->complaint, "%s_FILE (from the %s): cannot read \"%s\": %s",
                              option->env, source, path, why);
    return err ? err : ERR_INVALID;
}

static void forget_line(char *line)
{
    if (line) {
        explicit_bzero(line, strlen(line));
        free(line);
    }
}

static enum err set_from_file(struct load *load, const struct config_option *option,
                              const char *source, const char *path)
{
    char *line;
    const char *why;
    enum err err = config_read_line(path, &line, &why);
    if (err) {
        return err == ERR_INVALID ? complain_file(load, option, source, path, why) : err;
    }
    char **place = &load->lines[option - load->table.options];
    forget_line(*place);
    *place = line;
    return config_set_value(option, "file", line, load->settings, load->complaint);
}

static enum err set_default(struct load *load, const struct config_option *option)
{
    if (option->fallback) {
        return config_set_value(option, "default", option->fallback, load->settings,
                                load->complaint);
    }
    if (option->type == CONFIG_STRING) {
        const char *unset = NULL;
        memcpy((char *)load->settings + option->offset, &unset, sizeof unset);
    }
    return OK;
}

/* An empty variable counts as unset: that is how deployment tools write it. */
static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

/* From the settings file, or as it is without. */
static enum err load_said(struct load *load, const struct config_option *option)
{
    if (!load->file.said) {
        return set_default(load, option);
    }
    const struct config_said *value = &load->file.said[option - load->table.options];
    const struct config_said *path = value + load->table.count;
    char source[48];
    snprintf(source, sizeof source, "settings file, line %u",
             value->text ? value->line : path->line);
    if (value->text) {
        return config_set_value(option, source, value->text, load->settings, load->complaint);
    }
    return path->text ? set_from_file(load, option, source, path->text) : set_default(load, option);
}

static enum err load_variable(struct load *load, const struct config_option *option)
{
    const char *text = variable(option->env);
    if (text) {
        return config_set_value(option, "environment", text, load->settings, load->complaint);
    }
    if (option->flags & CONFIG_SECRET) {
        struct config_file_row row;
        config_file_row(option, &row);
        const char *path = variable(row.env);
        if (path) {
            return set_from_file(load, option, "environment", path);
        }
    }
    return load_said(load, option);
}

static enum err load_variables(struct load *load)
{
    enum err err = OK;
    for (size_t i = 0; i < load->table.count && !err; i++) {
        err = load_variable(load, &load->table.options[i]);
    }
    return err;
}

static enum err complain_unknown(struct load *load, struct str name)
{
    char near[CONFIG_FLAG_MAX];
    enum err err = buf_printf(load->complaint, "unknown flag --" STR_FMT "; ", STR_ARG(name));
    if (!err && config_nearest_flag(load->table, name, near)) {
        err = buf_printf(load->complaint, "did you mean --%s?", near);
    } else if (!err) {
        err = buf_append(load->complaint, STR("--help lists all flags"));
    }
    return err ? err : ERR_INVALID;
}

/* The flag at argv[*at]; moves *at behind it and its value. */
static enum err load_flag(struct load *load, int argc, char **argv, int *at)
{
    struct str flag = str_from(argv[(*at)++] + 2);
    size_t name_len = str_find(flag, '=');
    bool is_file;
    const struct config_option *option =
        config_find_flag(load->table, str_range(flag.ptr, name_len), &is_file);
    if (!option) {
        return complain_unknown(load, str_range(flag.ptr, name_len));
    }
    const char *text = flag.ptr + name_len + 1;
    if (name_len == flag.len) {
        text = option->type == CONFIG_BOOL ? "true" : *at < argc ? argv[(*at)++] : NULL;
    }
    if (!text) {
        enum err err = buf_printf(load->complaint, "--" STR_FMT " needs a value", STR_ARG(flag));
        return err ? err : ERR_INVALID;
    }
    return is_file
               ? set_from_file(load, option, "command line", text)
               : config_set_value(option, "command line", text, load->settings, load->complaint);
}

static enum err load_flags(struct load *load, int argc, char **argv, int *at)
{
    enum err err = OK;
    while (!err && *at < argc && strncmp(argv[*at], "--", 2) == 0) {
        if (argv[*at][2] == '\0') {
            ++*at;
            break;
        }
        err = load_flag(load, argc, argv, at);
    }
    return err;
}

/* Where an option's string is kept; NULL for those that are none. */
static const char **string_at(const struct load *load, size_t i)
{
    const struct config_option *option = &load->table.options[i];
    bool is_string = option->type == CONFIG_STRING;
    return is_string ? (const char **)(void *)((char *)load->settings + option->offset) : NULL;
}

static enum err load_all(struct load *load, int argc, char **argv, int *ret_rest)
{
    *ret_rest = 1;
    enum err err = load_variables(load);
    return err ? err : load_flags(load, argc, argv, ret_rest);
}

/* The path of the settings file, as far as it is known; NULL without. */
static const char *settings_path(const struct load *load)
{
    for (size_t i = 0; i < load->table.count; i++) {
        if (load->table.options[i].flags & CONFIG_SETTINGS_FILE) {
            return *string_at(load, i);
        }
    }
    return NULL;
}

/* Only flags and variables tell where the settings file is, and they go before what it says. */
static enum err load_with_file(struct load *load, int argc, char **argv, int *ret_rest)
{
    enum err err = load_all(load, argc, argv, ret_rest);
    const char *path = err ? NULL : settings_path(load);
    if (!path) {
        return err;
    }
    err = config_settings_file_read(load->table, path, &load->file, load->complaint);
    return err ? err : load_all(load, argc, argv, ret_rest);
}

/* Copies all strings into one block: arguments, environment and lines are not there for long. */
static enum err own_strings(struct load *load, char **ret_strings)
{
    size_t size = 1;
    for (size_t i = 0; i < load->table.count; i++) {
        const char **place = string_at(load, i);
        size += place && *place ? strlen(*place) + 1 : 0;
    }
    char *to = malloc(size);
    if (!to) {
        return ERR_NOMEM;
    }
    *ret_strings = to;
    for (size_t i = 0; i < load->table.count; i++) {
        const char **place = string_at(load, i);
        if (place && *place) {
            const char *from = *place;
            *place = to;
            to = stpcpy(to, from) + 1;
        }
    }
    return OK;
}

static void finish(struct load *load, enum err err)
{
    for (size_t i = 0; i < load->table.count; i++) {
        const char **place = string_at(load, i);
        if (err && place) {
            *place = NULL;
        }
        forget_line(load->lines[i]);
    }
    free(load->lines);
    config_settings_file_fini(&load->file);
}

enum err config_load(struct config_table table, int argc, char **argv, void *settings,
                     int *ret_rest, char **ret_strings, struct buf *complaint)
{
    struct load load = {.table = table,
                        .settings = settings,
                        .lines = calloc(table.count + 1, sizeof *load.lines),
                        .complaint = complaint};
    if (!load.lines) {
        return ERR_NOMEM;
    }
    int at;
    enum err err = load_with_file(&load, argc, argv, &at);
    err = err ? err : own_strings(&load, ret_strings);
    finish(&load, err);
    if (!err) {
        *ret_rest = at;
    }
    return err;
}

#include "publisher/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REDIS_OPTION(field) offsetof(struct publisher_settings, redis.field)
#define BUS_OPTION(field)   offsetof(struct publisher_settings, bus.field)
#define OWN_OPTION(field)   offsetof(struct publisher_settings, field)

static const struct config_option options[] = {
    {.env = "PUBLISH_TIMEOUT",
     .group = "Publishing",
     .type = CONFIG_NUMBER,
     .unit = "ms",
     .fallback = "10000",
     .min = 1,
     .max = 3600000,
     .offset = OWN_OPTION(timeout_ms),
     .help = "How long an event may take, connecting and repeating included"},
    {.env = "PUBLISH_WINDOW",
     .group = "Publishing",
     .type = CONFIG_NUMBER,
     .unit = "events",
     .fallback = "1000",
     .min = 1,
     .max = 10000,
     .offset = OWN_OPTION(window),
     .help = "How many events may be on their way at once"},
#include "redis/options.def"
    {.env = "REDIS_PASSWORD_FILE",
     .group = "Redis",
     .type = CONFIG_STRING,
     .max = 4096,
     .offset = OWN_OPTION(password_file),
     .help = "File whose first line is the password, where REDIS_PASSWORD is not set"},
#include "bus/options.def"
#include "bus/history.def"
};

struct config_table publisher_settings_table(void)
{
    return (struct config_table){options, ARRAY_LEN(options)};
}

enum { PASSWORD_MAX = 1024 };

/* "REDIS_HOST=x" as "--redis-host=x", which is what config_load reads. */
static char *as_flag(const char *override)
{
    char *flag = malloc(strlen(override) + 3);
    if (!flag) {
        return NULL;
    }
    char *to = flag + sprintf(flag, "--");
    while (*override && *override != '=') {
        char c = *override++;
        *to++ = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    strcpy(to, override);
    return flag;
}

static void free_arguments(char **argv)
{
    for (size_t i = 1; argv && argv[i]; i++) {
        free(argv[i]);
    }
    free(argv);
}

/* An argument list of flags for config_load; NULL without memory. */
static char **as_arguments(const char *const *overrides, int *ret_count)
{
    size_t count = 0;
    while (overrides && overrides[count]) {
        count++;
    }
    char **argv = calloc(count + 2, sizeof *argv);
    static char name[] = "";
    for (size_t i = 0; argv && i < count; i++) {
        argv[0] = name;
        argv[i + 1] = as_flag(overrides[i]);
        if (!argv[i + 1]) {
            free_arguments(argv);
            return NULL;
        }
    }
    *ret_count = (int)count + 1;
    return argv;
}

static bool is_string(const struct config_option *option)
{
    return option->type == CONFIG_STRING;
}

static const char **string_at(const struct config_option *option,
                              struct publisher_settings *settings)
{
    return (const char **)(void *)((char *)settings + option->offset);
}

/* Copies all strings into one block: arguments and environment are not ours to keep. */
static enum err own_strings(struct publisher_settings *settings)
{
    size_t size = 1;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const char *text = is_string(&options[i]) ? *string_at(&options[i], settings) : NULL;
        size += text ? strlen(text) + 1 : 0;
    }
    char *to = settings->strings = malloc(size);
    for (size_t i = 0; to && i < ARRAY_LEN(options); i++) {
        const char **place = string_at(&options[i], settings);
        if (is_string(&options[i]) && *place) {
            const char *from = *place;
            *place = to;
            to = stpcpy(to, from) + 1;
        }
    }
    return settings->strings ? OK : ERR_NOMEM;
}

/* The first line of the file, without its end. */
static enum err read_password(const char *path, char password[PASSWORD_MAX + 2],
                              struct buf *complaint)
{
    FILE *file = fopen(path, "re");
    if (!file || !fgets(password, PASSWORD_MAX + 2, file)) {
        enum err err = buf_printf(complaint, "REDIS_PASSWORD_FILE: cannot read \"%s\": %s", path,
                                  file ? "it is empty" : strerror(errno));
        if (file) {
            fclose(file);
        }
        return err ? err : ERR_INVALID;
    }
    fclose(file);
    password[strcspn(password, "\r\n")] = '\0';
    return OK;
}

static enum err complete(struct publisher_settings *settings, struct buf *complaint)
{
    char password[PASSWORD_MAX + 2] = "";
    enum err err = OK;
    if (settings->password_file && !settings->redis.password) {
        err = read_password(settings->password_file, password, complaint);
        settings->redis.password = password;
    }
    if (!err) {
        err = own_strings(settings);
    }
    explicit_bzero(password, sizeof password);
    if (err) {
        return err;
    }
    settings->redis.client_name = "guesslyfe-publisher";
    settings->redis.reconnect = true;
    return OK;
}

enum err publisher_settings_load(const char *const *overrides,
                                 struct publisher_settings *ret_settings, struct buf *complaint)
{
    int count, rest;
    char **argv = as_arguments(overrides, &count);
    if (!argv) {
        return ERR_NOMEM;
    }
    struct publisher_settings settings = {0};
    enum err err =
        config_load(publisher_settings_table(), count, argv, &settings, &rest, complaint);
    if (!err) {
        err = complete(&settings, complaint);
    }
    free_arguments(argv);
    if (!err) {
        *ret_settings = settings;
    }
    return err;
}

void publisher_settings_fini(struct publisher_settings *settings)
{
    free(settings->strings);
    settings->strings = NULL;
}

#include "publisher/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/options.h"

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
    {.env = "IDEMPOTENCY_AGE",
     .group = "History",
     .type = CONFIG_NUMBER,
     .unit = "s",
     .fallback = "86400",
     .min = 1,
     .max = 31536000,
     .offset = BUS_OPTION(once_seconds),
     .help = "How long an idempotency key is remembered after its last use"},
    {.env = "PUBLISH_WAIT_REPLICAS",
     .group = "Publishing",
     .type = CONFIG_NUMBER,
     .unit = "replicas",
     .fallback = "0",
     .max = 100,
     .offset = OWN_OPTION(wait_replicas),
     .help = "How many replicas of Redis are to have an event before it counts as published"},
#include "bus/history.def"
#include "bus/options.def"
#include "redis/options.def"
};

struct config_table publisher_settings_table(void)
{
    return (struct config_table){options, ARRAY_LEN(options)};
}

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

enum err publisher_settings_read(struct config_table table, const char *const *overrides,
                                 void *settings, char **ret_strings, struct buf *complaint)
{
    int count, rest;
    char **argv = as_arguments(overrides, &count);
    if (!argv) {
        return ERR_NOMEM;
    }
    enum err err = config_load(table, count, argv, settings, &rest, ret_strings, complaint);
    free_arguments(argv);
    return err;
}

enum err publisher_settings_load(const char *const *overrides,
                                 struct publisher_settings *ret_settings, struct buf *complaint)
{
    struct publisher_settings settings = {0};
    enum err err = publisher_settings_read(publisher_settings_table(), overrides, &settings,
                                           &settings.strings, complaint);
    if (!err) {
        err = redis_options_check(&settings.redis, complaint);
    }
    if (err) {
        publisher_settings_fini(&settings);
        return err;
    }
    settings.redis.client_name = "guesslyfe-publisher";
    settings.redis.reconnect = true;
    *ret_settings = settings;
    return OK;
}

void publisher_settings_fini(struct publisher_settings *settings)
{
    free(settings->strings);
    settings->strings = NULL;
}

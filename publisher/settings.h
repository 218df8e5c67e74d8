/* What a publisher can be told: the rows of --help, environment variables, defaults. */
#ifndef PUBLISHER_SETTINGS_H
#define PUBLISHER_SETTINGS_H

#include <stdint.h>

#include "bus/options.h"
#include "config/config.h"
#include "redis/link.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct publisher_settings {
    struct redis_link_options redis;
    struct bus_settings bus;
    uint64_t timeout_ms;
    uint64_t window;
    uint64_t wait_replicas;
    char *strings; /* private: owns what the strings above point to */
};

struct config_table publisher_settings_table(void);

/*
 * From "NAME=value" strings (ended by NULL, may be NULL) and the environment. INVALID: *complaint
 * holds a sentence. On failure there is nothing to release.
 */
MUST_CHECK enum err publisher_settings_load(const char *const *overrides,
                                            struct publisher_settings *ret_settings,
                                            struct buf *complaint);
/* config_load, from overrides of that form, for another table of settings. */
MUST_CHECK enum err publisher_settings_read(struct config_table table, const char *const *overrides,
                                            void *settings, char **ret_strings,
                                            struct buf *complaint);
void publisher_settings_fini(struct publisher_settings *settings);

#endif

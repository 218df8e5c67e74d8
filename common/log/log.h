/*
 * Log lines as key=value or JSON, one write each.
 *
 *     log_warn("redis refused", LOG_STR("reply", reply), LOG_U64("attempt", attempt));
 *
 * gives: time=2025-01-16T10:00:00.000Z level=warn msg="redis refused" reply="…" attempt=3
 *
 * Codecs and util never log; whoever decides what to do about an error logs it once, with who and
 * why. Format, level, sink and tag are set once, before the first line; they are the only globals.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *key; /* NULL ends a list of fields */
    enum { LOG_VALUE_STR, LOG_VALUE_U64, LOG_VALUE_I64, LOG_VALUE_BOOL } kind;
    struct str text;
    uint64_t number;
};

#define LOG_STR(key, value)                                                                        \
    {                                                                                              \
        (key), LOG_VALUE_STR, (value), 0                                                           \
    }
#define LOG_CSTR(key, value)                                                                       \
    {                                                                                              \
        (key), LOG_VALUE_STR, str_from(value), 0                                                   \
    }
#define LOG_ERR(err) LOG_CSTR("error", err_name(err))
/* The current errno as text. */
#define LOG_ERRNO() LOG_CSTR("error", log_errno_text())
#define LOG_U64(key, value)                                                                        \
    {                                                                                              \
        (key), LOG_VALUE_U64, {0}, (uint64_t)(value)                                               \
    }
#define LOG_I64(key, value)                                                                        \
    {                                                                                              \
        (key), LOG_VALUE_I64, {0}, (uint64_t)(int64_t)(value)                                      \
    }
#define LOG_BOOL(key, value)                                                                       \
    {                                                                                              \
        (key), LOG_VALUE_BOOL, {0}, (value) ? 1 : 0                                                \
    }

#define LOG_FIELDS(...)     ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_error(msg, ...) log_write(LOG_LEVEL_ERROR, (msg), LOG_FIELDS(__VA_ARGS__))
#define log_warn(msg, ...)  log_write(LOG_LEVEL_WARN, (msg), LOG_FIELDS(__VA_ARGS__))
#define log_info(msg, ...)  log_write(LOG_LEVEL_INFO, (msg), LOG_FIELDS(__VA_ARGS__))
/* Costs a comparison when debug lines are off. */
#define log_debug(msg, ...)                                                                        \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG)) {                                                        \
            log_write(LOG_LEVEL_DEBUG, (msg), LOG_FIELDS(__VA_ARGS__));                            \
        }                                                                                          \
    } while (0)

/* Receives whole lines, newline included. */
typedef void (*log_sink_fn)(struct str line, void *context);

/* Default: INFO, TEXT, standard error. A NULL sink is standard error. */
void log_setup(enum log_level level, enum log_format format, log_sink_fn sink, void *context);
void log_set_level(enum log_level level);
/* Stands behind msg in every line from now on; for one of several processes. */
void log_set_tag(const char *key, uint64_t number);
bool log_enabled(enum log_level level);
/* A line longer than 8 KiB is cut; control characters and invalid UTF-8 in values are escaped. */
void log_write(enum log_level level, const char *msg, const struct log_field *fields);
const char *log_errno_text(void);

/*
 * For what a stranger can cause: at most `burst` lines in each second, and with the first line of a
 * later second how many were left out. Zero-initialise; one per kind of line.
 */
struct log_limit {
    uint64_t second;
    uint32_t written;
    uint32_t suppressed;
};
/* Whether to write this line; *ret_suppressed (may be NULL) is how many were not since the last. */
bool log_limit_allows(struct log_limit *limit, uint32_t burst, uint32_t *ret_suppressed);

#endif

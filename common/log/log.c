#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/jtext.h"
#include "util/utf8.h"

enum { LINE_MAX_BYTES = 8192, VALUE_MAX_BYTES = 1024 };

static void to_stderr(struct str line, void *context)
{
    (void)context;
    /* A log that cannot be written has nobody left to tell. */
    if (write(STDERR_FILENO, line.ptr, line.len) < 0) {
        return;
    }
}

static struct {
    enum log_level level;
    enum log_format format;
    log_sink_fn sink;
    void *context;
    struct log_field tag; /* key NULL: none */
} config = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, to_stderr, NULL, {0}};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_setup(enum log_level level, enum log_format format, log_sink_fn sink, void *context)
{
    config.level = level;
    config.format = format;
    config.sink = sink ? sink : to_stderr;
    config.context = context;
}

void log_set_level(enum log_level level)
{
    config.level = level;
}

void log_set_tag(const char *key, uint64_t number)
{
    config.tag = (struct log_field)LOG_U64(key, number);
}

bool log_enabled(enum log_level level)
{
    return level <= config.level;
}

const char *log_errno_text(void)
{
    return strerror(errno);
}

/* Letters that need no quotes in key=value lines. */
static bool is_plain(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return value.len > 0;
}

/* A quoted string that is safe to print: valid UTF-8, or with every other byte shown as a dot. */
static enum err append_quoted(struct buf *line, struct str value)
{
    char visible[VALUE_MAX_BYTES];
    if (value.len > sizeof visible) {
        value.len = sizeof visible;
    }
    if (!utf8_valid(value)) {
        for (size_t i = 0; i < value.len; i++) {
            unsigned char c = (unsigned char)value.ptr[i];
            visible[i] = c >= ' ' && c < 0x7f ? (char)c : '.';
        }
        value.ptr = visible;
    }
    return jtext_quote(value, line);
}

static enum err append_value(struct buf *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_VALUE_U64:
        return buf_append_u64(line, field->number);
    case LOG_VALUE_I64:
        return buf_printf(line, "%lld", (long long)(int64_t)field->number);
    case LOG_VALUE_BOOL:
        return buf_append(line, field->number ? STR("true") : STR("false"));
    case LOG_VALUE_STR:
        break;
    }
    bool bare = config.format == LOG_FORMAT_TEXT && is_plain(field->text);
    return bare ? buf_append(line, field->text) : append_quoted(line, field->text);
}

static enum err append_field(struct buf *line, const struct log_field *field)
{
    bool json = config.format == LOG_FORMAT_JSON;
    enum err err = json ? buf_printf(line, "%s\"%s\":", line->len > 1 ? "," : "", field->key)
                        : buf_printf(line, "%s%s=", line->len > 0 ? " " : "", field->key);
    return err ? err : append_value(line, field);
}

static enum err compose(struct buf *line, enum log_level level, const char *msg,
                        const struct log_field *fields)
{
    char time[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(clock_wall_ms(), time);
    const struct log_field head[] = {LOG_CSTR("time", time), LOG_CSTR("level", level_names[level]),
                                     LOG_CSTR("msg", msg)};
    enum err err = config.format == LOG_FORMAT_JSON ? buf_append_char(line, '{') : OK;
    for (size_t i = 0; i < ARRAY_LEN(head) && !err; i++) {
        err = append_field(line, &head[i]);
    }
    if (config.tag.key && !err) {
        err = append_field(line, &config.tag);
    }
    for (; fields->key && !err; fields++) {
        size_t before = line->len;
        err = append_field(line, fields);
        if (err) {
            line->len = before; /* a field is there whole or not at all */
        }
    }
    return err;
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    if (!log_enabled(level)) {
        return;
    }
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    if (compose(&line, level, msg, fields)) {
        /* Cut at the limit, or without memory: what there is says more than nothing. */
    }
    line.limit = 0;
    if (!buf_append(&line, config.format == LOG_FORMAT_JSON ? STR("}\n") : STR("\n"))) {
        config.sink(buf_str(&line), config.context);
    }
    buf_fini(&line);
}

bool log_limit_allows(struct log_limit *limit, uint32_t burst, uint32_t *ret_suppressed)
{
    uint64_t second = clock_monotonic_ms() / 1000;
    uint32_t suppressed = 0;
    if (second != limit->second) {
        suppressed = limit->suppressed;
        *limit = (struct log_limit){.second = second};
    }
    if (limit->written >= burst) {
        limit->suppressed++;
        return false;
    }
    limit->written++;
    if (ret_suppressed) {
        *ret_suppressed = suppressed;
    }
    return true;
}

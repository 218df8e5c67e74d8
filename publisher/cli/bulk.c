/*
 * Many events, one JSON object a line: {"event":…,"data":…,"idempotencyKey":…}. A line that cannot
 * be published is reported and the others go on, except when Redis cannot be reached at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "publisher/cli/command.h"
#include "publisher/cli/input.h"
#include "publisher/cli/report.h"
#include "util/clock.h"
#include "util/jtext.h"

enum { PROGRESS_MS = 200 };

struct bulk {
    const struct arguments *arguments;
    struct glyfe_publisher *publisher; /* NULL in a dry run */
    struct input_lines lines;
    unsigned long published, duplicates, failed;
    enum exit_code code; /* of the first failure */
    bool hopeless;       /* Redis cannot be reached: no use to go on */
    bool progress;       /* on a terminal */
    uint64_t shown_ms;
};

/* One line on its way; its strings are one block behind it. */
struct bulk_line {
    struct bulk *bulk;
    unsigned long number;
    const char *event, *data, *key;
};

/* What a line holds, as text of its JSON. */
struct line_parts {
    struct str event, data, key;
};

static void show_progress(struct bulk *bulk, bool last)
{
    uint64_t now = clock_monotonic_ms();
    if (bulk->progress && (last || now - bulk->shown_ms >= PROGRESS_MS)) {
        bulk->shown_ms = now;
        fprintf(stderr, "\r%lu published, %lu failed%s", bulk->published, bulk->failed,
                last ? "\n" : "");
    }
}

static void fail(struct bulk *bulk, unsigned long line, const char *event, enum exit_code code,
                 const char *message)
{
    struct report_place place = {.json = bulk->arguments->json, .event = event, .line = line};
    report_error(&place, code, message);
    bulk->failed++;
    bulk->code = bulk->code ? bulk->code : code;
    bulk->hopeless |= code == EXIT_UNREACHABLE;
}

static void on_done(void *context, enum glyfe_error error, const struct glyfe_result *result,
                    const char *message)
{
    struct bulk_line *line = context;
    struct bulk *bulk = line->bulk;
    if (error) {
        fail(bulk, line->number, line->event, exit_code_of(error), message);
    } else {
        bulk->published++;
        bulk->duplicates += result->duplicate;
        struct report_place place = {true, line->event, line->number};
        if (bulk->arguments->json) {
            report_result(&place, result);
        }
    }
    free(line);
    show_progress(bulk, false);
}

/* --- Reading a line --- */

static struct str *part_of(struct line_parts *parts, struct str key)
{
    return jtext_is(key, STR("event"))            ? &parts->event
           : jtext_is(key, STR("data"))           ? &parts->data
           : jtext_is(key, STR("idempotencyKey")) ? &parts->key
                                                  : NULL;
}

/* NULL where the line is what it should be, else what is wrong with it. */
static const char *split_line(struct str text, struct line_parts *parts)
{
    if (jtext_check(text, CATALOGUE_DEPTH_MAX + 1) || jtext_kind(text) != JTEXT_OBJECT) {
        return "expected a JSON object {\"event\":…,\"data\":…}";
    }
    struct jtext_walk walk;
    struct str key, value;
    jtext_walk(&walk, text);
    while (jtext_next(&walk, &key, &value)) {
        struct str *part = part_of(parts, key);
        if (!part || part->len > 0) {
            return part ? "the same key twice" : "a key that is not event, data, idempotencyKey";
        }
        *part = value;
    }
    if (jtext_kind(parts->event) != JTEXT_STRING || parts->data.len == 0) {
        return "expected event (a string) and data";
    }
    return parts->key.len > 0 && jtext_kind(parts->key) != JTEXT_STRING
               ? "idempotencyKey: expected a string"
               : NULL;
}

/* Appends the text of a JSON string and a terminator; the place in the buffer by out-parameter. */
static enum err append_text(struct str string, struct buf *out, size_t *ret_at)
{
    *ret_at = out->len;
    enum err err = jtext_unescape(string, out);
    return err ? err : buf_append_char(out, '\0');
}

/* The line on the heap, in one piece with its strings. NULL without memory or with bad escapes. */
static struct bulk_line *make_line(struct bulk *bulk, const struct line_parts *parts)
{
    struct bulk_line head = {.bulk = bulk, .number = bulk->lines.count};
    struct buf block = {0};
    size_t event, key = 0, data = sizeof head;
    enum err err = buf_append(&block, str_range((const char *)&head, sizeof head));
    if (!err) {
        err = buf_append(&block, parts->data);
    }
    if (!err) {
        err = buf_append_char(&block, '\0');
    }
    if (!err) {
        err = append_text(parts->event, &block, &event);
    }
    if (!err && parts->key.len > 0) {
        err = append_text(parts->key, &block, &key);
    }
    if (err) {
        buf_fini(&block);
        return NULL;
    }
    struct bulk_line *line = (struct bulk_line *)(void *)block.data;
    line->data = block.data + data;
    line->event = block.data + event;
    line->key = key > 0 ? block.data + key : NULL;
    return line;
}

/* --- Publishing --- */

static void show(struct bulk *bulk, const struct bulk_line *line)
{
    const struct catalogue_event *event = catalogue_find(str_from(line->event));
    struct catalogue_message message;
    struct buf payload = {0}, complaint = {0};
    enum err err = ERR_INVALID;
    if (event) {
        err = catalogue_encode(event, str_from(line->data), clock_wall_ms(), &message, &payload,
                               &complaint);
    }
    if (err) {
        const char *words = complaint.len > 0 ? buf_cstr(&complaint) : "there is no such event";
        fail(bulk, line->number, line->event, err == ERR_INVALID ? EXIT_DATA : EXIT_INTERNAL,
             words ? words : err_name(err));
    } else {
        struct report_place place = {bulk->arguments->json, line->event, line->number};
        report_dry_run(&place, &message, buf_str(&payload));
        bulk->published++;
    }
    buf_fini(&payload);
    buf_fini(&complaint);
}

static void take_line(struct bulk *bulk, struct str text)
{
    struct line_parts parts = {0};
    const char *wrong = split_line(text, &parts);
    struct bulk_line *line = wrong ? NULL : make_line(bulk, &parts);
    if (!line) {
        fail(bulk, bulk->lines.count, NULL, EXIT_DATA, wrong ? wrong : "event: not a name");
        return;
    }
    if (!bulk->publisher) {
        show(bulk, line);
        free(line);
        return;
    }
    enum glyfe_error error =
        glyfe_submit(bulk->publisher, line->event, line->data, line->key, on_done, line);
    if (error) {
        fail(bulk, line->number, line->event, exit_code_of(error),
             glyfe_publisher_error(bulk->publisher));
        free(line);
    }
}

static void flush(struct bulk *bulk)
{
    if (bulk->publisher && glyfe_flush(bulk->publisher)) {
        fail(bulk, bulk->lines.count, NULL, EXIT_INTERNAL, glyfe_publisher_error(bulk->publisher));
        bulk->hopeless = true;
    }
}

/* While the input rests, nothing that was read waits for it. */
static void read_lines(struct bulk *bulk)
{
    struct str text;
    enum err err = OK;
    while (!bulk->hopeless) {
        if (input_lines_would_wait(&bulk->lines)) {
            flush(bulk);
        }
        err = input_lines_next(&bulk->lines, &text);
        if (err) {
            break;
        }
        if (jtext_trim(text).len > 0) {
            take_line(bulk, text);
        }
    }
    flush(bulk);
    if (err && err != ERR_CLOSED) {
        fail(bulk, bulk->lines.count + 1, NULL, err == ERR_LIMIT ? EXIT_DATA : EXIT_INTERNAL,
             err == ERR_LIMIT ? "longer than 1 MiB; stopped here" : strerror(errno));
    }
}

static void summarize(const struct bulk *bulk)
{
    FILE *out = bulk->arguments->json ? stderr : stdout;
    fprintf(out, "%lu %s, %lu duplicates, %lu failed%s\n", bulk->published,
            bulk->publisher ? "published" : "valid", bulk->duplicates, bulk->failed,
            bulk->hopeless ? "; stopped before the end of the input" : "");
}

enum exit_code command_bulk(const struct arguments *arguments)
{
    if (arguments->operands[0] || arguments->data || arguments->key || arguments->field_count) {
        return report_usage("--bulk takes events, data and keys from standard input only");
    }
    struct bulk bulk = {.arguments = arguments, .progress = isatty(STDERR_FILENO)};
    char complaint[512];
    if (!arguments->dry_run) {
        bulk.publisher = glyfe_publisher_open((const char *const *)arguments->settings, complaint,
                                              sizeof complaint);
        if (!bulk.publisher) {
            return report_usage(complaint);
        }
    }
    if (arguments->json) {
        setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* whoever reads results may wait for each */
    }
    input_lines_init(&bulk.lines, STDIN_FILENO);
    read_lines(&bulk);
    show_progress(&bulk, true);
    summarize(&bulk);
    input_lines_fini(&bulk.lines);
    glyfe_publisher_close(bulk.publisher);
    return bulk.code;
}

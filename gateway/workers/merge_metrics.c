#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/exposition.h"
#include "workers/merge.h"

/* Takes a line with its end off the text. */
static struct str take_line(struct str *rest)
{
    size_t end = str_find(*rest, '\n');
    struct str line = str_range(rest->ptr, end < rest->len ? end + 1 : end);
    *rest = str_skip(*rest, line.len);
    return line;
}

/* Takes HELP and TYPE, with which every family begins. */
static struct str take_head(struct str *rest)
{
    const char *begin = rest->ptr;
    take_line(rest);
    take_line(rest);
    return str_range(begin, (size_t)(rest->ptr - begin));
}

/* "name 1" or "name{label="value"} 1" as a number of that worker. */
static enum err append_number(struct str line, size_t worker, struct buf *out)
{
    size_t brace = str_find(line, '{');
    bool labelled = brace < line.len;
    size_t name = labelled ? brace : str_find(line, ' ');
    struct str rest = str_skip(line, labelled ? name + 1 : name);
    return buf_printf(out, STR_FMT "{worker=\"%zu\"%s" STR_FMT, STR_ARG(str_range(line.ptr, name)),
                      worker, labelled ? "," : "}", STR_ARG(rest));
}

/* Takes the numbers of one family. */
static enum err append_numbers(struct str *rest, size_t worker, struct buf *out)
{
    enum err err = OK;
    while (!err && rest->len > 0 && *rest->ptr != '#') {
        err = append_number(take_line(rest), worker, out);
    }
    return err;
}

/* The family that texts[from] is at, with the numbers of all who are at it too: all, as they are
 * the same program. */
static enum err append_family(struct str *texts, size_t from, size_t count, struct buf *out)
{
    struct str head = take_head(&texts[from]);
    enum err err = buf_append(out, head);
    err = err ? err : append_numbers(&texts[from], from, out);
    for (size_t i = from + 1; i < count && !err; i++) {
        if (str_starts(texts[i], head)) {
            texts[i] = str_skip(texts[i], head.len);
            err = append_numbers(&texts[i], i, out);
        }
    }
    return err;
}

static enum err append_families(struct str *texts, size_t count, struct buf *out)
{
    enum err err = OK;
    for (size_t i = 0; i < count; i++) {
        while (texts[i].len > 0 && !err) {
            err = append_family(texts, i, count, out);
        }
    }
    return err;
}

static void append_table(const struct merge_part *parts, size_t count, struct exposition *text)
{
#define GAUGE   "gauge"
#define COUNTER "counter"
#define GROUP(title)
#define FAMILY(type, name, label, help) exposition_family(text, type, name, label, help);
#define METRIC(type, name, help, number)                                                           \
    exposition_family(text, type, name, NULL, help);                                               \
    exposition_number(text, number);
#define EACH_WORKER(number)                                                                        \
    for (size_t i = 0; i < count; i++) {                                                           \
        const struct merge_part *part = &parts[i];                                                 \
        char value[24];                                                                            \
        snprintf(value, sizeof value, "%zu", i);                                                   \
        exposition_labelled(text, value, number);                                                  \
    }
#include "workers/metrics.def"
}

enum err merge_metrics(const struct merge_part *parts, size_t count, struct buf *out)
{
    struct str *texts = calloc(count, sizeof *texts);
    if (!texts) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        texts[i] = parts[i].why_not ? STR("") : parts[i].body;
    }
    enum err err = append_families(texts, count, out);
    free(texts);
    struct exposition text = {.out = out, .err = err};
    append_table(parts, count, &text);
    return text.err;
}

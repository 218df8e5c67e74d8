/* What is revoked, as Redis holds it. */
#include <inttypes.h>
#include <stdio.h>

#include "bus/revocation.h"
#include "publisher/cli/console.h"
#include "publisher/cli/line.h"
#include "publisher/cli/table.h"
#include "publisher/cli/verb.h"
#include "util/clock.h"

static const char *const heads[] = {"USER", "REFUSED"};

static void add_row(struct table *table, struct str user, struct str value)
{
    uint64_t before;
    char time[CLOCK_ISO8601_LEN + 1];
    table_cell(table, STR_FMT, STR_ARG(str_eq(user, BUS_EVERYBODY) ? STR("(everybody)") : user));
    if (bus_revocation_parse_value(value, &before)) {
        table_cell(table, "nothing: what is written is no revocation");
    } else if (before == BUS_REVOKED_ALWAYS) {
        table_cell(table, "all tokens");
    } else {
        clock_iso8601((int64_t)before * 1000, time);
        table_cell(table, "issued before %s", time);
    }
}

static void print_object(struct str user, struct str value)
{
    uint64_t before;
    fputs("{\"user\":", stdout);
    line_print_quoted(user, stdout);
    if (bus_revocation_parse_value(value, &before)) {
        fputs(",\"before\":null}\n", stdout);
    } else if (before == BUS_REVOKED_ALWAYS) {
        fputs(",\"before\":\"-\"}\n", stdout);
    } else {
        printf(",\"before\":%" PRIu64 "}\n", before);
    }
}

/* One page of HSCAN; where the next begins is left in `cursor`. */
static enum exit_code list_page(struct console *console, struct str key, struct buf *cursor,
                                struct table *table)
{
    const struct answer *page =
        CONSOLE_ASK(console, STR("HSCAN"), key, buf_str(cursor), STR("COUNT"), STR("1000"));
    if (!page) {
        return console_fail(console);
    }
    if (page->kind != ANSWER_LIST || page->count != 2) {
        return console_refused(console, page);
    }
    const struct answer *fields = &page->items[1];
    for (size_t i = 0; i + 1 < fields->count; i += 2) {
        if (console->json) {
            print_object(answer_item(fields, i), answer_item(fields, i + 1));
        } else {
            add_row(table, answer_item(fields, i), answer_item(fields, i + 1));
        }
    }
    buf_clear(cursor);
    return buf_append(cursor, answer_item(page, 0)) ? EXIT_INTERNAL : EXIT_CONFIRMED;
}

static enum exit_code list_all(struct console *console, struct table *table)
{
    struct buf key = {0}, cursor = {0};
    enum err err = bus_revoked_key(&console->keys, &key);
    err = err ? err : buf_append_char(&cursor, '0');
    enum exit_code code = err ? EXIT_INTERNAL : EXIT_CONFIRMED;
    do {
        code = code ? code : list_page(console, buf_str(&key), &cursor, table);
    } while (!code && !str_eq(buf_str(&cursor), STR("0")));
    buf_fini(&key);
    buf_fini(&cursor);
    return code;
}

static enum exit_code list(const struct arguments *arguments)
{
    struct console console = {0};
    struct table table;
    table_init(&table, heads, ARRAY_LEN(heads));
    enum exit_code code = console_open(&console, arguments);
    code = code ? code : list_all(&console, &table);
    if (!code && !console.json && (table.err || table_print(&table, stdout))) {
        code = EXIT_INTERNAL;
    }
    table_fini(&table);
    console_close(&console);
    return code;
}

const struct verb verb_revocations = {
    .name = "revocations",
    .operands = "",
    .summary = "what is revoked",
    .details = "Lists what revoke has written and unrevoke has not taken back, as Redis holds it.",
    .run = list,
};

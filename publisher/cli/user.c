/* Where a user is connected. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/revocation.h"
#include "publisher/cli/inquiry.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/table.h"
#include "publisher/cli/verb.h"
#include "util/clock.h"
#include "util/jtext.h"

static const struct verb_flag flags[] = {INQUIRY_FLAG};

static const char *const heads[] = {"SOCKET", "GATEWAY",  "HOST", "TRANSPORT", "SINCE",
                                    "PEER",   "RECOVERS", "USER", "ADDRESS",   "ROOMS"};

struct view {
    struct console console;
    struct inquiry inquiry;
    char user[ROOM_ID_MAX + 1];
    uint64_t wait_ms;
};

static void add_rooms(struct table *table, struct str connection)
{
    struct str rooms = jtext_member(connection, STR("rooms")), room;
    struct jtext_walk walk;
    struct buf list = {0};
    enum err err = OK;
    if (jtext_kind(rooms) == JTEXT_ARRAY) {
        jtext_walk(&walk, rooms);
        while (!err && jtext_next(&walk, NULL, &room)) {
            err = list.len > 0 ? buf_append_char(&list, ',') : OK;
            err = err || jtext_kind(room) != JTEXT_STRING ? err : jtext_unescape(room, &list);
        }
    }
    table_cell(table, STR_FMT, STR_ARG(buf_str(&list)));
    buf_fini(&list);
}

static void add_connection(struct table *table, const struct inquiry *inquiry,
                           const struct inquiry_reply *reply, struct str connection)
{
    char since[CLOCK_ISO8601_LEN + 1];
    struct buf text = {0};
    clock_iso8601((int64_t)inquiry_number(connection, STR("connectedAt")), since);
    bool recovers = jtext_kind(jtext_member(connection, STR("recovers"))) == JTEXT_TRUE;
    table_cell(table, "%s", inquiry_text(connection, STR("socket"), &text));
    table_cell(table, "%s", reply->gateway);
    table_cell(table, "%s", inquiry_host(inquiry, reply));
    table_cell(table, "%s", inquiry_text(connection, STR("transport"), &text));
    table_cell(table, "%s", since);
    table_cell(table, "%s", inquiry_text(connection, STR("peer"), &text));
    table_cell(table, "%s", recovers ? "yes" : "no");
    table_cell(table, "%s", inquiry_text(connection, STR("user"), &text));
    table_cell(table, "%s", inquiry_text(connection, STR("address"), &text));
    add_rooms(table, connection);
    buf_fini(&text);
}

static void add_connections(struct table *table, const struct inquiry *inquiry,
                            const struct inquiry_reply *reply)
{
    struct str connections = jtext_member(reply->object, STR("connections")), connection;
    struct jtext_walk walk;
    if (jtext_kind(connections) != JTEXT_ARRAY) {
        return;
    }
    jtext_walk(&walk, connections);
    while (jtext_next(&walk, NULL, &connection)) {
        if (jtext_kind(connection) == JTEXT_OBJECT) {
            add_connection(table, inquiry, reply, connection);
        }
    }
}

static enum err print_table(const struct view *view)
{
    struct table table;
    table_init(&table, heads, ARRAY_LEN(heads));
    for (size_t i = 0; i < view->inquiry.count; i++) {
        add_connections(&table, &view->inquiry, &view->inquiry.replies[i]);
    }
    enum err err = table.count > 0 ? table_print(&table, stdout) : table.err;
    size_t shown = table.count / ARRAY_LEN(heads);
    uint64_t count = inquiry_sum(&view->inquiry, STR("count"));
    printf("%s: %" PRIu64 " connections%s\n", view->user, count > shown ? count : shown,
           count > shown ? ", more than fit into an answer" : "");
    table_fini(&table);
    return err;
}

static enum exit_code show(struct view *view)
{
    struct buf members = {0};
    enum err err = buf_append(&members, STR("\"user\":"));
    err = err ? err : jtext_quote(str_from(view->user), &members);
    enum exit_code code = err ? EXIT_INTERNAL
                              : inquiry_ask(&view->inquiry, &view->console, STR("user"),
                                            buf_str(&members), view->wait_ms);
    buf_fini(&members);
    if (code) {
        return code;
    }
    if (view->console.json) {
        fputs("{\"user\":", stdout);
        line_print_quoted(str_from(view->user), stdout);
        inquiry_print_json(&view->inquiry);
        fputs("}\n", stdout);
    } else if (print_table(view)) {
        return EXIT_INTERNAL;
    }
    return inquiry_judge(&view->inquiry, "connections there are not shown");
}

static enum exit_code run(const struct arguments *arguments)
{
    struct view view = {0};
    struct buf complaint = {0};
    const char *user = arguments->operands[1];
    if (!user || bus_revocation_user(str_from(user), view.user)) {
        return report_usage("which user? The sub of its tokens, or its address");
    }
    enum err err = inquiry_wait(arguments, &view.wait_ms, &complaint);
    if (err) {
        return report_complaint(err, &complaint);
    }
    enum exit_code code = console_open(&view.console, arguments);
    code = code ? code : show(&view);
    inquiry_fini(&view.inquiry);
    console_close(&view.console);
    return code;
}

const struct verb verb_user = {
    .name = "user",
    .operands = "USER",
    .operands_most = 1,
    .summary = "where a user is connected",
    .details = "Shows all connections of a user (the sub of its tokens, or its address): on which "
               "gateway, by which transport, since when, in which rooms.\n"
               "\n"
               "It ends with status 8 where a gateway has not answered, and with 9 where there is "
               "none.",
    VERB_FLAGS(flags),
    .run = run,
};

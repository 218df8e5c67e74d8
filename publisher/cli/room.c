/* What there is of one room, over the whole fleet. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/envelope.h"
#include "publisher/cli/inquiry.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/table.h"
#include "publisher/cli/verb.h"
#include "schema/room.h"
#include "util/clock.h"
#include "util/jtext.h"

enum { LIMIT = 100, LIMIT_MAX = 1000 };

static const struct verb_flag flags[] = {
    {.name = "list", .help = "Also who its members are"},
    {.name = "limit", .value = "N", .help = "So many members of each gateway; 100 by default"},
    INQUIRY_FLAG,
};

struct view {
    struct console console;
    struct inquiry inquiry;
    struct room_name room;
    bool list;
    uint64_t limit, wait_ms;
    long long log_length, subscribers;
    uint64_t last_id; /* 0: the log is empty */
};

/* --- What Redis knows --- */

/* A number; what was reported where there is none. */
static enum exit_code ask_number(struct view *view, const struct str *args, size_t count,
                                 long long *ret_number)
{
    const struct answer *answer = console_ask(&view->console, args, count);
    if (!answer) {
        return console_fail(&view->console);
    }
    if (answer->kind == ANSWER_LIST && answer->count == 2) {
        *ret_number = answer->items[1].number; /* NUMSUB: channel and number */
    } else if (answer->kind == ANSWER_NUMBER) {
        *ret_number = answer->number;
    } else {
        return console_refused(&view->console, answer);
    }
    return EXIT_CONFIRMED;
}

static enum exit_code ask_last(struct view *view, struct str log)
{
    const struct answer *entry = CONSOLE_ASK(&view->console, STR("LINDEX"), log, STR("-1"));
    struct bus_envelope envelope;
    if (!entry) {
        return console_fail(&view->console);
    }
    if (entry->kind == ANSWER_ERROR) {
        return console_refused(&view->console, entry);
    }
    view->last_id = bus_envelope_parse(entry->text, &envelope) ? 0 : envelope.id;
    return EXIT_CONFIRMED;
}

static enum exit_code ask_redis(struct view *view)
{
    struct str name = room_name_str(&view->room);
    struct buf log = {0}, channel = {0};
    enum exit_code code = EXIT_INTERNAL;
    if (!bus_log_key(&view->console.keys, name, &log) &&
        !bus_channel_name(&view->console.keys, name, &channel)) {
        const struct str length[] = {STR("LLEN"), buf_str(&log)};
        const struct str subscribers[] = {STR("PUBSUB"), STR("NUMSUB"), buf_str(&channel)};
        code = ask_number(view, length, ARRAY_LEN(length), &view->log_length);
        code = code ? code : ask_last(view, buf_str(&log));
        code =
            code ? code : ask_number(view, subscribers, ARRAY_LEN(subscribers), &view->subscribers);
    }
    buf_fini(&log);
    buf_fini(&channel);
    return code;
}

/* --- What gateways know --- */

static enum exit_code ask_gateways(struct view *view)
{
    struct buf members = {0};
    enum err err = buf_append(&members, STR("\"room\":"));
    err = err ? err : jtext_quote(room_name_str(&view->room), &members);
    err = err ? err : buf_printf(&members, ",\"limit\":%" PRIu64, view->list ? view->limit : 0);
    enum exit_code code = err ? EXIT_INTERNAL
                              : inquiry_ask(&view->inquiry, &view->console, STR("members"),
                                            buf_str(&members), view->wait_ms);
    buf_fini(&members);
    return code;
}

/* --- Telling --- */

static void print_json(const struct view *view)
{
    fputs("{\"room\":", stdout);
    line_print_quoted(room_name_str(&view->room), stdout);
    printf(",\"members\":%" PRIu64 ",\"subscribers\":%lld,\"logLength\":%lld,\"lastId\":%" PRIu64,
           inquiry_sum(&view->inquiry, STR("count")), view->subscribers, view->log_length,
           view->last_id);
    inquiry_print_json(&view->inquiry);
    fputs("}\n", stdout);
}

static void print_facts(const struct view *view)
{
    char time[CLOCK_ISO8601_LEN + 1];
    clock_iso8601((int64_t)(view->last_id / 1000), time);
    printf("%s: %" PRIu64 " members; %lld gateways are subscribed\n", view->room.text,
           inquiry_sum(&view->inquiry, STR("count")), view->subscribers);
    if (view->last_id > 0) {
        printf("log: %lld events, the last %" PRIu64 " at %s\n", view->log_length, view->last_id,
               time);
    } else {
        printf("log: %lld events\n", view->log_length);
    }
}

static void add_members(struct table *table, const struct inquiry_reply *reply, struct buf *text)
{
    struct str members = jtext_member(reply->object, STR("members")), member;
    struct jtext_walk walk;
    if (jtext_kind(members) != JTEXT_ARRAY) {
        return;
    }
    jtext_walk(&walk, members);
    while (jtext_next(&walk, NULL, &member)) {
        if (jtext_kind(member) == JTEXT_OBJECT) {
            table_cell(table, "%s", inquiry_text(member, STR("user"), text));
            table_cell(table, "%s", inquiry_text(member, STR("address"), text));
            table_cell(table, "%s", inquiry_text(member, STR("socket"), text));
            table_cell(table, "%s", reply->gateway);
        }
    }
}

static enum err print_members(const struct inquiry *inquiry)
{
    static const char *const heads[] = {"USER", "ADDRESS", "SOCKET", "GATEWAY"};
    struct table table;
    struct buf text = {0};
    table_init(&table, heads, ARRAY_LEN(heads));
    for (size_t i = 0; i < inquiry->count; i++) {
        add_members(&table, &inquiry->replies[i], &text);
    }
    enum err err = table.count > 0 ? table_print(&table, stdout) : table.err;
    table_fini(&table);
    buf_fini(&text);
    return err;
}

static enum exit_code show(struct view *view)
{
    enum exit_code code = ask_redis(view);
    code = code ? code : ask_gateways(view);
    if (code) {
        return code;
    }
    enum err err = OK;
    if (view->console.json) {
        print_json(view);
    } else {
        print_facts(view);
        inquiry_print_counts(&view->inquiry, " MEMBERS", STR("count"));
        err = view->list ? print_members(&view->inquiry) : OK;
    }
    return err ? EXIT_INTERNAL
               : inquiry_judge(&view->inquiry, "their members are not counted here");
}

/* --- The verb --- */

static enum err read_wishes(struct view *view, const struct arguments *arguments,
                            struct buf *complaint)
{
    const struct arguments_range limits = {1, LIMIT_MAX, LIMIT};
    const char *room = arguments->operands[1];
    view->list = arguments_has(arguments, "list");
    if (!room || room_name_parse(str_from(room), &view->room)) {
        enum err err = buf_append(complaint, STR("which room? market:ID, creator:ID, user:ID or "
                                                 "global:all"));
        return err ? err : ERR_INVALID;
    }
    enum err err = arguments_number(arguments, "limit", limits, &view->limit, complaint);
    return err ? err : inquiry_wait(arguments, &view->wait_ms, complaint);
}

static enum exit_code run(const struct arguments *arguments)
{
    struct view view = {0};
    struct buf complaint = {0};
    enum err err = read_wishes(&view, arguments, &complaint);
    if (err) {
        return report_complaint(err, &complaint);
    }
    enum exit_code code = console_open(&view.console, arguments);
    code = code ? code : show(&view);
    inquiry_fini(&view.inquiry);
    console_close(&view.console);
    return code;
}

const struct verb verb_room = {
    .name = "room",
    .operands = "ROOM",
    .operands_most = 1,
    .summary = "its members and its log",
    .details =
        "Shows how many members a room has on each gateway, how many gateways are subscribed "
        "to its channel, how many events its log holds, and the last one's id and time. A "
        "gateway stays subscribed for a while after its last member has left.\n"
        "\n"
        "It ends with status 8 where a gateway has not answered, and with 9 where there is "
        "none.",
    VERB_FLAGS(flags),
    .run = run,
};

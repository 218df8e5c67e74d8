#include "publisher/cli/inquiry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/control.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/table.h"
#include "util/clock.h"
#include "util/jtext.h"
#include "util/rand.h"

enum { WAIT_MS = 3000, WAIT_MAX_MS = 600000, ANSWER_DEPTH_MAX = 16 };

enum err inquiry_wait(const struct arguments *arguments, uint64_t *ret_wait_ms,
                      struct buf *complaint)
{
    const struct arguments_range range = {1, WAIT_MAX_MS, WAIT_MS};
    return arguments_number(arguments, "wait", range, ret_wait_ms, complaint);
}

/* --- Answers --- */

const struct inquiry_reply *inquiry_find(const struct inquiry *inquiry, const char *gateway)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        if (strcmp(inquiry->replies[i].gateway, gateway) == 0) {
            return &inquiry->replies[i];
        }
    }
    return NULL;
}

/* False: not the answer of a gateway. */
static bool read_answer(struct str message, struct str *ret_object, struct str *ret_gateway)
{
    struct str event, payload;
    if (bus_control_parse(message, &event, &payload) || !str_eq(event, STR("answer")) ||
        jtext_check(payload, ANSWER_DEPTH_MAX) || jtext_kind(payload) != JTEXT_OBJECT) {
        return false;
    }
    struct str gateway = jtext_member(payload, STR("gateway"));
    if (jtext_kind(gateway) != JTEXT_STRING || gateway.len < 3 ||
        gateway.len - 2 > BUS_GATEWAY_ID_MAX) {
        return false;
    }
    *ret_object = jtext_trim(payload);
    *ret_gateway = str_range(gateway.ptr + 1, gateway.len - 2);
    return true;
}

static void take_answer(void *context, struct str channel, struct str message)
{
    struct inquiry *inquiry = context;
    struct str object, gateway;
    (void)channel;
    if (!read_answer(message, &object, &gateway)) {
        return;
    }
    struct inquiry_reply *replies =
        realloc(inquiry->replies, (inquiry->count + 1) * sizeof *replies);
    char *copy = replies ? str_dup(object) : NULL;
    inquiry->replies = replies ? replies : inquiry->replies;
    if (!copy) {
        inquiry->incomplete = true;
        return;
    }
    struct inquiry_reply *reply = &replies[inquiry->count++];
    *reply = (struct inquiry_reply){.object = {copy, object.len}};
    memcpy(reply->gateway, gateway.ptr, gateway.len);
}

static bool all_answered(const struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->roster.count; i++) {
        const struct bus_registered *registered = &inquiry->roster.gateways[i];
        if (registered->alive && !inquiry_find(inquiry, registered->gateway.id)) {
            return false;
        }
    }
    return true;
}

/* --- Asking --- */

static enum exit_code fail_memory(const struct inquiry *inquiry)
{
    struct report_place place = {.json = inquiry->console->json};
    return report_error(&place, EXIT_INTERNAL, err_name(ERR_NOMEM));
}

static enum exit_code listen_for_answers(struct inquiry *inquiry)
{
    struct console *console = inquiry->console;
    rand_id(inquiry->asker, INQUIRY_ASKER_LEN);
    if (bus_answer_channel(&console->keys, str_from(inquiry->asker), &inquiry->channel)) {
        return fail_memory(inquiry);
    }
    inquiry->heard = buf_str(&inquiry->channel);
    const struct console_ear ear = {
        .channels = &inquiry->heard, .count = 1, .hear = take_answer, .context = inquiry};
    return console_listen(console, &ear) ? EXIT_CONFIRMED : console_fail(console);
}

static enum err write_question(const struct inquiry *inquiry, struct str verb, struct str members,
                               struct buf *out)
{
    return buf_printf(out, "0 0 " STR_FMT " -\n{\"answer\":\"%s\"%s" STR_FMT "}", STR_ARG(verb),
                      inquiry->asker, members.len > 0 ? "," : "", STR_ARG(members));
}

static enum exit_code publish(struct inquiry *inquiry, struct str verb, struct str members)
{
    struct buf channel = {0}, question = {0};
    enum err err = bus_control_channel(&inquiry->console->keys, &channel);
    err = err ? err : write_question(inquiry, verb, members, &question);
    const struct answer *answer =
        err ? NULL
            : CONSOLE_ASK(inquiry->console, STR("PUBLISH"), buf_str(&channel), buf_str(&question));
    buf_fini(&channel);
    buf_fini(&question);
    if (!answer) {
        return err ? fail_memory(inquiry) : console_fail(inquiry->console);
    }
    return answer->kind == ANSWER_ERROR ? console_refused(inquiry->console, answer)
                                        : EXIT_CONFIRMED;
}

static enum exit_code wait_for_answers(struct inquiry *inquiry, uint64_t wait_ms)
{
    uint64_t until = clock_monotonic_ms() + wait_ms, now;
    while (!all_answered(inquiry) && (now = clock_monotonic_ms()) < until) {
        if (!console_turn(inquiry->console, (unsigned)(until - now))) {
            return console_fail(inquiry->console);
        }
    }
    return EXIT_CONFIRMED;
}

enum exit_code inquiry_ask(struct inquiry *inquiry, struct console *console, struct str verb,
                           struct str members, uint64_t wait_ms)
{
    *inquiry = (struct inquiry){.console = console};
    enum exit_code code = roster_read(console, &inquiry->roster);
    code = code ? code : listen_for_answers(inquiry);
    code = code ? code : publish(inquiry, verb, members);
    return code ? code : wait_for_answers(inquiry, wait_ms);
}

void inquiry_fini(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++) {
        free((char *)inquiry->replies[i].object.ptr);
    }
    free(inquiry->replies);
    if (inquiry->heard.ptr) {
        console_unlisten(inquiry->console);
    }
    buf_fini(&inquiry->channel);
    roster_fini(&inquiry->roster);
}

/* --- Reading answers --- */

uint64_t inquiry_number(struct str object, struct str key)
{
    uint64_t number;
    return str_to_u64(jtext_member(object, key), &number) ? 0 : number;
}

const char *inquiry_text(struct str object, struct str key, struct buf *out)
{
    struct str value = jtext_member(object, key);
    buf_clear(out);
    if (jtext_kind(value) != JTEXT_STRING || jtext_unescape(value, out)) {
        return "";
    }
    const char *text = buf_cstr(out);
    return text ? text : "";
}

uint64_t inquiry_sum(const struct inquiry *inquiry, struct str key)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < inquiry->count; i++) {
        sum += inquiry_number(inquiry->replies[i].object, key);
    }
    return sum;
}

const char *inquiry_host(const struct inquiry *inquiry, const struct inquiry_reply *reply)
{
    const struct bus_registered *registered =
        roster_find(&inquiry->roster, str_from(reply->gateway));
    return registered ? roster_host(registered) : "?";
}

/* --- Telling --- */

void inquiry_print_counts(const struct inquiry *inquiry, const char *head, struct str key)
{
    const char *const heads[] = {"GATEWAY", "HOST", head};
    struct table table;
    table_init(&table, heads, ARRAY_LEN(heads));
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct inquiry_reply *reply = &inquiry->replies[i];
        table_cell(&table, "%s", reply->gateway);
        table_cell(&table, "%s", inquiry_host(inquiry, reply));
        table_cell(&table, "%" PRIu64, inquiry_number(reply->object, key));
    }
    if (inquiry->count > 0 && table_print(&table, stdout)) {
        fputs("guesslyfe-publish: no memory for the table\n", stderr);
    }
    table_fini(&table);
}

void inquiry_print_json(const struct inquiry *inquiry)
{
    fputs(",\"answers\":[", stdout);
    for (size_t i = 0; i < inquiry->count; i++) {
        printf("%s" STR_FMT, i > 0 ? "," : "", STR_ARG(inquiry->replies[i].object));
    }
    fputs("],\"missing\":[", stdout);
    const char *comma = "";
    for (size_t i = 0; i < inquiry->roster.count; i++) {
        const char *id = inquiry->roster.gateways[i].gateway.id;
        if (!inquiry_find(inquiry, id)) {
            fputs(comma, stdout);
            line_print_quoted(str_from(id), stdout);
            comma = ",";
        }
    }
    fputs("]", stdout);
}

static size_t tell_missing(const struct inquiry *inquiry)
{
    size_t count = 0;
    for (size_t i = 0; i < inquiry->roster.count; i++) {
        const struct bus_registered *registered = &inquiry->roster.gateways[i];
        if (!inquiry_find(inquiry, registered->gateway.id)) {
            fprintf(stderr, "guesslyfe-publish: gateway %s on %s has not answered (%s)\n",
                    registered->gateway.id, roster_host(registered), roster_state(registered));
            count++;
        }
    }
    return count;
}

static size_t tell_errors(const struct inquiry *inquiry)
{
    size_t count = 0;
    struct buf text = {0};
    for (size_t i = 0; i < inquiry->count; i++) {
        const struct inquiry_reply *reply = &inquiry->replies[i];
        const char *error = inquiry_text(reply->object, STR("error"), &text);
        if (*error) {
            fprintf(stderr, "guesslyfe-publish: gateway %s on %s: %s\n", reply->gateway,
                    inquiry_host(inquiry, reply), error);
            count++;
        }
    }
    buf_fini(&text);
    return count;
}

enum exit_code inquiry_judge(const struct inquiry *inquiry, const char *consequence)
{
    size_t missing = tell_missing(inquiry), errors = tell_errors(inquiry);
    if (inquiry->incomplete) {
        fputs("guesslyfe-publish: no memory for an answer\n", stderr);
    }
    if (inquiry->roster.count == 0 && inquiry->count == 0) {
        fprintf(stderr,
                "guesslyfe-publish: no gateway is there (REDIS_PREFIX and REDIS_DB must be "
                "theirs); %s\n",
                consequence);
        return EXIT_NO_GATEWAY;
    }
    if (missing > 0) {
        fprintf(stderr, "guesslyfe-publish: %zu of %zu gateways: %s\n", missing,
                inquiry->roster.count, consequence);
    }
    return missing + errors > 0 || inquiry->incomplete ? EXIT_INCOMPLETE : EXIT_CONFIRMED;
}

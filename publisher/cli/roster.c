#include "publisher/cli/roster.h"

#include <stdlib.h>
#include <string.h>

#include "publisher/cli/report.h"

enum { FORGOTTEN_AFTER_MS = 60000 /* as gateways do (bus/registry.c) */ };

static enum exit_code fail(const struct console *console)
{
    struct report_place place = {.json = console->json};
    return report_error(&place, EXIT_INTERNAL, err_name(ERR_NOMEM));
}

static enum exit_code read_time(struct console *console, uint64_t *ret_now_ms)
{
    const struct answer *time = CONSOLE_ASK(console, STR("TIME"));
    uint64_t seconds, us;
    if (!time) {
        return console_fail(console);
    }
    if (str_to_u64(answer_item(time, 0), &seconds) || str_to_u64(answer_item(time, 1), &us)) {
        return console_refused(console, time);
    }
    *ret_now_ms = seconds * 1000 + us / 1000;
    return EXIT_CONFIRMED;
}

/* Of the members those that are not forgotten; their entries are read later. */
static enum exit_code take_members(struct console *console, const struct answer *members,
                                   struct roster *roster)
{
    roster->gateways = calloc(members->count + 1, sizeof *roster->gateways);
    if (!roster->gateways) {
        return fail(console);
    }
    for (size_t i = 0; i + 1 < members->count && roster->count < BUS_REGISTERED_MAX; i += 2) {
        struct str id = answer_item(members, i);
        uint64_t seen_ms;
        if (id.len == 0 || id.len > BUS_GATEWAY_ID_MAX || strlen(id.ptr) != id.len ||
            str_to_u64(answer_item(members, i + 1), &seen_ms) ||
            seen_ms + FORGOTTEN_AFTER_MS < roster->now_ms) {
            continue;
        }
        struct bus_registered *registered = &roster->gateways[roster->count++];
        registered->seen_ms = seen_ms;
        memcpy(registered->gateway.id, id.ptr, id.len);
    }
    return EXIT_CONFIRMED;
}

static enum exit_code read_members(struct console *console, struct roster *roster)
{
    struct buf key = {0};
    if (bus_gateways_key(&console->keys, &key)) {
        return fail(console);
    }
    const struct answer *members =
        CONSOLE_ASK(console, STR("ZRANGE"), buf_str(&key), STR("0"), STR("-1"), STR("WITHSCORES"));
    buf_fini(&key);
    if (!members) {
        return console_fail(console);
    }
    return members->kind == ANSWER_LIST ? take_members(console, members, roster)
                                        : console_refused(console, members);
}

static enum exit_code read_entry(struct console *console, struct bus_registered *registered)
{
    struct buf key = {0};
    if (bus_gateway_key(&console->keys, str_from(registered->gateway.id), &key)) {
        return fail(console);
    }
    const struct answer *entry = CONSOLE_ASK(console, STR("GET"), buf_str(&key));
    buf_fini(&key);
    if (!entry) {
        return console_fail(console);
    }
    if (entry->kind == ANSWER_ERROR) {
        return console_refused(console, entry);
    }
    registered->alive = !bus_gateway_parse(entry->text, &registered->gateway);
    return EXIT_CONFIRMED;
}

/* By where they run: each keeps its place from one reading to the next. */
static int compare(const void *a, const void *b)
{
    const struct bus_gateway *x = &((const struct bus_registered *)a)->gateway;
    const struct bus_gateway *y = &((const struct bus_registered *)b)->gateway;
    int order = strcmp(x->host, y->host);
    if (order == 0 && x->worker != y->worker) {
        order = x->worker < y->worker ? -1 : 1;
    }
    return order ? order : strcmp(x->id, y->id);
}

enum exit_code roster_read(struct console *console, struct roster *ret_roster)
{
    struct roster roster = {0};
    enum exit_code code = read_time(console, &roster.now_ms);
    code = code ? code : read_members(console, &roster);
    for (size_t i = 0; i < roster.count && !code; i++) {
        code = read_entry(console, &roster.gateways[i]);
        roster.alive += roster.gateways[i].alive;
    }
    if (code) {
        roster_fini(&roster);
    } else {
        qsort(roster.gateways, roster.count, sizeof *roster.gateways, compare);
        *ret_roster = roster;
    }
    return code;
}

void roster_fini(struct roster *roster)
{
    free(roster->gateways);
    *roster = (struct roster){0};
}

const struct bus_registered *roster_find(const struct roster *roster, struct str id)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (str_eq(id, str_from(roster->gateways[i].gateway.id))) {
            return &roster->gateways[i];
        }
    }
    return NULL;
}

const char *roster_state(const struct bus_registered *registered)
{
    return !registered->alive             ? "silent"
           : registered->gateway.draining ? "draining"
           : registered->gateway.ready    ? "ready"
                                          : "not ready";
}

const char *roster_host(const struct bus_registered *registered)
{
    return registered->gateway.host[0] ? registered->gateway.host : "?";
}

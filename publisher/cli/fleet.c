/* The gateways, one line each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "publisher/cli/console.h"
#include "publisher/cli/report.h"
#include "publisher/cli/roster.h"
#include "publisher/cli/table.h"
#include "publisher/cli/verb.h"
#include "util/clock.h"

enum { WATCH_SECONDS = 2 };

static const struct verb_flag flags[] = {
    {.name = "watch",
     .value = "SECONDS",
     .may_be_alone = true,
     .help = "Again and again, every 2 seconds or as many; SIGINT ends it with status 0"},
};

/* What a gateway had delivered at its last heartbeat that was seen. */
struct pace {
    char id[BUS_GATEWAY_ID_MAX + 1];
    uint64_t deliveries, time_ms;
    double per_second; /* negative: not known yet */
};

struct paces {
    struct pace *paces;
    size_t count;
};

/* --- Deliveries per second --- */

static struct pace *find_pace(const struct paces *paces, const char *id)
{
    for (size_t i = 0; i < paces->count; i++) {
        if (strcmp(paces->paces[i].id, id) == 0) {
            return &paces->paces[i];
        }
    }
    return NULL;
}

static struct pace next_pace(const struct pace *before, const struct bus_gateway *gateway)
{
    struct pace pace = {.deliveries = gateway->deliveries,
                        .time_ms = gateway->time_ms,
                        .per_second = before ? before->per_second : -1};
    memcpy(pace.id, gateway->id, sizeof pace.id);
    if (before && gateway->time_ms > before->time_ms && gateway->deliveries >= before->deliveries) {
        pace.per_second = (double)(gateway->deliveries - before->deliveries) * 1000 /
                          (double)(gateway->time_ms - before->time_ms);
    }
    return pace;
}

/* Without memory no paces are shown. */
static void note_paces(struct paces *paces, const struct roster *roster)
{
    struct paces next = {.paces = calloc(roster->count + 1, sizeof *next.paces)};
    for (size_t i = 0; i < roster->count && next.paces; i++) {
        const struct bus_gateway *gateway = &roster->gateways[i].gateway;
        next.paces[next.count++] = next_pace(find_pace(paces, gateway->id), gateway);
    }
    free(paces->paces);
    *paces = next;
}

/* --- As a table --- */

struct sums {
    uint64_t polling, websocket, most, queue_bytes;
    double per_second;
    uint64_t lag_ms;
};

static const char *const heads[] = {"GATEWAY",  "HOST",       " WORKER", "VERSION", " UP",
                                    " POLLING", " WEBSOCKET", " MAX",    " ROOMS",  " SENT/S",
                                    " QUEUE",   " LAG",       " PROBE",  "STATE"};

static void add_pace(struct table *table, double per_second)
{
    char amount[TABLE_SPAN_LEN];
    if (per_second < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%s", table_amount((uint64_t)(per_second + 0.5), amount));
    }
}

static void add_row(struct table *table, const struct bus_registered *registered,
                    const struct roster *roster, double per_second)
{
    const struct bus_gateway *gateway = &registered->gateway;
    char span[TABLE_SPAN_LEN];
    table_cell(table, "%s", gateway->id);
    table_cell(table, "%s", roster_host(registered));
    if (!registered->alive) {
        for (size_t i = 2; i < ARRAY_LEN(heads) - 1; i++) {
            table_cell(table, "-");
        }
        uint64_t silence =
            roster->now_ms > registered->seen_ms ? roster->now_ms - registered->seen_ms : 0;
        table_cell(table, "silent for %s", table_span(silence, span));
        return;
    }
    uint64_t up =
        gateway->time_ms > gateway->started_ms ? gateway->time_ms - gateway->started_ms : 0;
    table_cell(table, "%" PRIu64, gateway->worker);
    table_cell(table, "%s", gateway->version);
    table_cell(table, "%s", table_span(up, span));
    table_cell(table, "%" PRIu64, gateway->polling);
    table_cell(table, "%" PRIu64, gateway->websocket);
    table_cell(table, "%" PRIu64, gateway->max_connections);
    table_cell(table, "%" PRIu64, gateway->rooms);
    add_pace(table, per_second);
    table_cell(table, "%s", table_amount(gateway->queue_bytes, span));
    table_cell(table, "%" PRIu64 "ms", gateway->lag_ms);
    table_cell(table, "%s", table_span(gateway->probe_age_ms, span));
    table_cell(table, "%s", roster_state(registered));
}

static void add_up(struct sums *sums, const struct bus_gateway *gateway, double per_second)
{
    sums->polling += gateway->polling;
    sums->websocket += gateway->websocket;
    sums->most += gateway->max_connections;
    sums->queue_bytes += gateway->queue_bytes;
    sums->lag_ms = gateway->lag_ms > sums->lag_ms ? gateway->lag_ms : sums->lag_ms;
    sums->per_second = per_second < 0 || sums->per_second < 0 ? -1 : sums->per_second + per_second;
}

/* A room of several gateways is counted by each of them, so that rooms have no sum. */
static void add_sum(struct table *table, const struct roster *roster, const struct sums *sums)
{
    char amount[TABLE_SPAN_LEN];
    table_cell(table, "all");
    table_cell(table, "%zu gateways", roster->count);
    table_cell(table, "%s", "");
    table_cell(table, "%s", "");
    table_cell(table, "%s", "");
    table_cell(table, "%" PRIu64, sums->polling);
    table_cell(table, "%" PRIu64, sums->websocket);
    table_cell(table, "%" PRIu64, sums->most);
    table_cell(table, "%s", "");
    add_pace(table, sums->per_second);
    table_cell(table, "%s", table_amount(sums->queue_bytes, amount));
    table_cell(table, "%" PRIu64 "ms", sums->lag_ms);
    table_cell(table, "%s", "");
    table_cell(table, "%zu alive", roster->alive);
}

static enum err print_table(const struct roster *roster, const struct paces *paces)
{
    struct table table;
    struct sums sums = {0};
    table_init(&table, heads, ARRAY_LEN(heads));
    for (size_t i = 0; i < roster->count; i++) {
        const struct bus_registered *registered = &roster->gateways[i];
        const struct pace *pace = find_pace(paces, registered->gateway.id);
        double per_second = pace ? pace->per_second : -1;
        add_row(&table, registered, roster, per_second);
        if (registered->alive) {
            add_up(&sums, &registered->gateway, per_second);
        }
    }
    add_sum(&table, roster, &sums);
    enum err err = table_print(&table, stdout);
    table_fini(&table);
    return err;
}

/* --- As JSON: the entry as the gateway wrote it, and what we know besides --- */

static enum err print_objects(const struct roster *roster)
{
    enum err err = OK;
    for (size_t i = 0; i < roster->count && !err; i++) {
        const struct bus_registered *registered = &roster->gateways[i];
        struct buf entry = {0};
        err = registered->alive ? bus_gateway_write(&registered->gateway, &entry)
                                : buf_printf(&entry, "{\"id\":\"%s\"}", registered->gateway.id);
        if (!err) {
            printf("%.*s,\"seen\":%" PRIu64 ",\"state\":\"%s\"}\n", (int)entry.len - 1, entry.data,
                   registered->seen_ms, roster_state(registered));
        }
        buf_fini(&entry);
    }
    return err;
}

/* --- The verb --- */

static enum exit_code print_once(struct console *console, struct paces *paces, bool clear)
{
    struct roster roster;
    enum exit_code code = roster_read(console, &roster);
    if (code) {
        return code;
    }
    note_paces(paces, &roster);
    fputs(clear ? "\033[H\033[2J" : "", stdout);
    enum err err = console->json ? print_objects(&roster) : print_table(&roster, paces);
    code = err                           ? EXIT_INTERNAL
           : roster.alive < roster.count ? EXIT_INCOMPLETE
           : roster.count == 0           ? EXIT_NO_GATEWAY
                                         : EXIT_CONFIRMED;
    if (code == EXIT_NO_GATEWAY) {
        fputs("guesslyfe-publish: no gateway is there; REDIS_PREFIX and REDIS_DB must be theirs\n",
              stderr);
    }
    roster_fini(&roster);
    return code;
}

static bool rest(struct console *console, uint64_t seconds)
{
    uint64_t until = clock_monotonic_ms() + seconds * 1000, now;
    while ((now = clock_monotonic_ms()) < until && !console_interrupted()) {
        if (!console_turn(console, (unsigned)(until - now))) {
            return false;
        }
    }
    return !console_interrupted();
}

/* Whatever is the matter with Redis: it may be well again at the next time. */
static enum exit_code watch(struct console *console, struct paces *paces, uint64_t seconds)
{
    bool clear = isatty(STDOUT_FILENO) && !console->json;
    setvbuf(stdout, NULL, clear ? _IOFBF : _IOLBF, 65536);
    do {
        enum exit_code code = print_once(console, paces, clear);
        if (code == EXIT_INTERNAL || code == EXIT_REFUSED) {
            return code;
        }
        if (fflush(stdout) != 0) {
            break;
        }
    } while (rest(console, seconds));
    return EXIT_CONFIRMED;
}

static enum exit_code look(const struct arguments *arguments, uint64_t seconds)
{
    struct console console = {0};
    struct paces paces = {0};
    enum exit_code code = console_open(&console, arguments);
    if (!code) {
        code = seconds > 0 ? watch(&console, &paces, seconds) : print_once(&console, &paces, false);
    }
    free(paces.paces);
    console_close(&console);
    return console_interrupted() ? EXIT_CONFIRMED : code;
}

static enum exit_code run(const struct arguments *arguments)
{
    const struct arguments_range range = {1, 3600, WATCH_SECONDS};
    struct buf complaint = {0};
    uint64_t seconds;
    enum err err = arguments_number(arguments, "watch", range, &seconds, &complaint);
    if (err) {
        return report_complaint(err, &complaint);
    }
    if (!arguments_has(arguments, "watch")) {
        return look(arguments, 0);
    }
    console_catch_signals();
    return look(arguments, seconds);
}

const struct verb verb_fleet = {
    .name = "fleet",
    .operands = "",
    .summary = "the gateways, one line each",
    .details =
        "Shows what each gateway said of itself in its last heartbeat (HEARTBEAT, 2 seconds): its "
        "sessions by transport and their limit, rooms, deliveries per second (with --watch), bytes "
        "that wait for clients, how old the last event was when it was handed on, and how long ago "
        "a probe came back. A gateway is silent when five heartbeats are missing; after a "
        "minute it is forgotten.\n"
        "\n"
        "It ends with status 8 where a gateway is silent, and with 9 where there is none.",
    VERB_FLAGS(flags),
    .run = run,
};

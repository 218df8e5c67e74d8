/*
 * Events of rooms as they pass. Whatever happens to the connection, each event of a room's log is
 * printed once and in order: the rooms are subscribed, then their logs are read, then what came
 * meanwhile is merged in by id. After a loss the same begins from the last event that was printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/envelope.h"
#include "bus/log.h"
#include "bus/script.h"
#include "publisher/cli/backlog.h"
#include "publisher/cli/console.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"
#include "schema/catalogue.h"
#include "schema/room.h"
#include "util/attr.h"
#include "util/clock.h"

enum { ROOMS_MAX = 256, PAGE_HEAD = 3 /* clock, time, newest */, TURN_MS = 1000 };
#define ID_MAX 9007199254740991u /* what a script can count */

static const struct verb_flag flags[] = {
    {.name = "event", .value = "NAME,…", .help = "Only these events"},
    {.name = "since", .value = "ID", .help = "First what the logs hold past this event"},
    {.name = "last", .value = "N", .help = "First the last N events of each room's log"},
    {.name = "count", .value = "N", .help = "End after N events"},
    {.name = "all",
     .help = "All rooms, by a pattern: Redis then matches it against every message that anybody "
             "publishes, so not for long on a busy one, and with nothing from the logs"},
};

struct tail_room {
    struct room_name name;
    uint64_t seen; /* id of the last event that was printed or is not wanted */
};

struct tail {
    struct console console;
    const char *events; /* that are wanted, separated by commas; NULL: all */
    uint64_t since, last, count;
    bool all;
    struct tail_room rooms[ROOMS_MAX];
    size_t room_count;
    struct buf names; /* of the channels */
    struct str channels[ROOMS_MAX];
    bool began;          /* the logs were read once */
    bool live;           /* what comes is printed at once, see is_live */
    bool lost;           /* and it was told */
    unsigned long heard; /* of the console, when the logs were read */
    struct backlog waiting;
    enum err waiting_err;
    uint64_t printed;
    uint64_t printed_id; /* the last one's */
    bool ended;
};

/* --- Printing --- */

static bool is_wanted(const struct tail *tail, struct str event)
{
    struct str names = str_from(tail->events), name;
    while (names.len > 0 && str_split(&names, ',', &name)) {
        if (str_eq(name, event)) {
            return true;
        }
    }
    return !tail->events;
}

static void print_event(struct tail *tail, const struct bus_envelope *envelope)
{
    line_print(envelope, tail->console.json, clock_wall_ms(), stdout);
    tail->printed++;
    tail->ended = ferror(stdout) || tail->printed == tail->count;
}

/* --- What has come --- */

static struct tail_room *find_room(struct tail *tail, struct str name)
{
    for (size_t i = 0; i < tail->room_count; i++) {
        if (str_eq(name, room_name_str(&tail->rooms[i].name))) {
            return &tail->rooms[i];
        }
    }
    return NULL;
}

/* An event of several rooms comes once for each: at once for all of them with --all. */
static bool is_old(struct tail *tail, const struct bus_envelope *envelope, struct str room)
{
    const struct tail_room *from = find_room(tail, room);
    return envelope->id > 0 &&
           (from ? envelope->id <= from->seen : envelope->id == tail->printed_id);
}

static void note_seen(struct tail *tail, const struct bus_envelope *envelope)
{
    tail->printed_id = envelope->id;
    for (unsigned i = 0; i < envelope->room_count; i++) {
        struct tail_room *room = find_room(tail, envelope->rooms[i]);
        if (room && envelope->id > room->seen) {
            room->seen = envelope->id;
        }
    }
}

static void take(struct tail *tail, struct str room, struct str message)
{
    struct bus_envelope envelope;
    if (tail->ended) {
        return;
    }
    if (bus_envelope_parse(message, &envelope)) {
        fprintf(stderr, "guesslyfe-publish: " STR_FMT ": not a message of ours, %zu bytes\n",
                STR_ARG(room), message.len);
        return;
    }
    if (is_old(tail, &envelope, room)) {
        return;
    }
    note_seen(tail, &envelope);
    if (is_wanted(tail, envelope.event)) {
        print_event(tail, &envelope);
    }
}

static uint64_t id_of(struct str message)
{
    struct bus_envelope envelope;
    return bus_envelope_parse(message, &envelope) ? 0 : envelope.id;
}

/* Not from the loss of a connection on until the logs were read again. */
static bool is_live(const struct tail *tail)
{
    return tail->live && console_hears(&tail->console) && tail->heard == tail->console.heard;
}

static void hear(void *context, struct str channel, struct str message)
{
    struct tail *tail = context;
    struct str room = bus_channel_room(&tail->console.keys, channel);
    if (is_live(tail)) {
        take(tail, room, message);
    } else if (!tail->waiting_err) {
        tail->waiting_err = backlog_add(&tail->waiting, id_of(message), room, message);
    }
}

/* --- The logs --- */

/* NULL: no answer, or a refusal, which was told. */
static const struct answer *ask_page(struct tail *tail, const struct tail_room *room,
                                     uint64_t since, uint64_t most)
{
    struct str name = room_name_str(&room->name);
    struct buf clock = {0}, log = {0};
    char numbers[3][24];
    snprintf(numbers[0], sizeof numbers[0], "%" PRIu64, since);
    snprintf(numbers[1], sizeof numbers[1], "%" PRIu64, most);
    snprintf(numbers[2], sizeof numbers[2], "%d", BUS_LOG_PAGE_BYTES);
    enum err err =
        bus_clock_key(&tail->console.keys, bus_partition(&tail->console.keys, name), &clock);
    err = err ? err : bus_log_key(&tail->console.keys, name, &log);
    const struct answer *page =
        err ? NULL
            : CONSOLE_ASK(&tail->console, STR("EVAL"), bus_read_script.text, STR("2"),
                          buf_str(&clock), buf_str(&log), str_from(numbers[0]),
                          str_from(numbers[1]), str_from(numbers[2]));
    buf_fini(&clock);
    buf_fini(&log);
    return page;
}

static uint64_t number_at(const struct answer *page, size_t i)
{
    uint64_t number;
    return str_to_u64(answer_item(page, i), &number) ? 0 : number;
}

static void tell_gap(const struct tail_room *room, struct str oldest, uint64_t since)
{
    struct bus_envelope envelope;
    if (since > 0 && !bus_envelope_parse(oldest, &envelope) && envelope.previous > since) {
        fprintf(stderr,
                "guesslyfe-publish: %s: its log no longer holds what is older than %" PRIu64 "\n",
                room->name.text, envelope.id);
    }
}

static enum err keep_page(struct tail *tail, const struct tail_room *room,
                          const struct answer *page, uint64_t *ret_last)
{
    enum err err = OK;
    for (size_t i = PAGE_HEAD; !err && i < page->count; i++) {
        struct str entry = answer_item(page, i);
        uint64_t id = id_of(entry);
        *ret_last = id > *ret_last ? id : *ret_last;
        err = backlog_add(&tail->waiting, id, room_name_str(&room->name), entry);
    }
    return err;
}

/* Where in the order its partition was, by out-parameter. */
static enum exit_code read_room(struct tail *tail, const struct tail_room *room,
                                uint64_t *ret_clock)
{
    uint64_t most = tail->began ? 0 : tail->last;
    uint64_t past = tail->began ? room->seen : tail->since > 0 || most > 0 ? tail->since : ID_MAX;
    uint64_t last = past;
    for (bool first = true;; first = false) {
        const struct answer *page = ask_page(tail, room, last, most);
        if (!page) {
            return console_fail(&tail->console);
        }
        if (page->kind != ANSWER_LIST) {
            return console_refused(&tail->console, page);
        }
        uint64_t newest = number_at(page, 2), before = last;
        *ret_clock = number_at(page, 0);
        if (first && most == 0) {
            tell_gap(room, answer_item(page, PAGE_HEAD), past);
        }
        if (keep_page(tail, room, page, &last)) {
            tail->waiting_err = ERR_LIMIT;
            return EXIT_CONFIRMED;
        }
        if (last >= newest || last == before) {
            return EXIT_CONFIRMED;
        }
    }
}

/* Everything that has come is in its order now. */
static void print_waiting(struct tail *tail)
{
    backlog_sort(&tail->waiting);
    for (size_t i = 0; i < tail->waiting.count; i++) {
        take(tail, tail->waiting.items[i].room, tail->waiting.items[i].text);
    }
    if (tail->waiting_err) {
        fputs("guesslyfe-publish: events are missing here: too much came at once\n", stderr);
    }
    backlog_clear(&tail->waiting);
    tail->waiting_err = OK;
}

/* Of rooms in which nothing was seen, nothing that is older is wanted later either. */
static enum exit_code catch_up(struct tail *tail)
{
    uint64_t clocks[ROOMS_MAX] = {0};
    unsigned long heard = tail->console.heard;
    tail->live = false;
    for (size_t i = 0; i < tail->room_count; i++) {
        enum exit_code code = read_room(tail, &tail->rooms[i], &clocks[i]);
        if (code) {
            backlog_clear(&tail->waiting);
            return code;
        }
    }
    if (!console_hears(&tail->console) || heard != tail->console.heard) {
        backlog_clear(&tail->waiting); /* lost meanwhile: what was missed is not known */
        return EXIT_CONFIRMED;
    }
    print_waiting(tail);
    for (size_t i = 0; i < tail->room_count; i++) {
        struct tail_room *room = &tail->rooms[i];
        room->seen = clocks[i] > room->seen ? clocks[i] : room->seen;
    }
    tail->began = tail->live = true;
    tail->heard = heard;
    tail->lost = false;
    return EXIT_CONFIRMED;
}

/* --- Running --- */

static void tell_loss(struct tail *tail)
{
    if (!tail->lost) {
        tail->lost = true;
        tail->live = false;
        fprintf(stderr, "guesslyfe-publish: %s; trying again\n", tail->console.why);
    }
}

/* Also of a log that could not be read: it is tried again as long as Redis does not refuse. */
static enum exit_code run_on(struct tail *tail)
{
    while (!tail->ended && !console_interrupted()) {
        enum exit_code code = EXIT_CONFIRMED;
        if (!console_hears(&tail->console)) {
            tell_loss(tail);
        } else if (tail->heard != tail->console.heard) {
            code = catch_up(tail);
        }
        if (code && (!tail->began || code != EXIT_UNREACHABLE)) {
            return code;
        }
        if (!tail->ended && !console_turn(&tail->console, TURN_MS)) {
            return console_fail(&tail->console);
        }
    }
    return EXIT_CONFIRMED;
}

static enum exit_code follow(struct tail *tail)
{
    const struct console_ear ear = {.patterns = tail->all,
                                    .channels = tail->channels,
                                    .count = tail->all ? 1 : tail->room_count,
                                    .hear = hear,
                                    .context = tail};
    if (!console_listen(&tail->console, &ear)) {
        return console_fail(&tail->console);
    }
    return run_on(tail);
}

/* --- What is wanted --- */

static enum err append_escaped(struct str text, struct buf *out)
{
    enum err err = OK;
    for (size_t i = 0; i < text.len && !err; i++) {
        bool special = strchr("*?[]^\\", text.ptr[i]) != NULL;
        err = special ? buf_append_char(out, '\\') : OK;
        err = err ? err : buf_append_char(out, text.ptr[i]);
    }
    return err;
}

static enum err name_channels(struct tail *tail)
{
    size_t ends[ROOMS_MAX];
    enum err err = OK;
    if (tail->all) {
        err = append_escaped(tail->console.keys.prefix, &tail->names);
        err = err ? err : buf_append(&tail->names, STR("{*}:room:*"));
        tail->channels[0] = buf_str(&tail->names);
        return err;
    }
    for (size_t i = 0; i < tail->room_count && !err; i++) {
        struct str room = room_name_str(&tail->rooms[i].name);
        err = bus_channel_name(&tail->console.keys, room, &tail->names);
        ends[i] = tail->names.len;
    }
    for (size_t i = 0, at = 0; i < tail->room_count && !err; at = ends[i++]) {
        tail->channels[i] = str_range(tail->names.data + at, ends[i] - at);
    }
    return err;
}

static enum err read_rooms(struct tail *tail, const char *const *operands, struct buf *complaint)
{
    static const char *const everybody[] = {"global:all", NULL};
    for (const char *const *at = *operands || tail->all ? operands : everybody; *at; at++) {
        struct tail_room *room = &tail->rooms[tail->room_count];
        if (room_name_parse(str_from(*at), &room->name)) {
            enum err err = buf_printf(complaint,
                                      "\"%.64s\" is no room: market:ID, creator:ID, user:ID or "
                                      "global:all",
                                      *at);
            return err ? err : ERR_INVALID;
        }
        tail->room_count += !find_room(tail, room_name_str(&room->name));
    }
    return OK;
}

static enum err check_events(const struct tail *tail, struct buf *complaint)
{
    struct str names = str_from(tail->events), name;
    while (tail->events && str_split(&names, ',', &name)) {
        if (!catalogue_find(name)) {
            enum err err = buf_printf(complaint,
                                      "--event: there is no event \"%.64s\"; "
                                      "guesslyfe-publish events lists them",
                                      tail->events);
            return err ? err : ERR_INVALID;
        }
    }
    return OK;
}

static enum err read_wishes(struct tail *tail, const struct arguments *arguments,
                            struct buf *complaint)
{
    const struct arguments_range ids = {1, ID_MAX, 0}, events = {1, 100000, 0},
                                 count = {1, ID_MAX, 0};
    tail->events = arguments_value(arguments, "event");
    tail->all = arguments_has(arguments, "all");
    enum err err = arguments_number(arguments, "since", ids, &tail->since, complaint);
    err = err ? err : arguments_number(arguments, "last", events, &tail->last, complaint);
    err = err ? err : arguments_number(arguments, "count", count, &tail->count, complaint);
    err = err ? err : check_events(tail, complaint);
    if (!err && tail->all && (arguments->operands[1] || tail->since || tail->last)) {
        err = buf_append(complaint, STR("--all takes no rooms, no --since and no --last"));
        return err ? err : ERR_INVALID;
    }
    return err ? err : read_rooms(tail, arguments->operands + 1, complaint);
}

static enum exit_code run_with(struct tail *tail, const struct arguments *arguments)
{
    struct buf complaint = {0};
    enum err err = read_wishes(tail, arguments, &complaint);
    if (err) {
        return report_complaint(err, &complaint);
    }
    console_catch_signals();
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    enum exit_code code = console_open(&tail->console, arguments);
    if (!code) {
        code = name_channels(tail) ? EXIT_INTERNAL : follow(tail);
    }
    console_close(&tail->console);
    return console_interrupted() ? EXIT_CONFIRMED : code;
}

static enum exit_code run(const struct arguments *arguments)
{
    struct tail *tail = calloc(1, sizeof *tail);
    struct report_place place = {.json = arguments->json};
    enum exit_code code =
        tail ? run_with(tail, arguments) : report_error(&place, EXIT_INTERNAL, err_name(ERR_NOMEM));
    if (tail) {
        backlog_clear(&tail->waiting);
        buf_fini(&tail->names);
    }
    free(tail);
    return code;
}

const struct verb verb_tail = {
    .name = "tail",
    .operands = "[ROOM…]",
    .operands_most = ROOMS_MAX,
    .summary = "events of rooms as they pass",
    .details =
        "Prints the events of the rooms, one a line, as they are published: id, time, event, "
        "rooms, "
        "payload; without a room those of global:all. An event without an id (0) is one that "
        "somebody published outside the logs. It follows exact rooms, as gateways do: there is no "
        "way to follow some of all markets but --all and --event.\n"
        "\n"
        "After a loss of the connection it goes on where it was. It ends with status 0 by SIGINT, "
        "SIGTERM, --count, or when nobody reads its output any more.\n"
        "\n"
        "  guesslyfe-publish tail market:7 --last 10 --json | jq .payload.data",
    VERB_FLAGS(flags),
    .run = run,
};

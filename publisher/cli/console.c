#include "publisher/cli/console.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "publisher/cli/report.h"
#include "util/clock.h"

enum { TURN_MAX_MS = 200 }; /* so long may a signal go unnoticed that came just before a wait */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void console_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool console_interrupted(void)
{
    return interrupted;
}

/* --- The connections --- */

static void note_failure(struct console *console, enum err err, const char *why)
{
    console->failure = err;
    snprintf(console->why, sizeof console->why, "%s", why);
}

static void on_up(void *owner)
{
    struct console *console = owner;
    console->failure = OK;
}

static void on_down(void *owner, enum err err, const char *why)
{
    note_failure(owner, err, why);
}

static void on_ear_up(void *owner)
{
    struct console *console = owner;
    const struct console_ear *hears = &console->hears;
    struct str args[1 + CONSOLE_CHANNELS_MAX];
    args[0] = hears->patterns ? STR("PSUBSCRIBE") : STR("SUBSCRIBE");
    memcpy(args + 1, hears->channels, hears->count * sizeof *args);
    if (redis_link_send(console->ear, args, 1 + hears->count, NULL, NULL)) {
        redis_link_renew(console->ear, "no memory");
    }
}

static void on_ear_down(void *owner, enum err err, const char *why)
{
    struct console *console = owner;
    console->confirmed = 0;
    note_failure(console, err, why);
}

static struct str text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? (struct str){reply->str, reply->len} : STR("");
}

/* Of a pattern's message the pattern comes first, then as of another. */
static void on_push(void *owner, const struct redisReply *reply)
{
    struct console *console = owner;
    struct str kind = text_of(reply->element[0]);
    if (str_eq(kind, STR("subscribe")) || str_eq(kind, STR("psubscribe"))) {
        console->heard += ++console->confirmed == console->hears.count;
        return;
    }
    size_t at = str_eq(kind, STR("pmessage"));
    if (reply->elements >= at + 3) {
        console->hears.hear(console->hears.context, text_of(reply->element[at + 1]),
                            text_of(reply->element[at + 2]));
    }
}

/* --- Waiting --- */

bool console_turn(struct console *console, unsigned max_wait_ms)
{
    unsigned wait = max_wait_ms < TURN_MAX_MS ? max_wait_ms : TURN_MAX_MS;
    if (loop_turn(console->loop, wait)) {
        note_failure(console, ERR_INVALID, "the event loop failed");
        return false;
    }
    return true;
}

static bool is_up(const struct console *console)
{
    return redis_link_state(console->link) == REDIS_LINK_UP;
}

bool console_hears(const struct console *console)
{
    return console->confirmed > 0 && console->confirmed == console->hears.count;
}

static bool is_answered(const struct console *console)
{
    return console->answered;
}

/* A failure ends it unless it is one that passes: a failover, mostly. */
static bool wait_until(struct console *console, bool (*holds)(const struct console *console))
{
    uint64_t end = clock_monotonic_ms() + console->settings.timeout_ms, now = 0;
    console->failure = OK;
    while (!holds(console)) {
        now = clock_monotonic_ms();
        if (!console->failure && (now >= end || interrupted)) {
            note_failure(console, ERR_TIMEOUT, "no answer from Redis in time");
        }
        bool hopeless = console->failure && console->failure != ERR_AGAIN;
        if (hopeless || now >= end || !console_turn(console, TURN_MAX_MS)) {
            return false;
        }
    }
    return true;
}

void console_unlisten(struct console *console)
{
    redis_link_free(console->ear);
    console->ear = NULL;
    console->confirmed = 0;
}

bool console_listen(struct console *console, const struct console_ear *ear)
{
    static const struct redis_link_ops ops = {
        .on_up = on_ear_up, .on_down = on_ear_down, .on_push = on_push};
    console_unlisten(console);
    console->hears = *ear;
    console->ear = redis_link_new(console->loop, &console->settings.redis, &ops, console);
    if (!console->ear) {
        note_failure(console, ERR_NOMEM, err_name(ERR_NOMEM));
        return false;
    }
    return wait_until(console, console_hears);
}

/* --- Asking --- */

static void on_reply(void *context, enum err err, const struct redisReply *reply)
{
    struct console *console = context;
    console->answered = true;
    err = err ? err : answer_copy(reply, &console->answer);
    if (err && !console->failure) {
        note_failure(console, err,
                     err == ERR_NOMEM ? "no memory"
                                      : "the connection to Redis broke before it answered");
    }
}

/* What comes of a question that is given up must not be taken for the answer to the next. */
static void give_up(struct console *console)
{
    enum err failure = console->failure;
    char why[CONSOLE_WHY_MAX];
    memcpy(why, console->why, sizeof why);
    redis_link_renew(console->link, why);
    note_failure(console, failure, why);
}

const struct answer *console_ask(struct console *console, const struct str *args, size_t count)
{
    answer_fini(&console->answer);
    console->answered = console->sent = false;
    if (!wait_until(console, is_up)) {
        return NULL;
    }
    enum err err = redis_link_send(console->link, args, count, on_reply, console);
    if (err) {
        note_failure(console, err, err_name(err));
        return NULL;
    }
    console->sent = true;
    if (!wait_until(console, is_answered)) {
        give_up(console);
    }
    return console->failure ? NULL : &console->answer;
}

/* --- Birth and death --- */

static enum exit_code connect_redis(struct console *console)
{
    static const struct redis_link_ops ops = {.on_up = on_up, .on_down = on_down};
    console->loop = loop_new();
    console->link = console->loop
                        ? redis_link_new(console->loop, &console->settings.redis, &ops, console)
                        : NULL;
    if (!console->link) {
        note_failure(console, ERR_NOMEM, err_name(ERR_NOMEM));
    }
    return console->link && wait_until(console, is_up) ? EXIT_CONFIRMED : console_fail(console);
}

enum exit_code console_open(struct console *console, const struct arguments *arguments)
{
    struct buf complaint = {0};
    console->json = arguments->json;
    enum err err = publisher_settings_load((const char *const *)arguments->settings,
                                           &console->settings, &complaint);
    enum exit_code code;
    if (err) {
        const char *words = complaint.len > 0 ? buf_cstr(&complaint) : NULL;
        code = report_usage(words ? words : err_name(err));
    } else {
        console->settings.redis.client_name = "guesslyfe-operator";
        console->keys = bus_settings_keys(&console->settings.bus);
        code = connect_redis(console);
    }
    buf_fini(&complaint);
    return code;
}

void console_close(struct console *console)
{
    console_unlisten(console);
    redis_link_free(console->link);
    loop_free(console->loop);
    answer_fini(&console->answer);
    publisher_settings_fini(&console->settings);
}

/* --- What went wrong --- */

static enum exit_code report(const struct console *console, enum exit_code code)
{
    struct report_place place = {.json = console->json};
    return console->quiet || interrupted ? code : report_error(&place, code, console->why);
}

enum exit_code console_fail(const struct console *console)
{
    bool internal = console->failure == ERR_NOMEM || console->failure == ERR_INVALID;
    return report(console, console->failure == ERR_DENIED ? EXIT_REFUSED
                           : internal                     ? EXIT_INTERNAL
                                                          : EXIT_UNREACHABLE);
}

enum exit_code console_refused(struct console *console, const struct answer *answer)
{
    bool told = answer->kind == ANSWER_ERROR;
    snprintf(console->why, sizeof console->why, "Redis %s" STR_FMT,
             told ? "refused: " : "answered what was not expected", STR_ARG(answer->text));
    return report(console, EXIT_REFUSED);
}

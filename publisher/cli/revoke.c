/* Tokens that are not good any more: written to Redis, then told to the gateways. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/revocation.h"
#include "publisher/cli/inquiry.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"
#include "publisher/cli/when.h"
#include "util/clock.h"
#include "util/jtext.h"

struct change {
    struct console console;
    char user[ROOM_ID_MAX + 1]; /* "*" for everybody */
    bool revokes;               /* false: it takes back */
    uint64_t before;
    uint64_t wait_ms;
    long long removed; /* revocations that were taken back: 0 or 1 */
    bool unreplicated;
};

static bool is_everybody(const struct change *change)
{
    return str_eq(str_from(change->user), BUS_EVERYBODY);
}

/* --- Writing --- */

static enum exit_code fail(const struct change *change, enum exit_code code, const char *message)
{
    struct report_place place = {.json = change->console.json};
    return report_error(&place, code, message);
}

/* The question may have been carried out, although there was no answer. */
static enum exit_code fail_write(const struct change *change)
{
    if (!change->console.sent || change->console.failure == ERR_DENIED) {
        return console_fail(&change->console);
    }
    char message[CONSOLE_WHY_MAX + 64];
    snprintf(message, sizeof message, "written or not: repeat it (%s)", change->console.why);
    return fail(change, EXIT_UNKNOWN, message);
}

static enum exit_code write_change(struct change *change)
{
    struct buf key = {0}, value = {0};
    enum err err = bus_revoked_key(&change->console.keys, &key);
    err = err ? err : bus_revocation_write_value(change->before, &value);
    const struct str set[] = {STR("HSET"), buf_str(&key), str_from(change->user), buf_str(&value)};
    const struct str drop[] = {STR("HDEL"), buf_str(&key), str_from(change->user)};
    const struct answer *answer = err ? NULL
                                  : change->revokes
                                      ? console_ask(&change->console, set, ARRAY_LEN(set))
                                      : console_ask(&change->console, drop, ARRAY_LEN(drop));
    buf_fini(&key);
    buf_fini(&value);
    if (!answer) {
        return err ? fail(change, EXIT_INTERNAL, err_name(err)) : fail_write(change);
    }
    change->removed = answer->number;
    return answer->kind == ANSWER_NUMBER ? EXIT_CONFIRMED
                                         : console_refused(&change->console, answer);
}

/* WAIT speaks of what its own connection has written before. */
static void wait_for_replicas(struct change *change)
{
    const struct publisher_settings *settings = &change->console.settings;
    uint64_t most = settings->redis.reply_timeout_ms / 2;
    char replicas[24], wait[24];
    if (settings->wait_replicas == 0) {
        return;
    }
    snprintf(replicas, sizeof replicas, "%" PRIu64, settings->wait_replicas);
    snprintf(wait, sizeof wait, "%" PRIu64,
             settings->timeout_ms < most ? settings->timeout_ms : most);
    const struct answer *answer =
        CONSOLE_ASK(&change->console, STR("WAIT"), str_from(replicas), str_from(wait));
    if (!answer || answer->kind != ANSWER_NUMBER ||
        (uint64_t)answer->number < settings->wait_replicas) {
        change->unreplicated = true;
        fprintf(stderr,
                "guesslyfe-publish: written, but %lld of %s replicas have confirmed it in time\n",
                answer ? answer->number : 0, replicas);
    }
}

/* --- Telling --- */

static enum err append_user(const struct change *change, struct buf *out)
{
    if (is_everybody(change)) {
        return OK;
    }
    enum err err = buf_append(out, STR("\"user\":"));
    return err ? err : jtext_quote(str_from(change->user), out);
}

static enum err append_before(const struct change *change, struct buf *out)
{
    if (!change->revokes) {
        return OK;
    }
    const char *comma = out->len > 0 ? "," : "";
    return change->before == BUS_REVOKED_ALWAYS
               ? buf_printf(out, "%s\"before\":\"-\"", comma)
               : buf_printf(out, "%s\"before\":%" PRIu64, comma, change->before);
}

/* "tokens of alice issued before …" */
static void print_what(const struct change *change)
{
    char time[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(change->before == BUS_REVOKED_ALWAYS ? 0 : (int64_t)change->before * 1000, time);
    const char *whose = is_everybody(change) ? "everybody" : change->user;
    if (!change->revokes) {
        printf("%s: %s\n", whose,
               change->removed ? "the revocation is taken back" : "nothing was revoked");
    } else if (change->before == BUS_REVOKED_ALWAYS) {
        printf("%s: all tokens are refused, until unrevoke\n", whose);
    } else {
        printf("%s: tokens issued before %s are refused\n", whose, time);
    }
}

static void print_json(const struct change *change, const struct inquiry *inquiry)
{
    printf("{\"%s\":", change->revokes ? "revoked" : "unrevoked");
    line_print_quoted(str_from(change->user), stdout);
    struct buf before = {0};
    if (!append_before(change, &before) && before.len > 0) {
        printf("," STR_FMT, STR_ARG(buf_str(&before)));
    }
    buf_fini(&before);
    if (change->revokes) {
        printf(",\"disconnected\":%" PRIu64, inquiry_sum(inquiry, STR("disconnected")));
    } else {
        printf(",\"removed\":%lld", change->removed);
    }
    inquiry_print_json(inquiry);
    fputs("}\n", stdout);
}

static enum exit_code report(const struct change *change, const struct inquiry *inquiry)
{
    if (change->console.json) {
        print_json(change, inquiry);
    } else {
        print_what(change);
    }
    if (!change->console.json && change->revokes) {
        inquiry_print_counts(inquiry, " DISCONNECTED", STR("disconnected"));
    }
    enum exit_code code =
        inquiry_judge(inquiry, "it is written, and a gateway that comes back applies it");
    return change->unreplicated ? EXIT_NOT_REPLICATED : code;
}

static enum exit_code tell_gateways(struct change *change)
{
    struct inquiry inquiry = {0};
    struct buf members = {0};
    struct str verb = change->revokes ? STR("revoked") : STR("unrevoked");
    enum err err = append_user(change, &members);
    err = err ? err : append_before(change, &members);
    enum exit_code code =
        err ? EXIT_INTERNAL
            : inquiry_ask(&inquiry, &change->console, verb, buf_str(&members), change->wait_ms);
    if (code) {
        code = fail(change, EXIT_INCOMPLETE,
                    "it is written, but the gateways could not be told: repeat it");
    } else {
        code = report(change, &inquiry);
    }
    buf_fini(&members);
    inquiry_fini(&inquiry);
    return code;
}

static enum exit_code carry_out(struct change *change, const struct arguments *arguments)
{
    enum exit_code code = console_open(&change->console, arguments);
    code = code ? code : write_change(change);
    if (!code) {
        wait_for_replicas(change);
        code = tell_gateways(change);
    }
    console_close(&change->console);
    return code;
}

/* --- revoke --- */

static const struct verb_flag revoke_flags[] = {
    {.name = "before",
     .value = "TIME",
     .help =
         "Only tokens issued (iat) before: " WHEN_FORMS "; of everybody, where no USER is given"},
    INQUIRY_FLAG,
};

/* NULL where it is good, else what is wrong. */
static const char *read_revocation(const struct arguments *arguments, struct change *change)
{
    const char *user = arguments->operands[1], *before = arguments_value(arguments, "before");
    int64_t now_s = clock_wall_ms() / 1000, time_s;
    if (!user && !before) {
        return "revoke what? A USER, --before TIME, or both";
    }
    if (user && bus_revocation_user(str_from(user), change->user)) {
        return "USER: expected the sub of its tokens, or its address";
    }
    if (!user) {
        memcpy(change->user, "*", 2);
    }
    if (before && when_parse(str_from(before), now_s, &time_s)) {
        return "--before: expected " WHEN_FORMS;
    }
    if (before && time_s > now_s) {
        return "--before: that is in the future: it would refuse tokens that are yet to be issued";
    }
    change->before = before ? (uint64_t)time_s : BUS_REVOKED_ALWAYS;
    return NULL;
}

static enum exit_code revoke(const struct arguments *arguments)
{
    struct change change = {.revokes = true};
    struct buf complaint = {0};
    const char *wrong = read_revocation(arguments, &change);
    if (wrong) {
        return report_usage(wrong);
    }
    enum err err = inquiry_wait(arguments, &change.wait_ms, &complaint);
    return err ? report_complaint(err, &complaint) : carry_out(&change, arguments);
}

const struct verb verb_revoke = {
    .name = "revoke",
    .operands = "[USER]",
    .operands_most = 1,
    .summary = "refuse tokens from now on",
    .details =
        "Writes to Redis that tokens of a user (the sub of its tokens, or its address) are "
        "refused: "
        "all of them until unrevoke, or those issued before a time, so that the user can log in "
        "anew. Then it tells the gateways, which disconnect whoever is connected by such a token. "
        "A "
        "token without iat counts as issued in 1970. A user has one revocation: a new one replaces "
        "the old one. With --wait-replicas N it is waited for until so many replicas have it.\n"
        "\n"
        "It ends with status 0 only if it is written and all gateways of the registry have "
        "answered; "
        "with 8 if it is written, but some have not: they apply it when they come back; with 9 if "
        "it "
        "is written, but there is no gateway. After 6 (written or not) and 8 it may be repeated.\n"
        "\n"
        "  guesslyfe-publish revoke alice\n"
        "  guesslyfe-publish revoke alice --before now\n"
        "  guesslyfe-publish revoke --before 2025-01-16T10:00:00Z",
    VERB_FLAGS(revoke_flags),
    .run = revoke,
};

/* --- unrevoke --- */

static const struct verb_flag unrevoke_flags[] = {
    {.name = "all-before", .help = "What revoke --before wrote without a USER"},
    INQUIRY_FLAG,
};

static enum exit_code unrevoke(const struct arguments *arguments)
{
    struct change change = {.user = "*"};
    struct buf complaint = {0};
    const char *user = arguments->operands[1];
    if (!user == !arguments_has(arguments, "all-before")) {
        return report_usage("unrevoke what? A USER, or --all-before");
    }
    if (user && bus_revocation_user(str_from(user), change.user)) {
        return report_usage("USER: expected the sub of its tokens, or its address");
    }
    enum err err = inquiry_wait(arguments, &change.wait_ms, &complaint);
    return err ? report_complaint(err, &complaint) : carry_out(&change, arguments);
}

const struct verb verb_unrevoke = {
    .name = "unrevoke",
    .operands = "[USER]",
    .operands_most = 1,
    .summary = "take a revocation back",
    .details = "Removes a user's revocation, or everybody's, from Redis, and tells the gateways. "
               "Status as of revoke.",
    VERB_FLAGS(unrevoke_flags),
    .run = unrevoke,
};

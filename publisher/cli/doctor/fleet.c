/* The gateways: whether they are there, alike, and well. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/cli/doctor/doctor.h"
#include "publisher/cli/inquiry.h"
#include "schema/room.h"

enum {
    NEARLY_PERCENT = 90,
    STARTS_MS = 15000,      /* that a gateway may take to become ready */
    CLOCK_AHEAD_MS = 2000,  /* of a gateway's clock before Redis' */
    CLOCK_BEHIND_MS = 2000, /* behind the moment when Redis took the entry */
    PROXY_MARGIN_MS = 5000, /* for a ping to be answered, and passed on */
};

/* --- Each gateway --- */

static void check_states(struct doctor *doctor, const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct bus_registered *one = &roster->gateways[i];
        if (!one->alive) {
            doctor_say(doctor, VERDICT_WARN, "gateway",
                       "it was killed, or has lost Redis: look at its log", "%s is silent",
                       one->gateway.id);
        } else if (!one->gateway.ready && !one->gateway.draining) {
            bool starts = one->gateway.time_ms < one->gateway.started_ms + STARTS_MS;
            doctor_say(doctor, starts ? VERDICT_WARN : VERDICT_FAIL, "gateway",
                       "GET /readyz on its OPS_PORT says why", "%s on %s is not ready%s",
                       one->gateway.id, one->gateway.host, starts ? ", but was just started" : "");
        }
    }
}

static void check_capacity(struct doctor *doctor, const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct bus_gateway *gateway = &roster->gateways[i].gateway;
        uint64_t used = gateway->polling + gateway->websocket;
        if (used > 0 && used * 100 >= gateway->max_connections * NEARLY_PERCENT) {
            doctor_say(doctor, VERDICT_WARN, "capacity", "add gateways, or raise MAX_CONNECTIONS",
                       "%s on %s has %" PRIu64 " of %" PRIu64 " clients", gateway->id,
                       gateway->host, used, gateway->max_connections);
        }
    }
}

/* An entry's time is the gateway's, when it was seen is Redis'. */
static void check_clocks(struct doctor *doctor, const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct bus_registered *one = &roster->gateways[i];
        int64_t ahead = (int64_t)one->gateway.time_ms - (int64_t)one->seen_ms;
        if (one->alive && (ahead > CLOCK_AHEAD_MS || ahead < -CLOCK_BEHIND_MS)) {
            doctor_say(doctor, VERDICT_WARN, "gateway-clock", "let its machine keep time by NTP",
                       "the clock of %s on %s is %" PRId64 " ms %s Redis'", one->gateway.id,
                       one->gateway.host, ahead < 0 ? -ahead : ahead,
                       ahead < 0 ? "behind" : "before");
        }
    }
}

static void check_ping_interval(struct doctor *doctor, const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct bus_gateway *gateway = &roster->gateways[i].gateway;
        if (gateway->ping_interval_ms + PROXY_MARGIN_MS > doctor->proxy_idle_ms) {
            doctor_say(doctor, VERDICT_WARN, "ping-interval",
                       "lower PING_INTERVAL, or raise the proxy's idle limit (--proxy-idle says "
                       "what it is)",
                       "%s pings every %" PRIu64 " ms, a proxy gives up after %" PRIu64
                       " ms of silence",
                       gateway->id, gateway->ping_interval_ms, doctor->proxy_idle_ms);
            return;
        }
    }
}

/* --- All together --- */

static void check_alike(struct doctor *doctor, const struct roster *roster)
{
    const struct bus_gateway *first = NULL;
    for (size_t i = 0; i < roster->count; i++) {
        const struct bus_gateway *gateway = &roster->gateways[i].gateway;
        if (!roster->gateways[i].alive) {
            continue;
        }
        first = first ? first : gateway;
        if (strcmp(first->version, gateway->version) != 0) {
            doctor_say(doctor, VERDICT_WARN, "versions", "finish the deployment",
                       "%s is version %s, %s is %s", first->id, first->version, gateway->id,
                       gateway->version);
            return;
        }
        if (first->ping_interval_ms != gateway->ping_interval_ms ||
            first->ping_timeout_ms != gateway->ping_timeout_ms) {
            doctor_say(doctor, VERDICT_WARN, "settings",
                       "give all gateways the same PING_INTERVAL and PING_TIMEOUT",
                       "%s and %s ping differently", first->id, gateway->id);
            return;
        }
    }
}

static uint64_t count_clients(const struct roster *roster)
{
    uint64_t clients = 0;
    for (size_t i = 0; i < roster->count; i++) {
        clients += roster->gateways[i].gateway.clients;
    }
    return clients;
}

/* Every client is in global:all, so that a gateway with one listens to where that is published. */
static void check_channel(struct doctor *doctor, const struct roster *roster)
{
    struct buf channel = {0};
    if (bus_channel_name(&doctor->console.keys, STR("global:all"), &channel)) {
        return;
    }
    const struct answer *answer =
        CONSOLE_ASK(&doctor->console, STR("PUBSUB"), STR("NUMSUB"), buf_str(&channel));
    bool known = answer && answer->kind == ANSWER_LIST && answer->count == 2;
    if (known && answer->items[1].number == 0 && count_clients(roster) > 0) {
        doctor_say(doctor, VERDICT_FAIL, "channel",
                   "REDIS_PREFIX and REDIS_PARTITIONS must be the same in all programs",
                   "gateways have clients, but none listens to " STR_FMT,
                   STR_ARG(buf_str(&channel)));
    } else if (known) {
        doctor_say(doctor, VERDICT_OK, "channel", NULL,
                   "%lld gateways listen to " STR_FMT " (those that have clients)",
                   answer->items[1].number, STR_ARG(buf_str(&channel)));
    } else {
        doctor_cannot(doctor, "channel", answer);
    }
    buf_fini(&channel);
}

/* Whoever publishes cuts a log to his own length. */
static void check_history(struct doctor *doctor)
{
    uint64_t ours = doctor->console.settings.bus.history[ROOM_GLOBAL].length;
    struct buf log = {0};
    if (bus_log_key(&doctor->console.keys, STR("global:all"), &log)) {
        return;
    }
    const struct answer *length = CONSOLE_ASK(&doctor->console, STR("LLEN"), buf_str(&log));
    buf_fini(&log);
    if (!length || length->kind != ANSWER_NUMBER) {
        doctor_cannot(doctor, "history", length);
    } else if ((uint64_t)length->number > ours) {
        doctor_say(
            doctor, VERDICT_WARN, "history",
            "HISTORY_* must be the same in all publishers and gateways",
            "the log of global:all holds %lld events, HISTORY_GLOBAL_LENGTH here is %" PRIu64,
            length->number, ours);
    } else {
        doctor_say(doctor, VERDICT_OK, "history", NULL,
                   "the log of global:all is no longer than HISTORY_GLOBAL_LENGTH=%" PRIu64, ours);
    }
}

/* --- Whether they answer --- */

static void check_answers(struct doctor *doctor)
{
    struct inquiry inquiry = {0};
    size_t silent = 0;
    if (inquiry_ask(&inquiry, &doctor->console, STR("ping"), STR(""), doctor->wait_ms)) {
        doctor_say(doctor, VERDICT_UNKNOWN, "answers", NULL, "can't be checked with this user: %s",
                   doctor->console.why);
        inquiry_fini(&inquiry);
        return;
    }
    for (size_t i = 0; i < inquiry.roster.count; i++) {
        const struct bus_registered *one = &inquiry.roster.gateways[i];
        if (one->alive && !inquiry_find(&inquiry, one->gateway.id)) {
            doctor_say(doctor, VERDICT_FAIL, "answers",
                       "look at its log: revocations and disconnects do not reach it",
                       "%s on %s does not answer", one->gateway.id, one->gateway.host);
            silent++;
        }
    }
    if (silent == 0) {
        doctor_say(doctor, VERDICT_OK, "answers", NULL, "all gateways answer");
    }
    inquiry_fini(&inquiry);
}

static void check_roster(struct doctor *doctor, const struct roster *roster)
{
    unsigned before = doctor->told[VERDICT_WARN] + doctor->told[VERDICT_FAIL];
    check_states(doctor, roster);
    check_capacity(doctor, roster);
    check_clocks(doctor, roster);
    check_ping_interval(doctor, roster);
    check_alike(doctor, roster);
    if (before == doctor->told[VERDICT_WARN] + doctor->told[VERDICT_FAIL]) {
        doctor_say(doctor, VERDICT_OK, "gateways", NULL, "%zu, with %" PRIu64 " clients",
                   roster->count, count_clients(roster));
    }
    check_channel(doctor, roster);
    check_answers(doctor);
}

void doctor_check_fleet(struct doctor *doctor)
{
    struct roster roster;
    check_history(doctor);
    if (roster_read(&doctor->console, &roster)) {
        doctor_say(doctor, VERDICT_UNKNOWN, "gateways", NULL, "can't be checked with this user: %s",
                   doctor->console.why);
        return;
    }
    if (roster.count == 0) {
        doctor_say(doctor, VERDICT_WARN, "gateways",
                   "start one; or compare REDIS_HOST, REDIS_DB and REDIS_PREFIX with the gateways'",
                   "none is registered");
    } else {
        check_roster(doctor, &roster);
    }
    roster_fini(&roster);
}

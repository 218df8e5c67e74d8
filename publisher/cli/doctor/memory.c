/* What Redis may hold, and whom it cuts off. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/envelope.h"
#include "publisher/cli/doctor/doctor.h"

enum { NEARLY_PERCENT = 80, MIB = 1024 * 1024 };

/* Redis' own defaults, which are enough mostly. */
enum { HARD_LIMIT = 32 * MIB, SOFT_LIMIT = 8 * MIB };

static bool is_nearly(uint64_t used, uint64_t most)
{
    return most > 0 && used >= most / 100 * NEARLY_PERCENT;
}

/* INFO tells it, too. */
static void check_eviction(struct doctor *doctor)
{
    const char *setting = doctor_setting(doctor, "maxmemory-policy");
    struct str policy = setting ? str_from(setting) : doctor_info(doctor, "maxmemory_policy");
    bool bounded = doctor_info_number(doctor, "maxmemory") > 0 || !doctor->info;
    if (policy.len == 0) {
        doctor_say(doctor, VERDICT_UNKNOWN, "eviction", NULL,
                   "can't be checked with this user: CONFIG GET and INFO are refused");
    } else if (!str_eq(policy, STR("noeviction"))) {
        doctor_say(doctor, bounded ? VERDICT_FAIL : VERDICT_WARN, "eviction",
                   "CONFIG SET maxmemory-policy noeviction, in redis.conf too",
                   "maxmemory-policy is " STR_FMT ": %s", STR_ARG(policy),
                   bounded ? "logs, sessions and revocations vanish when memory is full"
                           : "nothing is evicted only as long as there is no maxmemory");
    } else {
        doctor_say(doctor, VERDICT_OK, "eviction", NULL, "maxmemory-policy noeviction");
    }
}

static void check_memory(struct doctor *doctor)
{
    uint64_t used = doctor_info_number(doctor, "used_memory");
    uint64_t most = doctor_info_number(doctor, "maxmemory");
    if (!doctor->info) {
        doctor_say(doctor, VERDICT_UNKNOWN, "memory", NULL,
                   "can't be checked with this user: INFO is refused");
    } else if (is_nearly(used, most)) {
        doctor_say(doctor, VERDICT_WARN, "memory",
                   "raise maxmemory, or keep less (HISTORY_*): full, Redis refuses events",
                   "%" PRIu64 " of %" PRIu64 " MiB are in use", used / MIB, most / MIB);
    } else if (most > 0) {
        doctor_say(doctor, VERDICT_OK, "memory", NULL, "%" PRIu64 " of %" PRIu64 " MiB in use",
                   used / MIB, most / MIB);
    } else {
        doctor_say(doctor, VERDICT_OK, "memory", NULL, "%" PRIu64 " MiB in use, no maxmemory",
                   used / MIB);
    }
}

/* "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60" */
static bool read_limits(const char *setting, uint64_t *ret_hard, uint64_t *ret_soft)
{
    const char *pubsub = setting ? strstr(setting, "pubsub ") : NULL;
    return pubsub && sscanf(pubsub, "pubsub %" SCNu64 " %" SCNu64, ret_hard, ret_soft) == 2;
}

/* A subscriber must be able to take the largest event at least. */
static void check_output_limit(struct doctor *doctor)
{
    static const char advice[] =
        "CONFIG SET client-output-buffer-limit \"pubsub 33554432 8388608 60\", or more";
    uint64_t hard, soft;
    if (!read_limits(doctor_setting(doctor, "client-output-buffer-limit"), &hard, &soft)) {
        doctor_say(doctor, VERDICT_UNKNOWN, "output-limit", NULL,
                   "can't be checked with this user: CONFIG GET is refused");
        return;
    }
    bool fatal = hard > 0 && hard < 2 * BUS_PAYLOAD_MAX;
    bool small = (hard > 0 && hard < HARD_LIMIT) || (soft > 0 && soft < SOFT_LIMIT);
    doctor_say(doctor,
               fatal   ? VERDICT_FAIL
               : small ? VERDICT_WARN
                       : VERDICT_OK,
               "output-limit", small ? advice : NULL,
               "subscribers may be %" PRIu64 " bytes behind%s", hard,
               fatal   ? ": less than two large events"
               : small ? ": in a burst gateways are cut off"
                       : "");
}

static void check_clients(struct doctor *doctor)
{
    const char *setting = doctor_setting(doctor, "maxclients");
    uint64_t connected = doctor_info_number(doctor, "connected_clients"), most;
    if (!setting || !doctor->info || str_to_u64(str_from(setting), &most)) {
        doctor_say(doctor, VERDICT_UNKNOWN, "clients", NULL,
                   "can't be checked with this user: CONFIG GET or INFO is refused");
        return;
    }
    bool nearly = is_nearly(connected, most);
    doctor_say(doctor, nearly ? VERDICT_WARN : VERDICT_OK, "clients",
               nearly ? "raise maxclients of Redis" : NULL,
               "%" PRIu64 " of %" PRIu64 " connections to Redis", connected, most);
}

void doctor_check_memory(struct doctor *doctor)
{
    check_eviction(doctor);
    check_memory(doctor);
    check_output_limit(doctor);
    check_clients(doctor);
}

/* Redis itself: which one it is, and what becomes of what it is told. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/cli/doctor/doctor.h"
#include "util/clock.h"

enum {
    OLDEST_MAJOR = 5,
    GOOD_MAJOR = 7,
    SKEW_WARN_MS = 1000,
    SKEW_FAIL_MS = 30000,
};

/* --- Version --- */

static void check_version(struct doctor *doctor)
{
    struct str version = doctor_info(doctor, "redis_version");
    struct str valkey = doctor_info(doctor, "valkey_version");
    uint64_t major;
    if (str_to_u64(str_range(version.ptr, str_find(version, '.')), &major)) {
        doctor_say(doctor, VERDICT_UNKNOWN, "version", NULL,
                   "can't be checked with this user: INFO is refused");
        return;
    }
    const char *name = valkey.len > 0 ? "Valkey" : "Redis";
    struct str shown = valkey.len > 0 ? valkey : version;
    enum verdict verdict = major < OLDEST_MAJOR ? VERDICT_FAIL
                           : major < GOOD_MAJOR ? VERDICT_WARN
                                                : VERDICT_OK;
    doctor_say(doctor, verdict, "version",
               verdict ? "use Redis 7 or Valkey: users with just the rights they need (docs/"
                         "operations.md) are for these"
                       : NULL,
               "%s " STR_FMT, name, STR_ARG(shown));
}

static void check_mode(struct doctor *doctor)
{
    struct str mode = doctor_info(doctor, "redis_mode");
    if (mode.len > 0 && !str_eq(mode, STR("standalone"))) {
        doctor_say(doctor, VERDICT_FAIL, "mode",
                   "use one primary, found by REDIS_SENTINELS or REDIS_HOST",
                   "Redis runs as " STR_FMT, STR_ARG(mode));
    }
}

/* --- Role and replicas --- */

static void check_wanted_replicas(struct doctor *doctor, size_t replicas)
{
    uint64_t wanted = doctor->console.settings.wait_replicas;
    if (wanted > replicas) {
        doctor_say(doctor, VERDICT_FAIL, "replicas", "lower PUBLISH_WAIT_REPLICAS, or add replicas",
                   "PUBLISH_WAIT_REPLICAS is %" PRIu64 ", but there are %zu: publishing ends with "
                   "status 7",
                   wanted, replicas);
    }
}

static void check_min_replicas(struct doctor *doctor, size_t replicas)
{
    const char *text = doctor_setting(doctor, "min-replicas-to-write");
    uint64_t least, good = doctor_info_number(doctor, "min_slaves_good_slaves");
    if (!text || str_to_u64(str_from(text), &least)) {
        doctor_say(doctor, VERDICT_UNKNOWN, "min-replicas", NULL,
                   "can't be checked with this user: CONFIG GET is refused");
    } else if (least > 0 && doctor->info && good < least) {
        doctor_say(doctor, VERDICT_FAIL, "min-replicas",
                   "bring the replicas back, or lower min-replicas-to-write",
                   "Redis refuses every event: %" PRIu64 " of %" PRIu64 " replicas keep up", good,
                   least);
    } else if (least == 0 && replicas > 0) {
        doctor_say(doctor, VERDICT_WARN, "min-replicas",
                   "CONFIG SET min-replicas-to-write 1, and min-replicas-max-lag 10",
                   "a primary that is cut off from its replicas goes on taking events, which a "
                   "failover then loses");
    } else {
        doctor_say(doctor, VERDICT_OK, "min-replicas", NULL, "min-replicas-to-write %" PRIu64,
                   least);
    }
}

static void check_role(struct doctor *doctor)
{
    const struct answer *role = CONSOLE_ASK(&doctor->console, STR("ROLE"));
    if (!role || role->kind != ANSWER_LIST || role->count < 3) {
        doctor_cannot(doctor, "role", role);
        return;
    }
    if (!str_eq(answer_item(role, 0), STR("master"))) {
        doctor_say(doctor, VERDICT_FAIL, "role",
                   "let REDIS_HOST be the primary, or use REDIS_SENTINELS: a replica takes no "
                   "events",
                   "this Redis is no primary, but a " STR_FMT, STR_ARG(answer_item(role, 0)));
        return;
    }
    size_t replicas = role->items[2].count;
    doctor_say(doctor, VERDICT_OK, "role", NULL, "primary with %zu replicas", replicas);
    check_wanted_replicas(doctor, replicas);
    check_min_replicas(doctor, replicas);
}

/* --- Persistence --- */

static void check_persistence(struct doctor *doctor)
{
    if (!doctor->info) {
        doctor_say(doctor, VERDICT_UNKNOWN, "persistence", NULL,
                   "can't be checked with this user: INFO is refused");
        return;
    }
    struct str aof_status = doctor_info(doctor, "aof_last_write_status");
    struct str rdb_status = doctor_info(doctor, "rdb_last_bgsave_status");
    bool aof = doctor_info_number(doctor, "aof_enabled") == 1;
    bool failed = (aof && !str_eq(aof_status, STR("ok"))) || !str_eq(rdb_status, STR("ok"));
    if (failed) {
        doctor_say(doctor, VERDICT_FAIL, "persistence",
                   "look into Redis' log and at its disk: by default it refuses events like this",
                   "the last write to disk has failed");
    } else if (!aof) {
        doctor_say(doctor, VERDICT_WARN, "persistence",
                   "CONFIG SET appendonly yes: a restart otherwise loses logs, sessions and "
                   "revocations, all of them or since the last snapshot",
                   "no append-only file");
    } else {
        doctor_say(doctor, VERDICT_OK, "persistence", NULL, "append-only file");
    }
}

/* --- Clock --- */

static bool read_time(const struct answer *time, int64_t *ret_ms)
{
    uint64_t seconds, us;
    if (!time || str_to_u64(answer_item(time, 0), &seconds) ||
        str_to_u64(answer_item(time, 1), &us)) {
        return false;
    }
    *ret_ms = (int64_t)(seconds * 1000 + us / 1000);
    return true;
}

/* Redis' answer is from the middle of the round trip, as near as can be told. */
static void check_clock(struct doctor *doctor)
{
    int64_t before = clock_wall_ms(), redis_ms;
    const struct answer *time = CONSOLE_ASK(&doctor->console, STR("TIME"));
    int64_t after = clock_wall_ms();
    if (!read_time(time, &redis_ms)) {
        doctor_cannot(doctor, "clock", time);
        return;
    }
    int64_t skew = redis_ms - (before + (after - before) / 2);
    int64_t distance = skew < 0 ? -skew : skew;
    enum verdict verdict = distance >= SKEW_FAIL_MS   ? VERDICT_FAIL
                           : distance >= SKEW_WARN_MS ? VERDICT_WARN
                                                      : VERDICT_OK;
    doctor_say(doctor, verdict, "clock",
               verdict ? "let all machines keep time by NTP: ids, ages and revocations go by "
                         "Redis' clock, tokens by the gateways'"
                       : NULL,
               "Redis is %" PRId64 " ms %s this machine", distance, skew < 0 ? "behind" : "before");
}

void doctor_check_server(struct doctor *doctor)
{
    check_version(doctor);
    check_mode(doctor);
    check_role(doctor);
    check_persistence(doctor);
    check_clock(doctor);
}

/* Our use of Redis: whether what is published comes back, and whose keys these are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/script.h"
#include "bus/subscriber.h"
#include "publisher/cli/doctor/doctor.h"
#include "publisher/cli/inquiry.h"
#include "util/clock.h"
#include "util/rand.h"

enum { SLOW_PROBE_US = 100000, EPOCH_TIME_LEN = 16, PROBE_WORD_LEN = 16 };

/* --- A message to ourselves --- */

struct probe {
    char word[PROBE_WORD_LEN + 1];
    struct buf channel;
    struct str heard; /* the channel, as the console borrows it */
    uint64_t sent_us, back_us;
};

static void hear(void *context, struct str channel, struct str message)
{
    struct probe *probe = context;
    (void)channel;
    if (str_eq(message, str_from(probe->word))) {
        probe->back_us = clock_monotonic_us();
    }
}

static void judge_probe(struct doctor *doctor, const struct probe *probe)
{
    uint64_t us = probe->back_us - probe->sent_us;
    if (probe->back_us == 0) {
        doctor_say(doctor, VERDICT_FAIL, "publish",
                   "look for several Redis behind one address, or for a proxy that takes no "
                   "subscriptions",
                   "what is published does not come back within %" PRIu64 " ms", doctor->wait_ms);
    } else {
        doctor_say(doctor, us > SLOW_PROBE_US ? VERDICT_WARN : VERDICT_OK, "publish",
                   us > SLOW_PROBE_US ? "Redis, or the way there, is slow: SLOWLOG GET, LATENCY "
                                        "LATEST"
                                      : NULL,
                   "what is published comes back after %" PRIu64 ".%03u ms", us / 1000,
                   (unsigned)(us % 1000));
    }
}

static void send_probe(struct doctor *doctor, struct probe *probe)
{
    probe->sent_us = clock_monotonic_us();
    const struct answer *answer =
        CONSOLE_ASK(&doctor->console, STR("PUBLISH"), probe->heard, str_from(probe->word));
    if (!answer || answer->kind != ANSWER_NUMBER) {
        doctor_cannot(doctor, "publish", answer);
        return;
    }
    uint64_t until = clock_monotonic_ms() + doctor->wait_ms;
    bool turns = true;
    while (turns && probe->back_us == 0 && clock_monotonic_ms() < until) {
        turns = console_turn(&doctor->console, (unsigned)doctor->wait_ms);
    }
    judge_probe(doctor, probe);
}

static void check_probe(struct doctor *doctor)
{
    struct probe probe = {0};
    rand_id(probe.word, PROBE_WORD_LEN);
    if (bus_answer_channel(&doctor->console.keys, str_from(probe.word), &probe.channel)) {
        return;
    }
    probe.heard = buf_str(&probe.channel);
    const struct console_ear ear = {
        .channels = &probe.heard, .count = 1, .hear = hear, .context = &probe};
    if (console_listen(&doctor->console, &ear)) {
        send_probe(doctor, &probe);
    } else {
        doctor_cannot(doctor, "publish", NULL);
    }
    console_unlisten(&doctor->console);
    buf_fini(&probe.channel);
}

/* --- Scripts --- */

/* The one that only reads. */
static void check_scripts(struct doctor *doctor)
{
    struct buf clock = {0};
    if (bus_clock_key(&doctor->console.keys, 0, &clock)) {
        return;
    }
    const struct answer *answer = CONSOLE_ASK(&doctor->console, STR("EVALSHA"), bus_read_script.sha,
                                              STR("1"), buf_str(&clock));
    bool missing =
        answer && answer->kind == ANSWER_ERROR && str_starts(answer->text, STR("NOSCRIPT"));
    if (missing) {
        doctor_say(doctor, VERDICT_OK, "scripts", NULL,
                   "not in Redis' cache: the first to need them bring them");
    } else if (answer && answer->kind == ANSWER_LIST) {
        doctor_say(doctor, VERDICT_OK, "scripts", NULL, "in Redis' cache");
    } else {
        doctor_cannot(doctor, "scripts", answer);
    }
    buf_fini(&clock);
}

/* --- Whose keys these are --- */

static void check_epoch(struct doctor *doctor)
{
    struct buf key = {0};
    if (bus_epoch_key(&doctor->console.keys, &key)) {
        return;
    }
    const struct answer *epoch = CONSOLE_ASK(&doctor->console, STR("GET"), buf_str(&key));
    uint64_t us;
    char began[CLOCK_ISO8601_LEN + 1];
    if (!epoch || epoch->kind == ANSWER_ERROR) {
        doctor_cannot(doctor, "epoch", epoch);
    } else if (epoch->text.len != BUS_EPOCH_LEN ||
               str_to_u64(str_range(epoch->text.ptr, EPOCH_TIME_LEN), &us)) {
        doctor_say(doctor, VERDICT_WARN, "epoch",
                   "compare REDIS_HOST, REDIS_DB and REDIS_PREFIX with the gateways'",
                   "no gateway was ever connected here");
    } else {
        clock_iso8601((int64_t)(us / 1000), began);
        doctor_say(doctor, VERDICT_OK, "epoch", NULL, "Redis holds what it was told since %s",
                   began);
    }
    buf_fini(&key);
}

/* Of a partition that we would not have. */
static void check_partitions(struct doctor *doctor)
{
    const struct bus_keys *keys = &doctor->console.keys;
    struct buf key = {0};
    if (bus_clock_key(keys, keys->partitions, &key)) {
        return;
    }
    const struct answer *clock = CONSOLE_ASK(&doctor->console, STR("GET"), buf_str(&key));
    buf_fini(&key);
    if (!clock || clock->kind == ANSWER_ERROR) {
        doctor_cannot(doctor, "partitions", clock);
    } else if (clock->kind == ANSWER_TEXT) {
        doctor_say(doctor, VERDICT_FAIL, "partitions",
                   "REDIS_PARTITIONS and REDIS_PREFIX must be the same in all programs",
                   "somebody publishes into more partitions than REDIS_PARTITIONS=%u",
                   keys->partitions);
    } else {
        doctor_say(doctor, VERDICT_OK, "partitions", NULL,
                   "nobody publishes into more than REDIS_PARTITIONS=%u", keys->partitions);
    }
}

void doctor_check_bus(struct doctor *doctor)
{
    check_probe(doctor);
    check_scripts(doctor);
    check_epoch(doctor);
    check_partitions(doctor);
}

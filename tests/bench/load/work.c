#include "work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audience.h"
#include "lead.h"
#include "stopwatch.h"
#include "util/clock.h"

enum { REST_S = 2 };

static const struct step connecting = {CLIENT_UNUSED, CLIENT_READY, fleet_connect};
static const struct step subscribing = {CLIENT_READY, CLIENT_SUBSCRIBED, fleet_subscribe};
static const struct step returning = {CLIENT_UNUSED, CLIENT_SUBSCRIBED, fleet_connect};

static bool close_all(struct work_context *context)
{
    struct fleet *fleet = context->fleet;
    for (unsigned i = 0; i < fleet->count; i++) {
        fleet_close(fleet, i);
    }
    uint64_t end_us = clock_monotonic_us() + (uint64_t)context->options->patience * MICRO;
    while (fleet->in_state[CLIENT_CLOSING] > 0 && clock_monotonic_us() < end_us) {
        fleet_turn(fleet, LEAD_TURN_US);
    }
    return fleet->in_state[CLIENT_CLOSING] == 0;
}

static bool do_close(struct work_context *context, struct work_numbers numbers)
{
    (void)numbers;
    struct stopwatch watch = stopwatch_start(context);
    unsigned clients = context->fleet->count - context->fleet->in_state[CLIENT_UNUSED];
    const struct fanout_result *late = &context->fanout->result;
    uint64_t duplicates = late->duplicates;
    bool ok = close_all(context);
    duplicates = late->duplicates - duplicates;
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    printf("{\"work\":\"close\",\"clients\":%u,\"unclosed\":%u,\"duplicates\":%" PRIu64, clients,
           context->fleet->in_state[CLIENT_CLOSING], duplicates);
    print_end(context, &watch, elapsed_us, clients);
    return ok && duplicates == 0;
}

/* The first clients pay for code that has not run yet, and for memory that it takes. */
static bool do_warm(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    unsigned count = numbers.first < fleet->count ? numbers.first : fleet->count;
    struct stopwatch watch = stopwatch_start(context);
    bool ok = lead(context, &connecting, count, context->options->concurrency);
    ok = close_all(context) && ok;
    fleet_recycle(fleet, false);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    printf("{\"work\":\"warm\",\"clients\":%u", count);
    print_end(context, &watch, elapsed_us, count);
    return ok;
}

static bool do_connect(struct work_context *context, struct work_numbers numbers)
{
    (void)numbers;
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    bool ok = lead(context, &connecting, fleet->count, context->options->concurrency);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    unsigned ready = fleet->in_state[CLIENT_READY];
    printf("{\"work\":\"connect\",\"clients\":%u,\"ready\":%u,\"per_second\":%.1f,\"at\":%.6f",
           fleet->count, ready, per(ready, (double)elapsed_us / MICRO),
           (double)watch.end.at_us / MICRO);
    print_end(context, &watch, elapsed_us, ready);
    return ok;
}

static bool do_idle(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    uint64_t pings = fleet->pings;
    if (fleet->options->polling) {
        fleet_poll(fleet);
    }
    rest(fleet, numbers.first);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    const struct process_usage server = watch.end.server;
    double clients = at_rest(fleet);
    double grown = (double)server.private_bytes - (double)context->at_rest.private_bytes;
    printf("{\"work\":\"idle\",\"clients\":%.0f,\"private_bytes_at_rest\":%" PRIu64
           ",\"private_bytes\":%" PRIu64 ",\"bytes_per_client\":%.0f,\"pings\":%" PRIu64,
           clients, context->at_rest.private_bytes, server.private_bytes, per(grown, clients),
           fleet->pings - pings);
    print_end(context, &watch, elapsed_us, (uint64_t)clients);
    return fleet->failed == 0 && fleet->broken == 0;
}

static bool do_subscribe(struct work_context *context, struct work_numbers numbers)
{
    (void)numbers;
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    bool ok = lead(context, &subscribing, fleet->count, context->options->concurrency);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    unsigned subscribed = fleet->in_state[CLIENT_SUBSCRIBED];
    printf("{\"work\":\"subscribe\",\"clients\":%u,\"subscribed\":%u,\"per_second\":%.1f",
           fleet->count, subscribed, per(subscribed, (double)elapsed_us / MICRO));
    print_end(context, &watch, elapsed_us, subscribed);
    return ok;
}

static bool publish(struct work_context *context, const struct fanout_plan *plan, const char *name)
{
    struct stopwatch watch = stopwatch_start(context);
    struct fanout *fanout = context->fanout;
    uint64_t unheard_before = fanout->publisher->unheard;
    enum err err = fanout_run(fanout, plan);
    if (err != OK) {
        fprintf(stderr, "load: publishing failed: %s\n", err_name(err));
        return false;
    }
    stopwatch_stop(&watch, context);
    const struct fanout_result *result = &fanout->result;
    uint64_t unheard = fanout->publisher->unheard - unheard_before;
    printf("{\"work\":\"%s\",\"in_flight\":%u,\"events\":%u,\"unheard\":%" PRIu64
           ",\"delivered\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"duplicates\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"per_second\":%.0f"
           ",\"latency_us\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}",
           name, plan->in_flight, result->published, unheard, result->delivered, result->expected,
           result->lost, result->duplicates, result->malformed,
           per((double)result->delivered, (double)result->elapsed_us / MICRO),
           histogram_quantile(&result->latency, 0.5), histogram_quantile(&result->latency, 0.99),
           result->latency.max);
    print_end(context, &watch, result->elapsed_us, result->delivered);
    return result->published > 0 && result->expected > 0 && unheard == 0 &&
           result->delivered == result->expected && result->lost == 0 && result->duplicates == 0 &&
           result->malformed == 0 && context->fleet->broken == 0;
}

static struct fanout_plan bounded_plan(const struct work_context *context, unsigned events)
{
    return (struct fanout_plan){
        .events = events,
        .publish_us = (uint64_t)context->options->seconds * MICRO,
        .keep = context->options->keep,
        .patience_us = (uint64_t)context->options->patience * MICRO,
    };
}

static bool do_fanout(struct work_context *context, struct work_numbers numbers)
{
    struct fanout_plan plan = bounded_plan(context, numbers.second);
    plan.in_flight = numbers.first;
    return publish(context, &plan, "fanout");
}

static bool do_pace(struct work_context *context, struct work_numbers numbers)
{
    struct fanout_plan plan = bounded_plan(context, numbers.second);
    plan.interval_us = MICRO / numbers.first;
    return publish(context, &plan, "pace");
}

/* As a network that is gone does: no goodbye. */
static void cut_all(struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->count; i++) {
        if (fleet->clients[i].fd >= 0) {
            client_hang_up(fleet, &fleet->clients[i]);
        }
    }
    fleet_recycle(fleet, true);
}

/* One more event: whoever gets it will not get any older one. */
static enum err close_account(struct work_context *context)
{
    struct fanout *fanout = context->fanout;
    enum err err = fanout_publish(fanout, 1, true);
    uint64_t end_us = clock_monotonic_us() + (uint64_t)context->options->patience * MICRO;
    while (err == OK && !fanout_has_arrived(fanout) && clock_monotonic_us() < end_us) {
        fleet_turn(context->fleet, LEAD_TURN_US);
        err = publisher_poll(fanout->publisher);
    }
    fanout_end(fanout);
    return err;
}

static bool do_storm(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    struct fanout *fanout = context->fanout;
    unsigned count = fleet->in_state[CLIENT_SUBSCRIBED];
    fanout_begin(fanout);
    cut_all(fleet);
    rest(fleet, REST_S);
    enum err err = fanout_publish(fanout, numbers.first, true);
    fleet->subscribe_at_once = true;
    struct stopwatch watch = stopwatch_start(context);
    bool ok =
        err == OK && count == fleet->count && lead(context, &returning, count, numbers.second);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    fleet->subscribe_at_once = false;
    err = err == OK ? close_account(context) : err;
    if (err != OK) {
        fprintf(stderr, "load: publishing failed: %s\n", err_name(err));
        return false;
    }
    const struct fanout_result *result = &fanout->result;
    printf("{\"work\":\"storm\",\"clients\":%u,\"back\":%u,\"recovered\":%u,\"delivered\":%" PRIu64
           ",\"expected\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64
           ",\"malformed\":%" PRIu64 ",\"per_second\":%.1f,\"private_bytes\":%" PRIu64,
           count, fleet->in_state[CLIENT_SUBSCRIBED], fleet->recovered, result->delivered,
           result->expected, result->lost, result->duplicates, result->malformed,
           per(count, (double)elapsed_us / MICRO), watch.end.server.private_bytes);
    print_end(context, &watch, elapsed_us, count);
    bool recovery = fleet->options->recovery;
    return ok && result->duplicates == 0 && result->malformed == 0 &&
           (!recovery || (result->lost == 0 && fleet->recovered == count));
}

static const struct work {
    const char *name;
    unsigned first_max; /* of its numbers; 0 where it takes none */
    unsigned second_max;
    bool (*run)(struct work_context *context, struct work_numbers numbers);
} works[] = {
    {"warm", 20000, 0, do_warm},
    {"connect", 0, 0, do_connect},
    {"idle", 3600, 0, do_idle},
    {"subscribe", 0, 0, do_subscribe},
    {"fanout", FANOUT_WINDOW_MAX - 1, 1000000, do_fanout},
    {"pace", 10000, 1000000, do_pace},
    {"storm", FANOUT_WINDOW_MAX / 2, 100000, do_storm},
    {"hear", 36000, 0, audience_hear},
    {"join", 100000, 0, audience_join},
    {"trades", 1000, 36000, audience_trades},
    {"move", 36000, 0, audience_move},
    {"close", 0, 0, do_close},
};

static const struct work *find(const char *text, struct work_numbers *ret_numbers)
{
    char name[16];
    struct work_numbers numbers = {0};
    char end;
    int n = sscanf(text, "%15[a-z]:%u:%u%c", name, &numbers.first, &numbers.second, &end);
    for (size_t i = 0; i < ARRAY_LEN(works) && n >= 1; i++) {
        const struct work *work = &works[i];
        int expected = 1 + (work->first_max > 0) + (work->second_max > 0);
        if (strcmp(name, work->name) == 0 && n == expected &&
            (expected < 2 || (numbers.first >= 1 && numbers.first <= work->first_max)) &&
            (expected < 3 || (numbers.second >= 1 && numbers.second <= work->second_max))) {
            *ret_numbers = numbers;
            return work;
        }
    }
    return NULL;
}

bool work_is_valid(const char *text)
{
    struct work_numbers numbers;
    return find(text, &numbers) != NULL;
}

bool work_run(struct work_context *context, const char *text)
{
    struct work_numbers numbers;
    if (context->at_rest.rss_bytes == 0) {
        context->at_rest = server_usage(context);
    }
    const struct work *work = find(text, &numbers);
    return work != NULL && work->run(context, numbers);
}

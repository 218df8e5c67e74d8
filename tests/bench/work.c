#include "work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include "util/clock.h"

enum { TURN_MS = 20, MICRO = 1000000 };

struct work_numbers {
    unsigned first;
    unsigned second;
};

/* When a work began, and what the server and we had used by then. */
struct stopwatch {
    uint64_t begin_us;
    struct process_usage server;
    uint64_t own_ns;
};

static struct process_usage server_usage(const struct work_context *context)
{
    struct process_usage usage = {0};
    int pid = context->options->server_pid;
    if (pid > 0 && process_usage(pid, &usage) != OK) {
        fprintf(stderr, "load: process %d cannot be measured\n", pid);
    }
    return usage;
}

static uint64_t own_cpu_ns(void)
{
    struct process_usage usage = {0};
    return process_usage(getpid(), &usage) == OK ? usage.cpu_ns : 0;
}

static struct stopwatch stopwatch_start(const struct work_context *context)
{
    return (struct stopwatch){
        .server = server_usage(context),
        .own_ns = own_cpu_ns(),
        .begin_us = clock_monotonic_us(),
    };
}

static double per(double amount, double count)
{
    return count > 0 ? amount / count : 0;
}

/* The members that all works end with; closes the object. */
static void print_end(const struct work_context *context, const struct stopwatch *watch,
                      uint64_t elapsed_us, uint64_t units)
{
    struct process_usage server = server_usage(context);
    double server_us = (double)(server.cpu_ns - watch->server.cpu_ns) / 1000;
    double own_us = (double)(own_cpu_ns() - watch->own_ns) / 1000;
    double elapsed = (double)elapsed_us;
    const struct fleet *fleet = context->fleet;
    printf(",\"seconds\":%.3f,\"server_cpu_us_each\":%.3f,\"server_busy\":%.3f,"
           "\"generator_busy\":%.3f,\"failed\":%u,\"broken\":%u,\"why\":\"%s\"}\n",
           elapsed / MICRO, per(server_us, (double)units), per(server_us, elapsed),
           per(own_us, elapsed), fleet->failed, fleet->broken, fleet->first_failure);
    fflush(stdout);
}

/*
 * Takes `count` clients from state `from` to state `to` by `start`, so many at once as the options
 * allow. True when all have arrived.
 */
static bool lead(struct work_context *context, unsigned count, enum client_state from,
                 enum client_state to, void (*start)(struct fleet *, unsigned))
{
    struct fleet *fleet = context->fleet;
    const struct work_options *options = context->options;
    uint64_t begin_us = clock_monotonic_us();
    uint64_t progress_us = begin_us;
    uint64_t now_us = begin_us;
    unsigned started = 0;
    unsigned arrived = 0;
    unsigned ended = fleet->failed + fleet->broken;
    while (arrived < count && now_us < progress_us + (uint64_t)options->patience * MICRO) {
        uint64_t allowed =
            options->rate == 0 ? count : 1 + (now_us - begin_us) * options->rate / MICRO;
        while (started < count && started < allowed && started < arrived + options->concurrency) {
            if (fleet->clients[started].state == from) {
                start(fleet, started);
            }
            started++;
        }
        fleet_turn(fleet, started < count && options->rate > 0 ? 1 : TURN_MS);
        unsigned done = fleet->in_state[to] + fleet->failed + fleet->broken - ended;
        now_us = clock_monotonic_us();
        progress_us = done > arrived ? now_us : progress_us;
        arrived = done;
    }
    return fleet->in_state[to] == count;
}

static bool close_all(struct work_context *context)
{
    struct fleet *fleet = context->fleet;
    for (unsigned i = 0; i < fleet->count; i++) {
        fleet_close(fleet, i);
    }
    uint64_t end_us = clock_monotonic_us() + (uint64_t)context->options->patience * MICRO;
    while (fleet->in_state[CLIENT_CLOSING] > 0 && clock_monotonic_us() < end_us) {
        fleet_turn(fleet, TURN_MS);
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
    printf("{\"work\":\"close\",\"clients\":%u,\"unclosed\":%u,\"duplicates\":%" PRIu64, clients,
           context->fleet->in_state[CLIENT_CLOSING], duplicates);
    print_end(context, &watch, clock_monotonic_us() - watch.begin_us, clients);
    return ok && duplicates == 0;
}

/* Heap, tables and code that the first clients bring about shall not count as the others' memory.
 */
static bool do_warm(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    unsigned count = numbers.first < fleet->count ? numbers.first : fleet->count;
    struct stopwatch watch = stopwatch_start(context);
    bool ok = lead(context, count, CLIENT_UNUSED, CLIENT_READY, fleet_connect);
    ok = close_all(context) && ok;
    fleet_recycle(fleet);
    printf("{\"work\":\"warm\",\"clients\":%u", count);
    print_end(context, &watch, clock_monotonic_us() - watch.begin_us, count);
    return ok;
}

static bool do_connect(struct work_context *context, struct work_numbers numbers)
{
    (void)numbers;
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    context->at_rest = watch.server;
    bool ok = lead(context, fleet->count, CLIENT_UNUSED, CLIENT_READY, fleet_connect);
    uint64_t elapsed_us = clock_monotonic_us() - watch.begin_us;
    unsigned ready = fleet->in_state[CLIENT_READY];
    printf("{\"work\":\"connect\",\"clients\":%u,\"ready\":%u,\"per_second\":%.1f", fleet->count,
           ready, per(ready, (double)elapsed_us / MICRO));
    print_end(context, &watch, elapsed_us, ready);
    return ok;
}

static bool do_idle(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    uint64_t end_us = watch.begin_us + (uint64_t)numbers.first * MICRO;
    while (clock_monotonic_us() < end_us) {
        fleet_turn(fleet, TURN_MS);
    }
    struct process_usage server = server_usage(context);
    double clients = fleet->in_state[CLIENT_READY] + fleet->in_state[CLIENT_SUBSCRIBED];
    double grown = (double)server.private_bytes - (double)context->at_rest.private_bytes;
    printf("{\"work\":\"idle\",\"clients\":%.0f,\"private_bytes_at_rest\":%" PRIu64
           ",\"private_bytes\":%" PRIu64 ",\"bytes_per_client\":%.0f,\"pings\":%" PRIu64,
           clients, context->at_rest.private_bytes, server.private_bytes, per(grown, clients),
           fleet->pings);
    print_end(context, &watch, clock_monotonic_us() - watch.begin_us, (uint64_t)clients);
    return fleet->failed == 0 && fleet->broken == 0;
}

static bool do_subscribe(struct work_context *context, struct work_numbers numbers)
{
    (void)numbers;
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    bool ok = lead(context, fleet->count, CLIENT_READY, CLIENT_SUBSCRIBED, fleet_subscribe);
    uint64_t elapsed_us = clock_monotonic_us() - watch.begin_us;
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
    const struct work *work = find(text, &numbers);
    return work != NULL && work->run(context, numbers);
}

#include "stopwatch.h"

#include <stdio.h>

#include <unistd.h>

#include "fleet.h"
#include "util/clock.h"

struct process_usage server_usage(const struct work_context *context)
{
    struct process_usage usage = {0};
    pid_t pid = (pid_t)context->options->server_pid;
    if (pid > 0 && process_usage(pid, &usage) != OK) {
        fprintf(stderr, "load: process %ld cannot be measured\n", (long)pid);
    }
    return usage;
}

static uint64_t own_cpu_ns(void)
{
    struct process_usage usage = {0};
    return process_usage(getpid(), &usage) == OK ? usage.cpu_ns : 0;
}

static struct moment moment_now(const struct work_context *context)
{
    return (struct moment){
        .server = server_usage(context),
        .own_ns = own_cpu_ns(),
        .at_us = clock_monotonic_us(),
    };
}

struct stopwatch stopwatch_start(const struct work_context *context)
{
    return (struct stopwatch){.begin = moment_now(context)};
}

uint64_t stopwatch_stop(struct stopwatch *watch, const struct work_context *context)
{
    watch->end = moment_now(context);
    return watch->end.at_us - watch->begin.at_us;
}

double per(double amount, double count)
{
    return count > 0 ? amount / count : 0;
}

void print_end(const struct work_context *context, const struct stopwatch *watch,
               uint64_t elapsed_us, uint64_t units)
{
    double server_us = (double)(watch->end.server.cpu_ns - watch->begin.server.cpu_ns) / 1000;
    double own_us = (double)(watch->end.own_ns - watch->begin.own_ns) / 1000;
    double elapsed = (double)elapsed_us;
    const struct fleet *fleet = context->fleet;
    printf(",\"seconds\":%.3f,\"server_cpu_us_each\":%.3f,\"server_busy\":%.3f,"
           "\"generator_busy\":%.3f,\"failed\":%u,\"broken\":%u,\"why\":\"%s\"}\n",
           elapsed / MICRO, per(server_us, (double)units), per(server_us, elapsed),
           per(own_us, elapsed), fleet->failed, fleet->broken, fleet->first_failure);
    fflush(stdout);
}

/* What a work took: time, and processor time of the server and of ourselves. */
#ifndef BENCH_STOPWATCH_H
#define BENCH_STOPWATCH_H

#include <stdint.h>

#include "shared/process.h"
#include "work.h"

/* What the server and we had used by then. */
struct moment {
    uint64_t at_us;
    struct process_usage server;
    uint64_t own_ns;
};

struct stopwatch {
    struct moment begin;
    struct moment end;
};

/* All zero where no server is measured. */
struct process_usage server_usage(const struct work_context *context);
struct stopwatch stopwatch_start(const struct work_context *context);
/* Returns the time that has passed, in microseconds. */
uint64_t stopwatch_stop(struct stopwatch *watch, const struct work_context *context);

/* The one by the other; 0 where there is nothing to divide by. */
double per(double amount, double count);
/* The members that all works end with, the costs among them for each of `units`; closes the object.
 */
void print_end(const struct work_context *context, const struct stopwatch *watch,
               uint64_t elapsed_us, uint64_t units);

#endif

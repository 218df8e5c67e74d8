/*
 * The works of an audience: somebody else publishes, and starts and stops servers. Whoever does may
 * go by `at` in their lines of JSON: when, in seconds of the monotonic clock, the last client had
 * got what it was to get.
 */
#ifndef BENCH_AUDIENCE_H
#define BENCH_AUDIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "work.h"

bool audience_hear(struct work_context *context, struct work_numbers numbers);
bool audience_join(struct work_context *context, struct work_numbers numbers);
bool audience_trades(struct work_context *context, struct work_numbers numbers);
bool audience_move(struct work_context *context, struct work_numbers numbers);

#endif

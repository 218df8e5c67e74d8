/*
 * How long to wait before what has ended is started again: 100 ms, doubled each time up to 10 s,
 * and 100 ms again after it ran for 30 s.
 */
#ifndef WORKERS_BACKOFF_H
#define WORKERS_BACKOFF_H

#include <stdint.h>

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 10000, BACKOFF_GOOD_RUN_MS = 30000 };

/* All zero to begin with. */
struct backoff {
    uint64_t last_ms; /* what was waited before this run; 0: nothing */
};

/* Milliseconds to wait now, after a run of `ran_ms`. */
uint64_t backoff_next(struct backoff *backoff, uint64_t ran_ms);

#endif

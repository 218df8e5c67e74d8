/*
 * Durations in microseconds, counted in buckets a thirty-second of an octave wide: quantiles are at
 * most three per cent too high, the maximum and the total are exact.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 40 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS]; /* private */
    uint64_t total;                     /* durations counted */
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t us);
/* The duration that a share `q` (0 to 1) of all did not exceed; 0 where nothing was counted. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);

#endif

#include "histogram.h"

#include <stddef.h>

enum { STEP_BITS = 5 };

static size_t bucket_of(uint64_t us)
{
    if (us < HISTOGRAM_STEPS) {
        return us;
    }
    unsigned octave = 63 - (unsigned)__builtin_clzll(us) - STEP_BITS;
    size_t bucket = (octave + 1) * HISTOGRAM_STEPS + ((us >> octave) & (HISTOGRAM_STEPS - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest duration that falls into the bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    size_t octave = bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
    return ((step + 1) << octave) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t us)
{
    histogram->counts[bucket_of(us)]++;
    histogram->total++;
    if (us > histogram->max) {
        histogram->max = us;
    }
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
    uint64_t rank = (uint64_t)((double)histogram->total * q);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > rank) {
            uint64_t end = bucket_end(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}

#include "workers/backoff.h"

uint64_t backoff_next(struct backoff *backoff, uint64_t ran_ms)
{
    uint64_t next = 2 * backoff->last_ms;
    if (next == 0 || ran_ms >= BACKOFF_GOOD_RUN_MS) {
        next = BACKOFF_MIN_MS;
    }
    backoff->last_ms = next < BACKOFF_MAX_MS ? next : BACKOFF_MAX_MS;
    return backoff->last_ms;
}

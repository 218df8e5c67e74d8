/* The two clocks of the program. Tests may replace both. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds that never run backwards; the origin means nothing. */
uint64_t clock_monotonic_ms(void);
/* Microseconds that never run backwards, for measuring durations. */
uint64_t clock_monotonic_us(void);
/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ms(void);

enum { CLOCK_ISO8601_LEN = 24 };
/* "2025-01-16T10:00:00.000Z" and a terminator into `out`. */
void clock_iso8601(int64_t wall_ms, char out[CLOCK_ISO8601_LEN + 1]);

/* Freezes both clocks at the given values until the next call; NULL returns to the real ones. */
struct clock_fake {
    uint64_t monotonic_ms;
    int64_t wall_ms;
};
void clock_set_fake(const struct clock_fake *fake);

#endif

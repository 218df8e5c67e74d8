#include "util/clock.h"

#include <stdio.h>
#include <time.h>

static const struct clock_fake *fake_clock;

void clock_set_fake(const struct clock_fake *fake)
{
    fake_clock = fake;
}

static uint64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_monotonic_us(void)
{
    return fake_clock ? fake_clock->monotonic_ms * 1000 : read_us(CLOCK_MONOTONIC);
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    return fake_clock ? fake_clock->wall_ms : (int64_t)(read_us(CLOCK_REALTIME) / 1000);
}

void clock_iso8601(int64_t wall_ms, char out[CLOCK_ISO8601_LEN + 1])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, CLOCK_ISO8601_LEN + 1, "%.19s.%03uZ", date, (unsigned)(wall_ms % 1000) % 1000);
}

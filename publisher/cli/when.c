#include "publisher/cli/when.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "schema/iso8601.h"
#include "util/attr.h"

enum { DATE_LEN = 19 /* "2025-01-16T10:00:00" */, YEARS_MAX_S = 1000 * 366 * 86400LL };

static int64_t unit_s(char unit)
{
    return unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
}

/* "-2h" */
static bool read_distance(struct str text, int64_t *ret_s)
{
    bool back = text.len > 0 && text.ptr[0] == '-';
    struct str rest = str_skip(text, back || (text.len > 0 && text.ptr[0] == '+'));
    uint64_t number;
    int64_t unit = rest.len > 1 ? unit_s(rest.ptr[rest.len - 1]) : 0;
    if (unit == 0 || str_to_u64(str_range(rest.ptr, rest.len - 1), &number) ||
        number > (uint64_t)(YEARS_MAX_S / unit)) {
        return false;
    }
    *ret_s = (back ? -1 : 1) * (int64_t)number * unit;
    return true;
}

/* "+01:00" */
static int zone_s(const char *sign)
{
    int hours = 0, minutes = 0;
    if (sscanf(sign + 1, "%2d:%2d", &hours, &minutes) != 2) {
        return 0; /* "Z" */
    }
    return (*sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

static bool read_date(struct str text, int64_t *ret_s)
{
    char date[64];
    if (!iso8601_valid(text) || text.len >= sizeof date) {
        return false;
    }
    memcpy(date, text.ptr, text.len);
    date[text.len] = '\0';
    struct tm utc = {0};
    if (!strptime(date, "%Y-%m-%dT%H:%M:%S", &utc)) {
        return false;
    }
    *ret_s = (int64_t)timegm(&utc) - zone_s(date + DATE_LEN + strcspn(date + DATE_LEN, "Z+-"));
    return true;
}

enum err when_parse(struct str text, int64_t now_s, int64_t *ret_s)
{
    uint64_t number;
    int64_t seconds;
    if (str_eq(text, STR("now"))) {
        seconds = now_s;
    } else if (read_distance(text, &seconds)) {
        seconds += now_s;
    } else if (!str_to_u64(text, &number) && number <= (uint64_t)YEARS_MAX_S) {
        seconds = (int64_t)number;
    } else if (!read_date(text, &seconds)) {
        return ERR_INVALID;
    }
    if (seconds < 0) {
        return ERR_INVALID;
    }
    *ret_s = seconds;
    return OK;
}

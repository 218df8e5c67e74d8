#include "schema/iso8601.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void takes_what_exists(void **state)
{
    (void)state;
    static const char *const good[] = {
        "2025-01-16T10:00:00.000Z",       "2025-01-16T10:00:00Z",
        "2024-02-29T23:59:59Z",           "2000-02-29T00:00:00Z",
        "2025-12-31T00:00:00.123456789Z", "2025-01-16T10:00:00+05:30",
        "0001-01-01T00:00:00.5-23:59",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!iso8601_valid(str_from(good[i]))) {
            fail_msg("refused: %s", good[i]);
        }
    }
}

static void refuses_what_does_not(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "now",
        "2025-01-16",
        "2025-01-16T10:00Z",
        "2025-01-16T10:00:00",
        "2025-01-16 10:00:00Z",
        "2025-01-16t10:00:00Z",
        "2025-01-16T10:00:00z",
        "2025-1-16T10:00:00Z",
        "0000-01-16T10:00:00Z",
        "2025-00-16T10:00:00Z",
        "2025-13-16T10:00:00Z",
        "2025-01-00T10:00:00Z",
        "2025-01-32T10:00:00Z",
        "2025-04-31T10:00:00Z",
        "2025-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2025-01-16T24:00:00Z",
        "2025-01-16T10:60:00Z",
        "2025-01-16T10:00:60Z",
        "2025-01-16T10:00:00.Z",
        "2025-01-16T10:00:00.1234567890Z",
        "2025-01-16T10:00:00+0530",
        "2025-01-16T10:00:00+24:00",
        "2025-01-16T10:00:00+05:60",
        "2025-01-16T10:00:00ZZ",
        "+2025-01-16T10:00:00Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (iso8601_valid(str_from(bad[i]))) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_exists),
        cmocka_unit_test(refuses_what_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "publisher/cli/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/attr.h"

enum { NOW = 1737021600 }; /* 2025-01-16T10:00:00Z */

static void expect(const char *text, int64_t seconds)
{
    int64_t found = -1;
    assert_int_equal(when_parse(str_from(text), NOW, &found), OK);
    assert_int_equal(found, seconds);
}

static void reads_all_forms(void **state)
{
    (void)state;
    expect("now", NOW);
    expect("-2h", NOW - 7200);
    expect("+90s", NOW + 90);
    expect("1d", NOW + 86400);
    expect("15m", NOW + 900);
    expect("0", 0);
    expect("1737021600", NOW);
    expect("2025-01-16T10:00:00Z", NOW);
    expect("2025-01-16T10:00:00.999Z", NOW);
    expect("2025-01-16T11:30:00+01:30", NOW);
    expect("2025-01-16T05:00:00.5-05:00", NOW);
}

static void refuses_all_else(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "-",
                                        "h",
                                        "-h",
                                        "1w",
                                        "2025-01-16T10:00:00",
                                        "-1",
                                        "--1h",
                                        "99999999999999999999h",
                                        "1.5h",
                                        "2025-02-30T10:00:00Z",
                                        "1 h",
                                        "-9999999d",
                                        "99999999999999999999",
                                        "nowish"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int64_t found = -1;
        assert_int_equal(when_parse(str_from(texts[i]), NOW, &found), ERR_INVALID);
        assert_int_equal(found, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_forms),
        cmocka_unit_test(refuses_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

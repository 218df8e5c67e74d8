#include "log/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/clock.h"

static char written[16384];

static void keep(struct str line, void *context)
{
    (void)context;
    assert_true(line.len < sizeof written);
    memcpy(written, line.ptr, line.len);
    written[line.len] = '\0';
}

static const struct clock_fake noon = {5000, 1737021600000};

static int begin(void **state)
{
    (void)state;
    clock_set_fake(&noon);
    written[0] = '\0';
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, keep, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    clock_set_fake(NULL);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL, NULL);
    return 0;
}

static void text_lines_quote_what_needs_it(void **state)
{
    (void)state;
    log_info("client connected", LOG_CSTR("sid", "abc"), LOG_CSTR("agent", "a b\"c\n"),
             LOG_U64("n", 7), LOG_I64("d", -7), LOG_BOOL("ok", true));
    assert_string_equal(written,
                        "time=2025-01-16T10:00:00.000Z level=info msg=\"client connected\" sid=abc "
                        "agent=\"a b\\\"c\\n\" n=7 d=-7 ok=true\n");
}

static void a_tag_is_in_every_line(void **state)
{
    (void)state;
    log_set_tag("worker", 3);
    log_info("hello", LOG_U64("n", 7));
    log_set_tag(NULL, 0);
    assert_string_equal(written,
                        "time=2025-01-16T10:00:00.000Z level=info msg=hello worker=3 n=7\n");
}

static void json_lines_are_json(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, keep, NULL);
    log_warn("odd", LOG_STR("bytes", STR("\xff\x01z")), LOG_U64("n", 1));
    assert_string_equal(written, "{\"time\":\"2025-01-16T10:00:00.000Z\",\"level\":\"warn\","
                                 "\"msg\":\"odd\",\"bytes\":\"..z\",\"n\":1}\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    log_debug("hidden", LOG_U64("n", 1));
    assert_string_equal(written, "");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("shown");
    assert_non_null(strstr(written, "msg=shown"));
}

static void endless_values_are_cut(void **state)
{
    (void)state;
    static char big[100000];
    memset(big, 'x', sizeof big - 1);
    log_info("big", LOG_CSTR("value", big), LOG_U64("n", 1));
    assert_true(strlen(written) < 8200);
    assert_true(written[strlen(written) - 1] == '\n');
}

static void a_limit_counts_what_it_leaves_out(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    struct clock_fake now = noon;
    uint32_t suppressed = 99;
    clock_set_fake(&now);
    assert_true(log_limit_allows(&limit, 2, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_allows(&limit, 2, &suppressed));
    assert_false(log_limit_allows(&limit, 2, &suppressed));
    assert_false(log_limit_allows(&limit, 2, &suppressed));
    now.monotonic_ms += 1000;
    assert_true(log_limit_allows(&limit, 2, &suppressed));
    assert_int_equal(suppressed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_lines_quote_what_needs_it, begin, end),
        cmocka_unit_test_setup_teardown(a_tag_is_in_every_line, begin, end),
        cmocka_unit_test_setup_teardown(json_lines_are_json, begin, end),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_written, begin, end),
        cmocka_unit_test_setup_teardown(endless_values_are_cut, begin, end),
        cmocka_unit_test_setup_teardown(a_limit_counts_what_it_leaves_out, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a stranger's program has: the installed headers and the shared library's symbols. */
#include <guesslyfe/events.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void everything_public_links(void **state)
{
    (void)state;
    static const char *const nobody[] = {"REDIS_PORT=1", NULL};
    struct glyfe_publisher *publisher = glyfe_publisher_open(nobody, NULL, 0);
    assert_non_null(publisher);
    assert_string_equal(glyfe_publisher_error(publisher), "");
    glyfe_publisher_set_timeout(publisher, 1000);
    assert_int_equal(glyfe_submit(publisher, "nothing", "{}", NULL, NULL, NULL),
                     GLYFE_ERROR_INVALID);
    assert_int_equal(glyfe_pending(publisher), 0);
    assert_int_equal(glyfe_flush(publisher), GLYFE_OK);
    const struct glyfe_dividend_available dividend = {
        .creator_id = "c",
        .creator_handle = "h",
        .holder = "u",
        .amount = "1",
        .source = GLYFE_DIVIDEND_AVAILABLE_SOURCE_MARKET_FEES,
    };
    enum glyfe_error error = glyfe_publish_dividend_available(publisher, &dividend, NULL, NULL);
    assert_string_equal(glyfe_error_name(error), "unreachable");
    assert_non_null(strstr(glyfe_publisher_error(publisher), "127.0.0.1"));
    glyfe_publisher_close(publisher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_public_links)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"

static void grows_as_needed(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(buf_append_u64(&buf, i), OK);
        assert_int_equal(buf_append_char(&buf, ','), OK);
    }
    assert_int_equal(buf.len, 10 + 90 * 2 + 900 * 3 + 1000);
    assert_true(str_starts(buf_str(&buf), STR("0,1,2,3,4,5,6,7,8,9,10,")));
    buf_fini(&buf);
    assert_int_equal(buf.len, 0);
}

static void never_exceeds_its_limit(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 5);
    assert_int_equal(buf_append(&buf, STR("abcd")), OK);
    assert_int_equal(buf_append(&buf, STR("ef")), ERR_LIMIT);
    assert_int_equal(buf_printf(&buf, "%d", 12), ERR_LIMIT);
    assert_int_equal(buf_printf(&buf, "%d", 1), OK);
    assert_true(str_eq(buf_str(&buf), STR("abcd1")));
    assert_string_equal(buf_cstr(&buf), "abcd1");
    buf_fini(&buf);
}

static void consumes_from_the_front(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    assert_int_equal(buf_append(&buf, STR("hello")), OK);
    buf_consume(&buf, 2);
    assert_true(str_eq(buf_str(&buf), STR("llo")));
    buf_consume(&buf, 9);
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

static void append_or_stay(void *context)
{
    (void)context;
    struct buf buf;
    buf_init(&buf, 0);
    enum err err = buf_printf(&buf, "%s", "some text that is long enough to grow the buffer twice");
    assert_true(err == OK || (err == ERR_NOMEM && buf.len == 0));
    buf_fini(&buf);
}

static void survives_failing_allocation(void **state)
{
    (void)state;
    failing_alloc_each(append_or_stay, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_as_needed),
        cmocka_unit_test(never_exceeds_its_limit),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(survives_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

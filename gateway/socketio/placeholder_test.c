#include "socketio/placeholder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/attr.h"
#include "util/jtext.h"

static void assert_all(const char *const *texts, size_t count, enum err expected)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jtext_check(str_from(texts[i]), 64), OK);
        if (sio_placeholders_check(str_from(texts[i]), 2) != expected) {
            fail_msg("%s", texts[i]);
        }
    }
}

static void numbers_in_range_are_fine(void **state)
{
    (void)state;
    static const char *const good[] = {
        "[]",
        "[{\"_placeholder\":true,\"num\":0}]",
        "[ { \"num\" : 1 , \"_placeholder\" : true } ]",
        "[1,{\"a\":[{\"b\":{\"_placeholder\":true,\"num\":1,\"c\":{\"num\":9}}}]}]",
        "[{\"_placeholder\":true,\"num\":7,\"num\":1}]",
        "[\"_placeholder\",true,\"num\",9]",
    };
    assert_all(good, ARRAY_LEN(good), OK);
}

static void anything_else_as_number_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[{\"_placeholder\":true}]",
        "[{\"_placeholder\":true,\"num\":2}]",
        "[{\"_placeholder\":true,\"num\":-1}]",
        "[{\"_placeholder\":true,\"num\":0.5}]",
        "[{\"_placeholder\":true,\"num\":1e0}]",
        "[{\"_placeholder\":true,\"num\":\"0\"}]",
        "[{\"_placeholder\":true,\"num\":null}]",
        "[{\"_placeholder\":true,\"num\":[0]}]",
        "[{\"_placeholder\":true,\"num\":{\"num\":0}}]",
        "[{\"_placeholder\":true,\"num\":99999999999999999999999}]",
        "[{\"_placeholder\":true,\"num\":0,\"num\":2}]",
        "[{\"\\u005fplaceholder\":true,\"num\":\"splice\"}]",
        "[{\"_placeholder\":true,\"x\":[{\"num\":0}]}]",
        "[[[{\"a\":{\"_placeholder\":true}}]],1]",
    };
    assert_all(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void only_true_makes_a_placeholder(void **state)
{
    (void)state;
    static const char *const good[] = {
        "[{\"_placeholder\":false,\"num\":9}]", "[{\"_placeholder\":\"true\"}]",
        "[{\"_placeholder\":{\"x\":true}}]",    "[{\"_placeholder\":true,\"_placeholder\":1}]",
        "[{\"num\":\"a \\\" _placeholder\"}]",  "true",
    };
    assert_all(good, ARRAY_LEN(good), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_range_are_fine),
        cmocka_unit_test(anything_else_as_number_is_refused),
        cmocka_unit_test(only_true_makes_a_placeholder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "util/jtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const good[] = {
    "0",
    "-0",
    "1.5e+10",
    "-12E3",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    "\"\"",
    " { } ",
    "[]",
    "[[],{}]",
    "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"a\":1}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\"",
    "\"\\ud800\"",
    "\"\xe2\x82\xac\"",
    "\t[1 ,\n2\r]\n",
};

static const char *const bad[] = {
    "",
    " ",
    "01",
    "1.",
    ".5",
    "1e",
    "+1",
    "-",
    "tru",
    "True",
    "nul",
    "\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12g4\"",
    "\"\n\"",
    "\"\x1e\"",
    "[",
    "]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{",
    "{1:2}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1 \"b\":2}",
    "[1}",
    "{\"a\":1]",
    "1 2",
    "[]]",
    "\"\xff\"",
    "\xe2",
    "'a'",
    "[1]x",
    "NaN",
    "{\"a\":1,[]}",
};

static void checks_the_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(jtext_check(str_from(good[i]), 16), OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(jtext_check(str_from(bad[i]), 16), ERR_PROTO);
    }
    assert_int_equal(jtext_check(STR("\"a\0b\""), 16), ERR_PROTO);
}

static void no_prefix_of_a_bracketed_text_is_whole(void **state)
{
    (void)state;
    struct str text = STR("{\"a\":[1,\"x\\u0041\",{\"b\":null}],\"c\":-1.5e3}");
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(jtext_check(str_range(text.ptr, len), 16), ERR_PROTO);
    }
    assert_int_equal(jtext_check(text, 16), OK);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    static char deep[200000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(jtext_check(str_range(deep, sizeof deep), 64), ERR_LIMIT);
    assert_int_equal(jtext_check(str_range(deep, sizeof deep), 1000000), ERR_LIMIT);
    assert_int_equal(jtext_check(STR("[[1]]"), 2), OK);
    assert_int_equal(jtext_check(STR("[[1]]"), 1), ERR_LIMIT);
    assert_int_equal(jtext_check(STR("[[]]"), 1), ERR_LIMIT);
    assert_int_equal(jtext_check(STR("1"), 0), OK);
    memset(deep, ']', sizeof deep);
    memset(deep, '[', 1024);
    assert_int_equal(jtext_check(str_range(deep, 2048), 1024), OK);
}

static void walks_elements_and_members(void **state)
{
    (void)state;
    struct jtext_walk walk;
    struct str key, value;
    jtext_walk(&walk, STR(" [ 1 , \"a,]\\\"\" , {\"x\":[2,3]} ] "));
    assert_true(jtext_next(&walk, &key, &value));
    assert_true(str_eq(value, STR("1")) && key.len == 0);
    assert_true(jtext_next(&walk, NULL, &value));
    assert_true(str_eq(value, STR("\"a,]\\\"\"")));
    assert_true(jtext_next(&walk, NULL, &value));
    assert_true(str_eq(value, STR("{\"x\":[2,3]}")));
    assert_false(jtext_next(&walk, NULL, &value));

    jtext_walk(&walk, STR("{ \"a:b\" : {\"c\":1} , \"d\":[]}"));
    assert_true(jtext_next(&walk, &key, &value));
    assert_true(str_eq(key, STR("a:b")) && str_eq(value, STR("{\"c\":1}")));
    assert_true(jtext_next(&walk, &key, &value));
    assert_true(str_eq(key, STR("d")) && str_eq(value, STR("[]")));
    assert_false(jtext_next(&walk, &key, &value));
}

static void the_last_of_equal_members_counts(void **state)
{
    (void)state;
    struct str object = STR("{\"a\":1,\"\\u0061\":2,\"b\":3}");
    assert_true(str_eq(jtext_member(object, STR("a")), STR("2")));
    assert_int_equal(jtext_kind(jtext_member(object, STR("c"))), JTEXT_NONE);
}

static void unescapes_and_quotes(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(jtext_unescape(STR("\"a\\n\\u20ac\\ud83d\\ude00\\/\""), &out), OK);
    assert_true(str_eq(buf_str(&out), STR("a\n\xe2\x82\xac\xf0\x9f\x98\x80/")));
    buf_clear(&out);
    assert_int_equal(jtext_unescape(STR("\"ab\\ud800x\""), &out), ERR_INVALID);
    assert_int_equal(out.len, 0);
    assert_int_equal(jtext_quote(STR("a\"\\\n\x01z"), &out), OK);
    assert_true(str_eq(buf_str(&out), STR("\"a\\\"\\\\\\n\\u0001z\"")));
    buf_fini(&out);
}

static void keys_are_compared_by_meaning(void **state)
{
    (void)state;
    assert_true(jtext_is(STR("room"), STR("room")));
    assert_true(jtext_is(STR("\\u0072oom"), STR("room")));
    assert_false(jtext_is(STR("roo"), STR("room")));
    assert_false(jtext_is(STR("rooms"), STR("room")));
    assert_false(jtext_is(STR("\\ud800"), STR("room")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_the_grammar),
        cmocka_unit_test(no_prefix_of_a_bracketed_text_is_whole),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(walks_elements_and_members),
        cmocka_unit_test(the_last_of_equal_members_counts),
        cmocka_unit_test(unescapes_and_quotes),
        cmocka_unit_test(keys_are_compared_by_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

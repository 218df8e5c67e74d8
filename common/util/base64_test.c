#include "util/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 4648 section 10. */
static const struct {
    struct str plain, encoded;
} vectors[] = {
    {{"", 0}, {"", 0}},
    {{"f", 1}, {"Zg==", 4}},
    {{"fo", 2}, {"Zm8=", 4}},
    {{"foo", 3}, {"Zm9v", 4}},
    {{"foob", 4}, {"Zm9vYg==", 8}},
    {{"fooba", 5}, {"Zm9vYmE=", 8}},
    {{"foobar", 6}, {"Zm9vYmFy", 8}},
    {{"\x00\xff\x80", 3}, {"AP+A", 4}},
};

static void both_ways(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        buf_clear(&out);
        assert_int_equal(base64_encode(vectors[i].plain, &out), OK);
        assert_true(str_eq(buf_str(&out), vectors[i].encoded));
        buf_clear(&out);
        assert_int_equal(base64_decode(vectors[i].encoded, &out), OK);
        assert_true(str_eq(buf_str(&out), vectors[i].plain));
    }
    buf_fini(&out);
}

static void line_breaks_are_skipped(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(base64_decode(STR("Zm9v\r\nYmFy\n"), &out), OK);
    assert_true(str_eq(buf_str(&out), STR("foobar")));
    buf_fini(&out);
}

static void malformed_text_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg===", "=",        "Zm9v=",
                                      "Z=g=", "Zh==", "Zm9=", "Zm 9v", "Zg==Zg==", "Zm9\x80"};
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(base64_decode(str_from(bad[i]), &out), ERR_INVALID);
        assert_int_equal(out.len, 0);
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(line_breaks_are_skipped),
        cmocka_unit_test(malformed_text_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

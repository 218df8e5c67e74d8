#include "bus/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define assert_str(got, literal) assert_true(str_eq((got), STR(literal)))

static void test_all_fields(void **state)
{
    (void)state;
    struct bus_envelope envelope;
    struct str text =
        STR("1700000000000001 1699999999999999 market:trade market:1,user:0xab\n{\"a\":\n1}");
    assert_int_equal(bus_envelope_parse(text, &envelope), OK);
    assert_int_equal(envelope.id, 1700000000000001);
    assert_int_equal(envelope.previous, 1699999999999999);
    assert_str(envelope.event, "market:trade");
    assert_int_equal(envelope.room_count, 2);
    assert_str(envelope.rooms[0], "market:1");
    assert_str(envelope.rooms[1], "user:0xab");
    assert_str(envelope.payload, "{\"a\":\n1}");
}

static void test_plain_publish(void **state)
{
    (void)state;
    struct bus_envelope envelope;
    assert_int_equal(bus_envelope_parse(STR("0 0 market:trade market:1\n"), &envelope), OK);
    assert_int_equal(envelope.id, 0);
    assert_int_equal(envelope.payload.len, 0);
}

static void test_malformed_headers(void **state)
{
    (void)state;
    static const struct str bad[] = {
        {"", 0},
        {"\n", 1},
        {"0 0 e r", 7},
        {"0 0 e\n", 6},
        {"0 0 e \n", 7},
        {"0 0  r\n", 7},
        {"0  0 e r\n", 9},
        {" 0 0 e r\n", 9},
        {"0 0 e r \n", 9},
        {"0 0 e r x\n", 10},
        {"0 0 e r,\n", 9},
        {"0 0 e ,r\n", 9},
        {"-1 0 e r\n", 9},
        {"x 0 e r\n", 8},
        {"0 18446744073709551616 e r\n", 27},
        {"0 0 e r\r\n", 9},
        {"0 0 e\0 r\n", 9},
        {"0 0 \xc3\xa9 r\n", 9},
        {"{\"type\":\"market:trade\"}\n", 24},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct bus_envelope envelope = {.id = 7};
        if (bus_envelope_parse(bad[i], &envelope) != ERR_PROTO) {
            fail_msg("case %zu was taken", i);
        }
        assert_int_equal(envelope.id, 7);
    }
}

/* Each prefix of a message lies at the end of its own allocation, for the sanitizer to see. */
static void test_every_prefix(void **state)
{
    (void)state;
    struct str text = STR("12 11 market:trade market:1,user:x\n{}");
    for (size_t len = 0; len <= text.len; len++) {
        char *copy = malloc(len + !len);
        assert_non_null(copy);
        memcpy(copy, text.ptr, len);
        struct bus_envelope envelope;
        enum err expected = len > text.len - 3 ? OK : ERR_PROTO;
        assert_int_equal(bus_envelope_parse((struct str){copy, len}, &envelope), expected);
        free(copy);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct bus_envelope envelope;
    assert_int_equal(bus_envelope_parse(STR("0 0 e 1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g\n"), &envelope),
                     OK);
    assert_int_equal(envelope.room_count, BUS_ENVELOPE_ROOMS_MAX);
    assert_int_equal(
        bus_envelope_parse(STR("0 0 e 1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h\n"), &envelope), ERR_LIMIT);
    static char large[BUS_PAYLOAD_MAX + 9] = "0 0 e r\n";
    assert_int_equal(bus_envelope_parse((struct str){large, sizeof large - 1}, &envelope), OK);
    assert_int_equal(bus_envelope_parse((struct str){large, sizeof large}, &envelope), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fields),
        cmocka_unit_test(test_plain_publish),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

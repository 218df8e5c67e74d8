#include "socketio/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

static const struct sio_packet_limits limits = {.max_attachments = 10, .max_depth = 16};

static enum err parse(const char *text, struct sio_packet *ret_packet)
{
    return sio_packet_parse(str_from(text), &limits, ret_packet);
}

static struct sio_packet parsed(const char *text)
{
    struct sio_packet packet;
    assert_int_equal(parse(text, &packet), OK);
    return packet;
}

static void assert_str(struct str actual, const char *expected)
{
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.ptr, expected, actual.len);
}

static void assert_refused(const char *const *texts, size_t count, enum err expected)
{
    for (size_t i = 0; i < count; i++) {
        struct sio_packet packet;
        if (parse(texts[i], &packet) != expected) {
            fail_msg("%s", texts[i]);
        }
    }
}

static void connect_has_an_object_or_nothing(void **state)
{
    (void)state;
    struct sio_packet packet = parsed("0");
    assert_int_equal(packet.type, SIO_CONNECT);
    assert_str(packet.namespace_name, "/");
    assert_str(packet.payload, "");
    assert_str(parsed("0{\"token\":\"1\"}").payload, "{\"token\":\"1\"}");
    static const char *const bad[] = {"0null", "0[]", "0\"x\"", "0{", "0{}{}", "01{}"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void namespace_ends_at_the_comma_or_at_the_end(void **state)
{
    (void)state;
    assert_str(parsed("0/custom").namespace_name, "/custom");
    struct sio_packet packet = parsed("0/custom,{\"a\":1}");
    assert_str(packet.namespace_name, "/custom");
    assert_str(packet.payload, "{\"a\":1}");
    assert_str(parsed("0/,").namespace_name, "/");
}

static void query_of_a_namespace_is_left_out(void **state)
{
    (void)state;
    struct sio_packet packet = parsed("0/custom?token=a,{}");
    assert_str(packet.namespace_name, "/custom");
    assert_str(packet.payload, "{}");
    assert_str(parsed("0/?a=b").namespace_name, "/");
}

static void namespace_is_short_clean_utf8(void **state)
{
    (void)state;
    char text[SIO_NAMESPACE_MAX + 3] = "0/";
    memset(text + 2, 'n', SIO_NAMESPACE_MAX - 1);
    assert_int_equal(parsed(text).namespace_name.len, SIO_NAMESPACE_MAX);
    text[SIO_NAMESPACE_MAX + 1] = 'n';
    const char *const bad[] = {text, "0/a\x1e,", "0/\x7f", "0/\xff", "0/\xc3,"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void event_is_cut_into_name_and_arguments(void **state)
{
    (void)state;
    struct sio_packet packet = parsed("2[\"message\", 1 ,\"2\",{\"3\":[true]} ]");
    assert_int_equal(packet.type, SIO_EVENT);
    assert_str(packet.event, "\"message\"");
    assert_str(packet.args, "1 ,\"2\",{\"3\":[true]}");
    assert_int_equal(packet.arg_count, 3);
    assert_false(packet.has_id);
    packet = parsed("2[\"x\"]");
    assert_str(packet.args, "");
    assert_int_equal(packet.arg_count, 0);
    assert_str(parsed("2[12,null]").event, "12");
}

static void event_needs_an_array_with_a_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "2",           "2{}",         "2[]",
        "2[null]",     "2[{}]",       "2[{\"toString\":\"x\"}]",
        "2[[]]",       "2[true]",     "2\"x\"",
        "2[\"x\"",     "2[\"x\"]]",   "2abc[\"x\"]",
        "2[\"x\",]",   "2/a[\"x\"]",  "2 7[\"x\"]",
        "2[\"\xff\"]", "2[\"\x1e\"]",
    };
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void reserved_names_are_refused_however_they_are_written(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "2[\"connect\"]",       "2[\"connect_error\"]", "2[\"disconnect\"]",
        "2[\"disconnecting\"]", "2[\"newListener\"]",   "2[\"removeListener\"]",
        "2[\"\\u0063onnect\"]", "50-[\"connect\"]",
    };
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
    assert_str(parsed("2[\"error\"]").event, "\"error\"");
    assert_str(parsed("2[\"connected\"]").event, "\"connected\"");
}

static void ack_id_has_fifteen_digits_at_most(void **state)
{
    (void)state;
    struct sio_packet packet = parsed("2/a,999999999999999[\"x\"]");
    assert_true(packet.has_id);
    assert_int_equal(packet.id, 999999999999999);
    assert_true(parsed("20[\"x\"]").has_id);
    static const char *const bad[] = {"21000000000000000[\"x\"]", "2-1[\"x\"]", "2 1[\"x\"]"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void ack_needs_an_id_and_an_array(void **state)
{
    (void)state;
    struct sio_packet packet = parsed("37[]");
    assert_int_equal(packet.type, SIO_ACK);
    assert_int_equal(packet.id, 7);
    assert_int_equal(packet.arg_count, 0);
    assert_int_equal(parsed("37[{},1]").arg_count, 2);
    static const char *const bad[] = {"3[]", "37", "37{}", "60-[]", "61-7{}"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void disconnect_says_nothing_else(void **state)
{
    (void)state;
    assert_str(parsed("1/custom").namespace_name, "/custom");
    static const char *const bad[] = {"1{}", "11", "1/custom,{}"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void unknown_types_and_those_of_servers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "abc", "7", "9[]", "-", " 2[\"x\"]", "4{\"message\":\"x\"}"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void attachments_are_counted_before_anything_else(void **state)
{
    (void)state;
    struct sio_packet packet = parsed("52-/a,7[\"x\",{\"_placeholder\":true,\"num\":1}]");
    assert_int_equal(packet.type, SIO_BINARY_EVENT);
    assert_int_equal(packet.attachments, 2);
    assert_int_equal(packet.id, 7);
    assert_int_equal(parsed("510-[\"x\"]").attachments, 10);
    assert_int_equal(parsed("50-[\"x\"]").attachments, 0);
    static const char *const many[] = {"511-[\"x\"]", "599999999999999999999999-[\"x\"]",
                                       "54294967296-"};
    assert_refused(many, ARRAY_LEN(many), ERR_LIMIT);
    static const char *const bad[] = {"5-[\"x\"]", "51[\"x\"]",
                                      "5[\"x\"]",  "5+1-[\"x\"]",
                                      "51",        "51-[\"x\",{\"_placeholder\":true,\"num\":1}]"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_PROTO);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    parsed("2[\"x\",[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
    static const char *const bad[] = {"2[\"x\",[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"};
    assert_refused(bad, ARRAY_LEN(bad), ERR_LIMIT);
}

static void three_hundred_thousand_arguments_are_a_number(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    char *text = malloc(6 + 2 * (size_t)COUNT);
    assert_non_null(text);
    memcpy(text, "2[\"x\"", 5);
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(text + 5 + 2 * i, ",1", 2);
    }
    text[5 + 2 * COUNT] = ']';
    struct sio_packet packet;
    assert_int_equal(sio_packet_parse(str_range(text, 6 + 2 * COUNT), &limits, &packet), OK);
    assert_int_equal(packet.arg_count, COUNT);
    free(text);
}

static void begins_are_written_as_they_are_read(void **state)
{
    (void)state;
    struct buf out;
    uint64_t id = 12;
    buf_init(&out, 0);
    assert_int_equal(sio_packet_begin(SIO_EVENT, 0, STR("/"), NULL, &out), OK);
    assert_str(buf_str(&out), "2");
    buf_clear(&out);
    assert_int_equal(sio_packet_begin(SIO_BINARY_ACK, 3, STR("/custom"), &id, &out), OK);
    assert_str(buf_str(&out), "63-/custom,12");
    buf_fini(&out);
}

static void begin_without_memory(void *context)
{
    (void)context;
    struct buf out;
    buf_init(&out, 0);
    enum err err = sio_packet_begin(SIO_CONNECT, 0, STR("/custom"), NULL, &out);
    assert_true(err == OK || (err == ERR_NOMEM && out.len == 0));
    buf_fini(&out);
}

static void begin_is_all_or_nothing(void **state)
{
    (void)state;
    failing_alloc_each(begin_without_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_has_an_object_or_nothing),
        cmocka_unit_test(namespace_ends_at_the_comma_or_at_the_end),
        cmocka_unit_test(query_of_a_namespace_is_left_out),
        cmocka_unit_test(namespace_is_short_clean_utf8),
        cmocka_unit_test(event_is_cut_into_name_and_arguments),
        cmocka_unit_test(event_needs_an_array_with_a_name),
        cmocka_unit_test(reserved_names_are_refused_however_they_are_written),
        cmocka_unit_test(ack_id_has_fifteen_digits_at_most),
        cmocka_unit_test(ack_needs_an_id_and_an_array),
        cmocka_unit_test(disconnect_says_nothing_else),
        cmocka_unit_test(unknown_types_and_those_of_servers_are_refused),
        cmocka_unit_test(attachments_are_counted_before_anything_else),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(three_hundred_thousand_arguments_are_a_number),
        cmocka_unit_test(begins_are_written_as_they_are_read),
        cmocka_unit_test(begin_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "engineio/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "util/base64.h"

static void a_packet_is_a_digit_and_data(void **state)
{
    (void)state;
    struct eio_packet packet;
    assert_int_equal(eio_packet_parse(STR("4hello"), &packet), OK);
    assert_int_equal(packet.type, EIO_PACKET_MESSAGE);
    assert_false(packet.binary);
    assert_true(str_eq(packet.data, STR("hello")));
    assert_int_equal(eio_packet_parse(STR("6"), &packet), OK);
    assert_int_equal(packet.type, EIO_PACKET_NOOP);
    assert_int_equal(packet.data.len, 0);
}

static void other_first_bytes_are_no_packet(void **state)
{
    (void)state;
    struct eio_packet packet = {.type = EIO_PACKET_OPEN};
    const struct str bad[] = {STR(""), STR("7"), STR("/"), STR("abc"), STR("\xff"), STR("bAQID")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(eio_packet_parse(bad[i], &packet), ERR_PROTO);
        assert_int_equal(packet.type, EIO_PACKET_OPEN);
    }
}

/* What was encoded is a whole frame, and its tail the packet. */
static void check_encoded(struct rcbuf *encoded, struct str frame, struct str payload, bool binary)
{
    assert_non_null(encoded);
    bool is_binary = !binary;
    assert_true(str_eq(rcbuf_str(encoded), frame));
    assert_true(str_eq(eio_encoded_payload(encoded, &is_binary), payload));
    assert_int_equal(is_binary, binary);
    rcbuf_unref(&encoded);
}

static void an_encoded_packet_serves_both_transports(void **state)
{
    (void)state;
    check_encoded(eio_encode_text(STR("hi")),
                  STR("\x81\x03"
                      "4hi"),
                  STR("4hi"), false);
    check_encoded(eio_encode_pieces((struct str[]){STR("a"), STR("b"), STR("c")}, 3),
                  STR("\x81\x04"
                      "4abc"),
                  STR("4abc"), false);
    check_encoded(eio_encode(EIO_PACKET_PING, STR("")),
                  STR("\x81\x01"
                      "2"),
                  STR("2"), false);
    check_encoded(eio_encode_binary(STR("\x01\x02")), STR("\x82\x02\x01\x02"), STR("\x01\x02"),
                  true);
    check_encoded(eio_encode_binary(STR("")), STR("\x82\x00"), STR(""), true);
}

static void long_packets_keep_their_tail(void **state)
{
    (void)state;
    const size_t lengths[] = {124, 125, 126, 65534, 65535, 65536};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        char *text = malloc(lengths[i]);
        assert_non_null(text);
        memset(text, 'x', lengths[i]);
        struct rcbuf *encoded = eio_encode_text(str_range(text, lengths[i]));
        bool binary = true;
        struct str payload = eio_encoded_payload(encoded, &binary);
        assert_int_equal(payload.len, lengths[i] + 1);
        assert_int_equal(payload.ptr[0], '4');
        assert_int_equal(eio_payload_size(encoded), payload.len);
        rcbuf_unref(&encoded);
        free(text);
    }
}

/* Walks the body and writes what it found: type, 'b' for bytes, data, ';'. `!` for PROTO. */
static void check_walk(struct str body, struct str wanted)
{
    struct buf found, scratch;
    struct eio_packet packet;
    enum err err = OK;
    buf_init(&found, 0);
    buf_init(&scratch, 0);
    while (eio_payload_next(&body, &scratch, &packet, &err)) {
        assert_int_equal(buf_append_char(&found, (char)packet.type), OK);
        if (packet.binary) {
            assert_int_equal(buf_append_char(&found, 'b'), OK);
        }
        assert_int_equal(buf_append(&found, packet.data), OK);
        assert_int_equal(buf_append_char(&found, ';'), OK);
        buf_clear(&scratch);
    }
    if (err) {
        assert_int_equal(err, ERR_PROTO);
        assert_int_equal(buf_append_char(&found, '!'), OK);
    }
    assert_true(str_eq(buf_str(&found), wanted));
    buf_fini(&scratch);
    buf_fini(&found);
}

static void bodies_are_split_at_0x1e(void **state)
{
    (void)state;
    check_walk(STR("4one"), STR("4one;"));
    check_walk(STR("4one\x1e"
                   "3\x1e"
                   "4two"),
               STR("4one;3;4two;"));
    check_walk(STR("4hello\x1e"
                   "bAQIDBA=="),
               STR("4hello;4b\x01\x02\x03\x04;"));
    check_walk(STR("b"), STR("4b;"));
}

static void base64_may_hold_line_breaks(void **state)
{
    (void)state;
    check_walk(STR("bAQ\nID\r\nBA==\n"), STR("4b\x01\x02\x03\x04;"));
}

static void the_walk_ends_at_what_is_malformed(void **state)
{
    (void)state;
    check_walk(STR(""), STR("!"));
    check_walk(STR("4one\x1e"), STR("4one;!"));
    check_walk(STR("4one\x1e"
                   "x\x1e"
                   "4two"),
               STR("4one;!"));
    check_walk(STR("b!"), STR("!"));
    check_walk(STR("bAQ"), STR("!"));
    check_walk(STR("4\xc3"), STR("!"));
}

static void packets_are_counted_before_they_are_read(void **state)
{
    (void)state;
    assert_int_equal(eio_payload_count(STR("")), 1);
    assert_int_equal(eio_payload_count((struct str){0}), 1);
    assert_int_equal(eio_payload_count(STR("4a")), 1);
    assert_int_equal(eio_payload_count(STR("4a\x1e"
                                           "4b")),
                     2);
    assert_int_equal(eio_payload_count(STR("\x1e\x1e")), 3);
}

static void answers_are_joined_and_bytes_become_base64(void **state)
{
    (void)state;
    struct rcbuf *text = eio_encode_text(STR("hi"));
    struct rcbuf *bytes = eio_encode_binary(STR("\x01\x02\x03\x04"));
    struct buf body;
    buf_init(&body, 0);
    assert_int_equal(eio_payload_append(&body, text), OK);
    assert_int_equal(eio_payload_append(&body, bytes), OK);
    assert_true(str_eq(buf_str(&body), STR("4hi\x1e"
                                           "bAQIDBA==")));
    assert_int_equal(eio_payload_size(text) + 1 + eio_payload_size(bytes), body.len);
    body.limit = body.len + 3;
    assert_int_equal(eio_payload_append(&body, bytes), ERR_LIMIT);
    assert_true(str_eq(buf_str(&body), STR("4hi\x1e"
                                           "bAQIDBA==")));
    buf_fini(&body);
    rcbuf_unref(&bytes);
    rcbuf_unref(&text);
}

static void step(void *context)
{
    (void)context;
    struct buf body, scratch;
    struct eio_packet packet;
    buf_init(&body, 0);
    buf_init(&scratch, 0);
    struct rcbuf *bytes = eio_encode_binary(STR("\x01\x02"));
    if (bytes && eio_payload_append(&body, bytes)) {
        assert_int_equal(body.len, 0);
    }
    rcbuf_unref(&bytes);
    struct str rest = STR("bAQI=");
    enum err err = OK;
    if (!eio_payload_next(&rest, &scratch, &packet, &err)) {
        assert_int_equal(err, ERR_NOMEM);
    }
    buf_fini(&scratch);
    buf_fini(&body);
}

static void without_memory_nothing_is_half_done(void **state)
{
    (void)state;
    failing_alloc_each(step, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_a_digit_and_data),
        cmocka_unit_test(other_first_bytes_are_no_packet),
        cmocka_unit_test(an_encoded_packet_serves_both_transports),
        cmocka_unit_test(long_packets_keep_their_tail),
        cmocka_unit_test(bodies_are_split_at_0x1e),
        cmocka_unit_test(base64_may_hold_line_breaks),
        cmocka_unit_test(the_walk_ends_at_what_is_malformed),
        cmocka_unit_test(packets_are_counted_before_they_are_read),
        cmocka_unit_test(answers_are_joined_and_bytes_become_base64),
        cmocka_unit_test(without_memory_nothing_is_half_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

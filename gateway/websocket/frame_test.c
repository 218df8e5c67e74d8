#include "websocket/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

/* The header at the end of a heap block, so that a sanitizer sees any over-read. */
static enum err parse(struct str bytes, struct ws_frame_header *header)
{
    char *exact = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes.ptr, bytes.len);
    enum err err = ws_frame_parse(str_range(exact, bytes.len), header);
    free(exact);
    return err;
}

static void check_every_prefix_wants_more(struct str whole)
{
    struct ws_frame_header header;
    for (size_t n = 0; n < whole.len; n++) {
        assert_int_equal(parse(str_range(whole.ptr, n), &header), ERR_AGAIN);
    }
    assert_int_equal(parse(whole, &header), OK);
    assert_int_equal(header.size, whole.len);
}

static void headers_are_read_whole_and_byte_by_byte(void **state)
{
    (void)state;
    check_every_prefix_wants_more(STR("\x81\x05"));
    check_every_prefix_wants_more(STR("\x81\x85\x01\x02\x03\x04"));
    check_every_prefix_wants_more(STR("\x82\xfe\x01\x00\x01\x02\x03\x04"));
    check_every_prefix_wants_more(STR("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04"));
}

static void fields_are_told(void **state)
{
    (void)state;
    struct ws_frame_header header;
    assert_int_equal(parse(STR("\x01\xfe\x01\x02\x0a\x0b\x0c\x0d"), &header), OK);
    assert_false(header.fin);
    assert_true(header.masked);
    assert_int_equal(header.opcode, WS_TEXT);
    assert_int_equal(header.length, 258);
    assert_memory_equal(header.mask, "\x0a\x0b\x0c\x0d", 4);
    assert_int_equal(header.size, 8);
}

static void refuses(struct str bytes)
{
    struct ws_frame_header header = {.size = 77};
    assert_int_equal(parse(bytes, &header), ERR_PROTO);
    assert_int_equal(header.size, 77);
}

static void reserved_bits_and_opcodes_are_refused_at_the_first_byte(void **state)
{
    (void)state;
    refuses(STR("\xc1"));
    refuses(STR("\xa1"));
    refuses(STR("\x91"));
    refuses(STR("\x83"));
    refuses(STR("\x87"));
    refuses(STR("\x8b"));
    refuses(STR("\x8f\x80"));
}

static void control_frames_are_short_and_whole(void **state)
{
    (void)state;
    refuses(STR("\x09"));
    refuses(STR("\x08\x80"));
    refuses(STR("\x89\xfe"));
    refuses(STR("\x8a\x7f"));
    struct ws_frame_header header;
    assert_int_equal(parse(STR("\x89\x7d"), &header), OK);
    assert_int_equal(header.length, WS_CONTROL_MAX);
}

static void only_the_shortest_length_is_taken(void **state)
{
    (void)state;
    refuses(STR("\x82\x7e\x00\x7d"));
    refuses(STR("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"));
    struct ws_frame_header header;
    assert_int_equal(parse(STR("\x82\x7e\x00\x7e"), &header), OK);
    assert_int_equal(header.length, 126);
}

static void the_top_bit_of_a_length_is_zero(void **state)
{
    (void)state;
    refuses(STR("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"));
    struct ws_frame_header header;
    assert_int_equal(parse(STR("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), &header), OK);
    assert_true(header.length == INT64_MAX);
}

static void unmasking_in_pieces_is_unmasking_at_once(void **state)
{
    (void)state;
    const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    char plain[67], whole[67], pieces[67];
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (char)(i * 7);
        whole[i] = pieces[i] = (char)(plain[i] ^ mask[i % 4]);
    }
    ws_unmask(whole, sizeof whole, mask, 0);
    assert_memory_equal(whole, plain, sizeof plain);
    for (size_t at = 0, step = 1; at < sizeof pieces; at += step, step = step % 13 + 1) {
        step = step < sizeof pieces - at ? step : sizeof pieces - at;
        ws_unmask(pieces + at, step, mask, at);
    }
    assert_memory_equal(pieces, plain, sizeof plain);
}

static void encoded_headers_are_read_back(void **state)
{
    (void)state;
    const uint64_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 1u << 31, (uint64_t)1 << 40};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        char out[WS_SERVER_HEADER_MAX];
        size_t size = ws_header_encode(WS_BINARY, lengths[i], out);
        struct ws_frame_header header;
        assert_int_equal(parse(str_range(out, size), &header), OK);
        assert_true(header.fin && !header.masked && header.opcode == WS_BINARY);
        assert_true(header.length == lengths[i] && header.size == size);
    }
}

static void a_frame_is_header_and_payload(void **state)
{
    (void)state;
    struct rcbuf *frame = ws_frame_encode(WS_TEXT, STR("Hello")); /* section 5.7 */
    assert_non_null(frame);
    assert_int_equal(frame->len, 7);
    assert_memory_equal(frame->data, "\x81\x05Hello", 7);
    rcbuf_unref(&frame);
    failing_alloc_at(0);
    assert_null(ws_frame_encode(WS_TEXT, STR("Hello")));
    assert_true(failing_alloc_hit());
}

static void close_codes_that_a_peer_may_send(void **state)
{
    (void)state;
    const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999};
    const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(ws_close_code_valid(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(ws_close_code_valid(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_whole_and_byte_by_byte),
        cmocka_unit_test(fields_are_told),
        cmocka_unit_test(reserved_bits_and_opcodes_are_refused_at_the_first_byte),
        cmocka_unit_test(control_frames_are_short_and_whole),
        cmocka_unit_test(only_the_shortest_length_is_taken),
        cmocka_unit_test(the_top_bit_of_a_length_is_zero),
        cmocka_unit_test(unmasking_in_pieces_is_unmasking_at_once),
        cmocka_unit_test(encoded_headers_are_read_back),
        cmocka_unit_test(a_frame_is_header_and_payload),
        cmocka_unit_test(close_codes_that_a_peer_may_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "websocket/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "fake_conn.h"
#include "util/buf.h"

enum { MAX_MESSAGE = 1000 };

/* A stream on a connection without a socket, and what its owner was told. */
struct peer {
    struct ws_stream stream;
    struct net_conn *conn;
    struct buf log; /* "T<text>|B<bytes>|X<code>|" */
    bool close_on_message;
};

static void note(struct peer *peer, char kind, struct str text)
{
    if (buf_append_char(&peer->log, kind) || buf_append(&peer->log, text) ||
        buf_append_char(&peer->log, '|')) {
        return; /* the test is failing allocations */
    }
}

static void on_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload)
{
    struct peer *peer = container_of(stream, struct peer, stream);
    note(peer, opcode == WS_TEXT ? 'T' : 'B', payload);
    if (peer->close_on_message) {
        ws_stream_close(stream, WS_GOING_AWAY);
    }
}

static void on_close(struct ws_stream *stream, unsigned code, enum net_close_reason reason)
{
    struct peer *peer = container_of(stream, struct peer, stream);
    char text[16];
    (void)reason;
    snprintf(text, sizeof text, "%u", code);
    note(peer, 'X', str_from(text));
}

static const struct ws_stream_ops ops = {.on_message = on_message, .on_close = on_close};

static void peer_open(struct peer *peer)
{
    *peer = (struct peer){.conn = fake_conn_new()};
    buf_init(&peer->log, 0);
    ws_stream_init(&peer->stream, peer->conn, &ops, MAX_MESSAGE);
    net_conn_set_owner(peer->conn, &ws_net_ops, &peer->stream);
}

static void peer_fini(struct peer *peer)
{
    if (peer->conn) {
        fake_conn_end(peer->conn);
    }
    assert_null(peer->stream.conn);
    assert_null(peer->stream.assembly);
    buf_fini(&peer->log);
}

/* Appends a masked frame: `first` is FIN and opcode, as on the wire. */
static void put(struct buf *out, unsigned first, struct str payload)
{
    static const unsigned char mask[4] = {0x11, 0x22, 0x33, 0x44};
    char head[WS_SERVER_HEADER_MAX];
    size_t size = ws_header_encode(WS_TEXT, payload.len, head);
    head[0] = (char)first;
    head[1] = (char)(head[1] | 0x80);
    assert_int_equal(buf_append(out, str_range(head, size)), OK);
    assert_int_equal(buf_append(out, str_range((const char *)mask, 4)), OK);
    assert_int_equal(buf_append(out, payload), OK);
    ws_unmask(out->data + out->len - payload.len, payload.len, mask, 0);
}

static void feed_in_pieces(struct peer *peer, struct str bytes, size_t piece)
{
    for (size_t at = 0; at < bytes.len; at += piece) {
        size_t n = piece < bytes.len - at ? piece : bytes.len - at;
        fake_conn_feed(peer->conn, str_range(bytes.ptr + at, n));
    }
}

/* Whole, in all small pieces and byte by byte: always the same log and the same bytes sent. */
static void check(const struct buf *in, struct str log, struct str sent)
{
    const size_t pieces[] = {1, 2, 3, 5, 7, 11, 130, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct peer peer;
        peer_open(&peer);
        feed_in_pieces(&peer, buf_str(in), pieces[i]);
        assert_int_equal(peer.log.len, log.len);
        assert_memory_equal(peer.log.data ? peer.log.data : "", log.ptr, log.len);
        assert_int_equal(peer.conn->sent.len, sent.len);
        assert_memory_equal(peer.conn->sent.data ? peer.conn->sent.data : "", sent.ptr, sent.len);
        peer_fini(&peer);
    }
}

/* `log`, then the end with this code, told to both sides. */
static void check_fails(const struct buf *in, const char *log, unsigned code)
{
    const char frame[] = {(char)0x88, 2, (char)(code >> 8), (char)code};
    char whole[64];
    snprintf(whole, sizeof whole, "%sX%u|", log, code);
    check(in, str_from(whole), str_range(frame, sizeof frame));
}

static void messages_arrive_however_they_are_cut(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x81, STR("hello"));
    put(&in, 0x82, STR("\xff\x00\x01"));
    put(&in, 0x81, STR(""));
    char large[300];
    memset(large, 'x', sizeof large);
    put(&in, 0x81, str_range(large, sizeof large));
    struct buf log;
    buf_init(&log, 0);
    assert_int_equal(buf_append(&log, STR("Thello|B\xff\x00\x01|T|T")), OK);
    assert_int_equal(buf_append(&log, str_range(large, sizeof large)), OK);
    assert_int_equal(buf_append_char(&log, '|'), OK);
    check(&in, buf_str(&log), STR(""));
    buf_fini(&log);
    buf_fini(&in);
}

static void control_frames_come_between_fragments(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x01, STR("one "));
    put(&in, 0x89, STR("?"));
    put(&in, 0x00, STR("two "));
    put(&in, 0x8a, STR("unasked"));
    put(&in, 0x00, STR(""));
    put(&in, 0x80, STR("three"));
    put(&in, 0x82, STR("next"));
    check(&in, STR("Tone two three|Bnext|"), STR("\x8a\x01?"));
    buf_fini(&in);
}

static void nothing_is_owned_at_rest(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    struct peer peer;
    peer_open(&peer);
    put(&in, 0x01, STR("one "));
    put(&in, 0x80, STR("two"));
    put(&in, 0x89, STR("ping"));
    feed_in_pieces(&peer, buf_str(&in), 1);
    assert_null(peer.stream.assembly);
    failing_alloc_at(1); /* the first is fake_conn_feed's own */
    fake_conn_feed(peer.conn, STR("\x82\x82\x00\x00\x00\x00hi"));
    assert_null(peer.stream.assembly);
    failing_alloc_at(-1);
    peer_fini(&peer);
    buf_fini(&in);
}

static void utf8_may_be_cut_anywhere_but_must_be_valid(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x01, STR("\xce"));
    put(&in, 0x80, STR("\xba\xe2\x82\xac"));
    check(&in, STR("T\xce\xba\xe2\x82\xac|"), STR(""));
    buf_clear(&in);
    put(&in, 0x81, STR("\xed\xa0\x80"));
    check_fails(&in, "", WS_INVALID_DATA);
    buf_clear(&in);
    put(&in, 0x01, STR("ok"));
    put(&in, 0x80, STR("\xe2\x82"));
    check_fails(&in, "", WS_INVALID_DATA);
    buf_fini(&in);
}

static void bad_utf8_fails_before_the_message_is_whole(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x01, STR("\xf4\x90")); /* above U+10FFFF whatever follows */
    check_fails(&in, "", WS_INVALID_DATA);
    buf_clear(&in);
    put(&in, 0x81, STR("\xc0\xaf and much that never arrives"));
    in.len -= 20;
    const size_t pieces[] = {1, 1 << 20};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct peer peer;
        peer_open(&peer);
        feed_in_pieces(&peer, buf_str(&in), pieces[i]);
        assert_true(peer.conn->finishing);
        peer_fini(&peer);
    }
    buf_fini(&in);
}

static void an_unmasked_frame_is_a_protocol_error(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x81, STR("a"));
    assert_int_equal(buf_append(&in, STR("\x81\x01"
                                         "b")),
                     OK);
    check_fails(&in, "Ta|", WS_PROTOCOL_ERROR);
    buf_fini(&in);
}

static void fragments_keep_their_order(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x80, STR("continues nothing"));
    check_fails(&in, "", WS_PROTOCOL_ERROR);
    buf_clear(&in);
    put(&in, 0x01, STR("a"));
    put(&in, 0x81, STR("b"));
    check_fails(&in, "", WS_PROTOCOL_ERROR);
    buf_clear(&in);
    put(&in, 0xc1, STR("rsv"));
    check_fails(&in, "", WS_PROTOCOL_ERROR);
    buf_fini(&in);
}

static void too_large_a_message_is_refused_by_its_header(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    char large[MAX_MESSAGE + 1];
    memset(large, 'x', sizeof large);
    put(&in, 0x82, str_range(large, sizeof large));
    in.len = 8; /* the header alone */
    check_fails(&in, "", WS_TOO_BIG);
    buf_clear(&in);
    put(&in, 0x02, str_range(large, MAX_MESSAGE - 1));
    put(&in, 0x80, STR("xy"));
    check_fails(&in, "", WS_TOO_BIG);
    buf_clear(&in);
    assert_int_equal(
        buf_append(&in, STR("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00")), OK);
    check_fails(&in, "", WS_TOO_BIG);
    buf_clear(&in);
    put(&in, 0x02, str_range(large, MAX_MESSAGE));
    put(&in, 0x80, STR(""));
    struct peer peer;
    peer_open(&peer);
    feed_in_pieces(&peer, buf_str(&in), 64);
    assert_int_equal(peer.log.len, MAX_MESSAGE + 2);
    peer_fini(&peer);
    buf_fini(&in);
}

static void the_peers_close_is_echoed_and_ends_it(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x88,
        STR("\x0f\xa1"
            "bye"));
    put(&in, 0x81, STR("too late"));
    check(&in, STR("X4001|"), STR("\x88\x02\x0f\xa1"));
    struct peer peer;
    peer_open(&peer);
    fake_conn_feed(peer.conn, buf_str(&in));
    assert_true(peer.conn->finishing);
    fake_conn_end(peer.conn);
    peer.conn = NULL;
    assert_memory_equal(peer.log.data, "X4001|", 6);
    peer_fini(&peer);
    buf_clear(&in);
    put(&in, 0x88, STR(""));
    check(&in, STR("X1005|"), STR("\x88\x00"));
    buf_fini(&in);
}

static void bad_close_frames_are_refused(void **state)
{
    (void)state;
    const struct {
        struct str payload;
        unsigned code;
    } cases[] = {
        {STR("\x03"), WS_PROTOCOL_ERROR},
        {STR("\x03\xed"), WS_PROTOCOL_ERROR}, /* 1005 */
        {STR("\x00\x00"), WS_PROTOCOL_ERROR},
        {STR("\x03\xe8\xff"), WS_INVALID_DATA},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf in;
        buf_init(&in, 0);
        put(&in, 0x88, cases[i].payload);
        check_fails(&in, "", cases[i].code);
        buf_fini(&in);
    }
}

static void our_close_waits_for_the_peers(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    struct peer peer;
    peer_open(&peer);
    ws_stream_close(&peer.stream, WS_GOING_AWAY);
    ws_stream_close(&peer.stream, WS_NORMAL);
    assert_int_equal(peer.conn->sent.len, 4);
    assert_memory_equal(peer.conn->sent.data, "\x88\x02\x03\xe9", 4);
    struct rcbuf *frame = ws_frame_encode(WS_TEXT, STR("late"));
    assert_int_equal(ws_stream_send(&peer.stream, frame), ERR_CLOSED);
    rcbuf_unref(&frame);
    put(&in, 0x81, STR("not heard"));
    put(&in, 0x89, STR("not answered"));
    fake_conn_feed(peer.conn, buf_str(&in));
    assert_false(peer.conn->finishing);
    buf_clear(&in);
    put(&in, 0x88, STR("\x03\xe8"));
    fake_conn_feed(peer.conn, buf_str(&in));
    assert_true(peer.conn->finishing);
    assert_int_equal(peer.conn->sent.len, 4);
    fake_conn_end(peer.conn);
    peer.conn = NULL;
    assert_int_equal(peer.log.len, 6);
    assert_memory_equal(peer.log.data, "X1001|", 6);
    peer_fini(&peer);
    buf_fini(&in);
}

static void closing_from_on_message_stops_the_rest(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x81, STR("first"));
    put(&in, 0x81, STR("second"));
    struct peer peer;
    peer_open(&peer);
    peer.close_on_message = true;
    fake_conn_feed(peer.conn, buf_str(&in));
    assert_int_equal(peer.log.len, 7);
    peer_fini(&peer);
    buf_fini(&in);
}

static void a_connection_that_just_ends_is_1006(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    fake_conn_feed(peer.conn, STR("\x01\x85\x00\x00\x00\x00he"));
    fake_conn_end(peer.conn);
    peer.conn = NULL;
    assert_memory_equal(peer.log.data, "X1006|", 6);
    peer_fini(&peer);
}

static void a_flood_of_pings_does_not_grow_the_queue(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    for (int i = 0; i < 1000; i++) {
        put(&in, 0x89, STR(""));
    }
    struct peer peer;
    peer_open(&peer);
    fake_conn_feed(peer.conn, buf_str(&in));
    assert_in_range(peer.conn->sends, 1, 16);
    peer_fini(&peer);
    buf_fini(&in);
}

/* Also of a client that gets so many events that its queue is never empty. */
static void pings_that_come_one_by_one_are_all_answered(void **state)
{
    (void)state;
    enum { PINGS = 100 };
    struct peer peer;
    peer_open(&peer);
    for (int i = 0; i < PINGS; i++) {
        fake_conn_feed(peer.conn, STR("\x89\x80\x00\x00\x00\x00"));
    }
    assert_int_equal(peer.conn->sends, PINGS);
    peer_fini(&peer);
}

static void an_owner_may_let_go(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer);
    struct net_conn *conn = peer.conn;
    fake_conn_feed(conn, STR("\x81"));
    ws_stream_abort(&peer.stream);
    assert_true(conn->closing);
    assert_null(peer.stream.assembly);
    fake_conn_end(conn);
    assert_int_equal(peer.log.len, 0);
    peer.conn = NULL;
    peer_fini(&peer);
}

static void without_memory_it_closes_and_leaks_nothing(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 0);
    put(&in, 0x01, STR("one "));
    put(&in, 0x89, STR("ping"));
    put(&in, 0x80, STR("two"));
    put(&in, 0x88, STR(""));
    for (long n = 0;; n++) {
        struct peer peer;
        peer_open(&peer);
        failing_alloc_at(n);
        feed_in_pieces(&peer, buf_str(&in), 3);
        bool failed = failing_alloc_hit();
        peer_fini(&peer);
        if (!failed) {
            break;
        }
        assert_in_range(n, 0, 500);
    }
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_however_they_are_cut),
        cmocka_unit_test(control_frames_come_between_fragments),
        cmocka_unit_test(nothing_is_owned_at_rest),
        cmocka_unit_test(utf8_may_be_cut_anywhere_but_must_be_valid),
        cmocka_unit_test(bad_utf8_fails_before_the_message_is_whole),
        cmocka_unit_test(an_unmasked_frame_is_a_protocol_error),
        cmocka_unit_test(fragments_keep_their_order),
        cmocka_unit_test(too_large_a_message_is_refused_by_its_header),
        cmocka_unit_test(the_peers_close_is_echoed_and_ends_it),
        cmocka_unit_test(bad_close_frames_are_refused),
        cmocka_unit_test(our_close_waits_for_the_peers),
        cmocka_unit_test(closing_from_on_message_stops_the_rest),
        cmocka_unit_test(a_connection_that_just_ends_is_1006),
        cmocka_unit_test(a_flood_of_pings_does_not_grow_the_queue),
        cmocka_unit_test(pings_that_come_one_by_one_are_all_answered),
        cmocka_unit_test(an_owner_may_let_go),
        cmocka_unit_test(without_memory_it_closes_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

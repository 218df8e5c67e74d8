#include "engineio/relay_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engineio/packet.h"
#include "failing_alloc.h"

#define GATEWAY "gateway-0001"
#define SID     GATEWAY "abcdefghijklmnopqrst"

/* --- Whom to ask --- */

static void an_id_with_more_than_a_gateways_has_an_owner(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'x', sizeof longest);
    assert_true(eio_sid_has_owner(STR(SID)));
    assert_true(eio_sid_has_owner(STR("azAZ09-_azAZ0")));
    assert_true(eio_sid_has_owner(str_range(longest, 64)));
    assert_false(eio_sid_has_owner(str_range(longest, 65)));
    assert_false(eio_sid_has_owner(STR("")));
    assert_false(eio_sid_has_owner(STR(GATEWAY)));
}

static void an_id_that_would_not_be_one_word_has_none(void **state)
{
    (void)state;
    char sid[] = SID;
    for (int c = 0; c < 256; c++) {
        bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    c == '-' || c == '_';
        for (size_t at = 0; at < sizeof sid - 1; at += 7) {
            char was = sid[at];
            sid[at] = (char)c;
            assert_int_equal(eio_sid_has_owner(str_range(sid, sizeof sid - 1)), fine);
            sid[at] = was;
        }
    }
}

/* --- Requests --- */

static void check_request(enum eio_relay_verb verb, const char *head)
{
    struct buf text = {0};
    const struct eio_relay_request request = {
        .gateway = STR(GATEWAY), .number = 17, .verb = verb, .sid = STR(SID)};
    struct eio_relay_request again;
    assert_int_equal(eio_relay_write_request(&request, &text), OK);
    assert_string_equal(buf_cstr(&text), head);
    assert_int_equal(buf_append(&text, STR("4a\n\x1e"
                                           "4b")),
                     OK);
    assert_int_equal(eio_relay_read_request(buf_str(&text), &again), OK);
    assert_true(str_eq(again.gateway, request.gateway));
    assert_int_equal(again.number, request.number);
    assert_int_equal(again.verb, verb);
    assert_true(str_eq(again.sid, request.sid));
    assert_true(str_eq(again.body, STR("4a\n\x1e"
                                       "4b")));
    buf_fini(&text);
}

static void every_request_is_read_as_it_was_written(void **state)
{
    (void)state;
    check_request(EIO_RELAY_POLL, GATEWAY " 17 poll " SID "\n");
    check_request(EIO_RELAY_POLL_AGAIN, GATEWAY " 17 poll-again " SID "\n");
    check_request(EIO_RELAY_POST, GATEWAY " 17 post " SID "\n");
    check_request(EIO_RELAY_ABORT, GATEWAY " 17 abort " SID "\n");
    check_request(EIO_RELAY_UPGRADE, GATEWAY " 17 upgrade " SID "\n");
    check_request(EIO_RELAY_PROBED, GATEWAY " 17 probed " SID "\n");
    check_request(EIO_RELAY_FAIL, GATEWAY " 17 fail " SID "\n");
    check_request(EIO_RELAY_TAKE, GATEWAY " 17 take " SID "\n");
    check_request(EIO_RELAY_PLACE, GATEWAY " 17 place " SID "\n");
}

static void what_is_no_request_is_not_taken(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),
        STR("\n"),
        STR(GATEWAY " 1 poll " SID), /* its line has no end */
        STR(GATEWAY "\n"),
        STR(GATEWAY " 1\n"),
        STR(GATEWAY " 1 poll\n"),
        STR(GATEWAY " 1 poll " SID " more\n"),
        STR(GATEWAY " 1 poll " SID " \n"),
        STR(" 1 poll " SID "\n"),
        STR(GATEWAY "  poll " SID "\n"),
        STR(GATEWAY " -1 poll " SID "\n"),
        STR(GATEWAY " 18446744073709551616 poll " SID "\n"),
        STR(GATEWAY " 1x poll " SID "\n"),
        STR(GATEWAY " 1 pol " SID "\n"),
        STR(GATEWAY " 1 polls " SID "\n"),
        STR(GATEWAY " 1 POLL " SID "\n"),
        STR(GATEWAY " 1 poll\0 " SID "\n"),
        STR(GATEWAY " 1 poll \n"),
        STR(GATEWAY " 1 poll " GATEWAY "\n"), /* nobody's session */
        STR(GATEWAY " 1 poll " SID "\0\n"),
        STR(GATEWAY "x 1 poll " SID "\n"),
        STR("gateway 1 poll " SID "\n"),
        STR("gateway-000\0 1 poll " SID "\n"),
    };
    struct eio_relay_request request = {.number = 5};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(eio_relay_read_request(bad[i], &request), ERR_PROTO);
        assert_int_equal(request.number, 5);
    }
}

static void a_request_cut_off_in_its_head_is_none(void **state)
{
    (void)state;
    const struct str whole = STR(GATEWAY " 1 upgrade " SID "\n");
    struct eio_relay_request request;
    for (size_t len = 0; len < whole.len; len++) {
        char *exact = malloc(len + 1); /* so that reading behind it shows */
        memcpy(exact, whole.ptr, len);
        assert_int_equal(eio_relay_read_request(str_range(exact, len), &request), ERR_PROTO);
        free(exact);
    }
    assert_int_equal(eio_relay_read_request(whole, &request), OK);
    assert_int_equal(request.body.len, 0);
}

/* --- Answers --- */

static void check_answer(enum eio_outcome outcome, enum eio_error error, const char *head)
{
    struct buf text = {0};
    const struct eio_relay_answer answer = {.number = 4, .outcome = outcome, .error = error};
    struct eio_relay_answer again;
    assert_int_equal(eio_relay_write_answer(&answer, &text), OK);
    assert_string_equal(buf_cstr(&text), head);
    assert_int_equal(buf_append(&text, STR("4a b\n")), OK);
    assert_int_equal(eio_relay_read_answer(buf_str(&text), &again), OK);
    assert_int_equal(again.number, 4);
    assert_int_equal(again.outcome, outcome);
    assert_int_equal(again.error, error);
    assert_true(str_eq(again.body, STR("4a b\n")));
    buf_fini(&text);
}

static void every_answer_is_read_as_it_was_written(void **state)
{
    (void)state;
    check_answer(EIO_PACKETS, EIO_NO_ERROR, "4 packets\n");
    check_answer(EIO_TAKEN, EIO_NO_ERROR, "4 taken\n");
    check_answer(EIO_TOO_LARGE, EIO_NO_ERROR, "4 too-large\n");
    check_answer(EIO_BUSY, EIO_NO_ERROR, "4 busy\n");
    check_answer(EIO_REFUSED, EIO_ERROR_SID, "4 refused 1\n");
    check_answer(EIO_REFUSED, EIO_ERROR_REQUEST, "4 refused 3\n");
    check_answer(EIO_WELCOME, EIO_NO_ERROR, "4 welcome\n");
    check_answer(EIO_ONE_TOO_MANY, EIO_NO_ERROR, "4 one-too-many\n");
    check_answer(EIO_STATE, EIO_NO_ERROR, "4 state\n");
    check_answer(EIO_REST, EIO_NO_ERROR, "4 rest\n");
}

static void what_is_no_answer_is_not_taken(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),
        STR("\n"),
        STR("4 packets"),
        STR("4\n"),
        STR(" packets\n"),
        STR("x packets\n"),
        STR("4 packets \n"),
        STR("4 packets 1\n"),
        STR("4 packet\n"),
        STR("4 refused\n"),
        STR("4 refused \n"),
        STR("4 refused x\n"),
        STR("4 refused 99\n"),
        STR("4 refused 1 1\n"),
        STR("4 refused -1\n"),
        STR("-4 taken\n"),
    };
    struct eio_relay_answer answer = {.number = 9};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(eio_relay_read_answer(bad[i], &answer), ERR_PROTO);
        assert_int_equal(answer.number, 9);
    }
}

static void an_answer_cut_off_in_its_head_is_none(void **state)
{
    (void)state;
    const struct str whole = STR("4 refused 1\n");
    struct eio_relay_answer answer;
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(eio_relay_read_answer(str_range(whole.ptr, len), &answer), ERR_PROTO);
    }
}

/* --- The state of a session --- */

static void a_state_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct buf text = {0};
    struct str above;
    unsigned phase;
    uint64_t left_ms;
    assert_int_equal(eio_relay_write_state(1, 20000, STR("of the\nlayers above"), &text), OK);
    assert_string_equal(buf_cstr(&text), "1 20000\nof the\nlayers above");
    assert_int_equal(eio_relay_read_state(buf_str(&text), &phase, &left_ms, &above), OK);
    assert_int_equal(phase, 1);
    assert_int_equal(left_ms, 20000);
    assert_true(str_eq(above, STR("of the\nlayers above")));
    buf_fini(&text);
}

static void what_is_no_state_is_not_taken(void **state)
{
    (void)state;
    const struct str bad[] = {STR(""),        STR("\n"),     STR("1 1"),   STR("1\n"),
                              STR(" 1\n"),    STR("1 \n"),   STR("x 1\n"), STR("1 -1\n"),
                              STR("256 1\n"), STR("1 1 1\n")};
    struct str above;
    unsigned phase;
    uint64_t left_ms;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(eio_relay_read_state(bad[i], &phase, &left_ms, &above), ERR_PROTO);
    }
}

/* --- The rest of a session --- */

static void add(struct buf *text, struct rcbuf *packet)
{
    assert_non_null(packet);
    assert_int_equal(eio_relay_write_packet(packet, text), OK);
    rcbuf_unref(&packet);
}

static void write_whole(struct buf *text)
{
    assert_int_equal(eio_relay_write_rest(STR("of the\nlayers above"), text), OK);
    add(text, eio_encode_text(STR("one")));
    add(text, eio_encode_binary(STR("\0\n2")));
    add(text, eio_encode(EIO_PACKET_NOOP, STR("")));
    add(text, eio_encode_binary(STR("")));
}

static void check_next(struct str *packets, bool binary, struct str payload)
{
    struct rcbuf *packet = NULL;
    bool is_binary = !binary;
    assert_int_equal(eio_relay_read_packet(packets, &packet), OK);
    assert_true(str_eq(eio_encoded_payload(packet, &is_binary), payload));
    assert_int_equal(is_binary, binary);
    rcbuf_unref(&packet);
}

static void the_rest_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct buf text = {0};
    struct str rest, packets;
    struct rcbuf *packet = NULL;
    write_whole(&text);
    assert_int_equal(eio_relay_read_rest(buf_str(&text), &rest, &packets), OK);
    assert_true(str_eq(rest, STR("of the\nlayers above")));
    check_next(&packets, false, STR("4one"));
    check_next(&packets, true, STR("\0\n2"));
    check_next(&packets, false, STR("6"));
    check_next(&packets, true, STR(""));
    assert_int_equal(eio_relay_read_packet(&packets, &packet), ERR_AGAIN);
    assert_null(packet);
    buf_fini(&text);
}

static void a_rest_without_anything_is_one(void **state)
{
    (void)state;
    struct buf text = {0};
    struct str rest, packets;
    struct rcbuf *packet = NULL;
    assert_int_equal(eio_relay_write_rest(STR(""), &text), OK);
    assert_string_equal(buf_cstr(&text), "0\n");
    assert_int_equal(eio_relay_read_rest(buf_str(&text), &rest, &packets), OK);
    assert_int_equal(rest.len, 0);
    assert_int_equal(eio_relay_read_packet(&packets, &packet), ERR_AGAIN);
    buf_fini(&text);
}

/* Reads a body to its end. */
static enum err read_all(struct str body)
{
    struct str rest, packets;
    struct rcbuf *packet;
    enum err err = eio_relay_read_rest(body, &rest, &packets);
    while (!err && !(err = eio_relay_read_packet(&packets, &packet))) {
        rcbuf_unref(&packet);
    }
    return err;
}

static void what_is_no_rest_is_not_taken(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),           STR("\n"),         STR("0"),
        STR("1\n"),        STR("-0\n"),       STR("x\n"),
        STR("5\nfour"),    STR("0\nt"),       STR("0\nt 1"),
        STR("0\nt 1\n"),   STR("0\nt 0\n"),   STR("0\nt 1\n7"),
        STR("0\nt 1\nx"),  STR("0\nx 1\n4"),  STR("0\ntt 1\n4"),
        STR("0\n 1\n4"),   STR("0\nb -1\n"),  STR("0\nb  1\n4"),
        STR("0\nb 2\n4"),  STR("0\nt\n1\n4"), STR("0\nt 18446744073709551615\n4"),
        STR("0\nt 1\n4b"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(read_all(bad[i]), ERR_PROTO);
    }
}

/* Cut between two packets it is a shorter one, which is why it travels in one message. */
static void a_rest_cut_off_within_a_packet_is_none(void **state)
{
    (void)state;
    struct buf text = {0};
    unsigned whole = 0;
    write_whole(&text);
    for (size_t len = 0; len <= text.len; len++) {
        char *exact = malloc(len + 1);
        memcpy(exact, text.data, len);
        enum err err = read_all(str_range(exact, len));
        assert_true(err == ERR_PROTO || err == ERR_AGAIN);
        whole += err == ERR_AGAIN;
        free(exact);
    }
    assert_int_equal(whole, 5); /* 0 to 4 packets */
    buf_fini(&text);
}

/* What a client says need not be a packet. */
static void anything_can_be_looked_at_that_is_counted(void **state)
{
    (void)state;
    struct str packets = STR("t 0\nt 2\n9xb 1\n\n");
    struct str payload;
    bool binary;
    assert_int_equal(eio_relay_next_packet(&packets, &binary, &payload), OK);
    assert_true(!binary && payload.len == 0);
    assert_int_equal(eio_relay_next_packet(&packets, &binary, &payload), OK);
    assert_true(!binary && str_eq(payload, STR("9x")));
    assert_int_equal(eio_relay_next_packet(&packets, &binary, &payload), OK);
    assert_true(binary && str_eq(payload, STR("\n")));
    assert_int_equal(eio_relay_next_packet(&packets, &binary, &payload), ERR_AGAIN);
}

/* --- Without memory, and over the limit --- */

static void write_all(void *context)
{
    (void)context;
    const struct eio_relay_request request = {
        .gateway = STR(GATEWAY), .number = 1, .verb = EIO_RELAY_POLL, .sid = STR(SID)};
    const struct eio_relay_answer answer = {.number = 1, .outcome = EIO_TAKEN};
    struct rcbuf *packet = rcbuf_copy(STR("\x81\x02"
                                          "4x"));
    struct buf texts[4] = {{0}};
    enum err err = packet ? OK : ERR_NOMEM;
    err = err ? err : eio_relay_write_request(&request, &texts[0]);
    err = err ? err : eio_relay_write_answer(&answer, &texts[1]);
    err = err ? err : eio_relay_write_rest(STR("rest"), &texts[2]);
    err = err ? err : eio_relay_write_packet(packet, &texts[3]);
    assert_true(!err || err == ERR_NOMEM);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_fini(&texts[i]);
    }
    rcbuf_unref(&packet);
}

static void read_one(void *context)
{
    struct str packets = STR("t 2\n4xb 1\nx");
    struct rcbuf *packet = NULL;
    (void)context;
    enum err err = eio_relay_read_packet(&packets, &packet);
    assert_true(err == OK || err == ERR_NOMEM);
    rcbuf_unref(&packet);
    err = eio_relay_read_packet(&packets, &packet);
    assert_true(err == OK || err == ERR_NOMEM);
    rcbuf_unref(&packet);
}

static void without_memory_there_is_an_error(void **state)
{
    (void)state;
    failing_alloc_each(write_all, NULL);
    failing_alloc_each(read_one, NULL);
}

static void what_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct rcbuf *packet = eio_encode_text(STR("a packet"));
    struct buf text;
    buf_init(&text, 8);
    assert_int_equal(eio_relay_write_packet(packet, &text), ERR_LIMIT);
    buf_clear(&text);
    assert_int_equal(eio_relay_write_rest(STR("the rest"), &text), ERR_LIMIT);
    buf_fini(&text);
    rcbuf_unref(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_with_more_than_a_gateways_has_an_owner),
        cmocka_unit_test(an_id_that_would_not_be_one_word_has_none),
        cmocka_unit_test(every_request_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_request_is_not_taken),
        cmocka_unit_test(a_request_cut_off_in_its_head_is_none),
        cmocka_unit_test(every_answer_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_answer_is_not_taken),
        cmocka_unit_test(an_answer_cut_off_in_its_head_is_none),
        cmocka_unit_test(a_state_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_state_is_not_taken),
        cmocka_unit_test(the_rest_is_read_as_it_was_written),
        cmocka_unit_test(a_rest_without_anything_is_one),
        cmocka_unit_test(what_is_no_rest_is_not_taken),
        cmocka_unit_test(a_rest_cut_off_within_a_packet_is_none),
        cmocka_unit_test(anything_can_be_looked_at_that_is_counted),
        cmocka_unit_test(without_memory_there_is_an_error),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

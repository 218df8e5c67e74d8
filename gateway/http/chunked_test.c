#include "http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

enum { MAX_BODY = 20 };

/* Decodes in pieces of `step` bytes; what was left of the input in *rest. */
static enum err decode(struct str text, size_t step, struct buf *body, struct str *rest)
{
    struct http_chunked chunked = {0};
    enum err err = ERR_AGAIN;
    buf_init(body, MAX_BODY);
    while (err == ERR_AGAIN && text.len > 0) {
        struct str piece = {text.ptr, step < text.len ? step : text.len};
        size_t before = piece.len;
        err = http_chunked_decode(&chunked, &piece, body);
        text = str_skip(text, before - piece.len);
        assert_true(err != ERR_AGAIN || piece.len == 0);
    }
    *rest = text;
    return err;
}

static void assert_decodes(const char *text, const char *data, const char *rest)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        struct buf body;
        struct str left;
        assert_int_equal(decode(str_from(text), step, &body, &left), OK);
        assert_int_equal(body.len, strlen(data));
        assert_memory_equal(buf_str(&body).ptr, data, body.len);
        assert_int_equal(left.len, strlen(rest));
        buf_fini(&body);
    }
}

static void assert_ends_in(enum err expected, const char *text)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        struct buf body;
        struct str left;
        assert_int_equal(decode(str_from(text), step, &body, &left), expected);
        buf_fini(&body);
    }
}

static void chunks_become_a_body(void **state)
{
    (void)state;
    assert_decodes("0\r\n\r\n", "", "");
    assert_decodes("5\r\nhello\r\n0\r\n\r\nnext", "hello", "next");
    assert_decodes("2\r\nhe\r\n003\r\nllo\r\nA\r\n0123456789\r\n0\r\n\r\n", "hello0123456789", "");
    assert_decodes("1;a=b;c\r\nx\r\n0;d\r\nT: v\r\nU: w\r\n\r\n", "x", "");
}

static void an_incomplete_body_needs_more(void **state)
{
    (void)state;
    assert_ends_in(ERR_AGAIN, "5\r\nhel");
    assert_ends_in(ERR_AGAIN, "5\r\nhello\r\n0\r\n\r");
    assert_ends_in(ERR_AGAIN, "5");
}

static void what_is_not_a_chunk_is_refused(void **state)
{
    (void)state;
    assert_ends_in(ERR_PROTO, "\r\n");
    assert_ends_in(ERR_PROTO, " 5\r\n");
    assert_ends_in(ERR_PROTO, "5 \r\n");
    assert_ends_in(ERR_PROTO, "-5\r\n");
    assert_ends_in(ERR_PROTO, "0x5\r\n");
    assert_ends_in(ERR_PROTO, "5\nhello\r\n");
    assert_ends_in(ERR_PROTO, "5\r\rhello");
    assert_ends_in(ERR_PROTO, "5\r\nhelloo\r\n");
    assert_ends_in(ERR_PROTO, "5\r\nhello\n");
    assert_ends_in(ERR_PROTO, "5;a\n");
    assert_ends_in(ERR_PROTO, "0\r\n\rx");
    assert_ends_in(ERR_PROTO, "0\r\nT: v\n\r\n");
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    assert_ends_in(ERR_LIMIT, "15\r\n"); /* 21, known before its data comes */
    assert_ends_in(ERR_LIMIT, "a\r\n0123456789\r\nb\r\n");
    assert_ends_in(ERR_LIMIT, "ffffffffffffffff\r\n");
    assert_ends_in(ERR_LIMIT, "000000000\r\n");
}

static void extensions_and_trailers_are_bounded(void **state)
{
    (void)state;
    static char text[8000];
    struct buf body;
    struct str left;
    strcpy(text, "0;");
    memset(text + 2, 'x', sizeof text - 3);
    assert_int_equal(decode(str_from(text), 100, &body, &left), ERR_LIMIT);
    strcpy(text, "0\r\nT: ");
    memset(text + 6, 'x', sizeof text - 7);
    assert_int_equal(decode(str_from(text), 100, &body, &left), ERR_LIMIT);
}

static void without_memory_it_fails(void **state)
{
    (void)state;
    struct buf body;
    struct str left;
    failing_alloc_at(0);
    assert_int_equal(decode(STR("1\r\nx\r\n0\r\n\r\n"), 100, &body, &left), ERR_NOMEM);
    assert_true(failing_alloc_hit());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_become_a_body),
        cmocka_unit_test(an_incomplete_body_needs_more),
        cmocka_unit_test(what_is_not_a_chunk_is_refused),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
        cmocka_unit_test(without_memory_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

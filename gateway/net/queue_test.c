#include "net/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

static enum err push(struct net_queue *queue, const char *text)
{
    struct rcbuf *bytes = rcbuf_copy(str_from(text));
    assert_non_null(bytes);
    enum err err = net_queue_push(queue, bytes);
    rcbuf_unref(&bytes);
    return err;
}

/* What the queue would write, taken off `step` bytes at a time. */
static void read_all(struct net_queue *queue, size_t step, char *out)
{
    size_t len = 0;
    while (net_queue_count(queue) > 0) {
        struct iovec part;
        assert_int_equal(net_queue_parts(queue, &part, 1), 1);
        size_t n = part.iov_len < step ? part.iov_len : step;
        memcpy(out + len, part.iov_base, n);
        len += n;
        net_queue_advance(queue, n);
    }
    out[len] = '\0';
}

static void one_item_needs_no_ring(void **state)
{
    (void)state;
    struct net_queue queue = {0};
    assert_int_equal(push(&queue, "hello"), OK);
    assert_false(queue.in_ring);
    net_queue_advance(&queue, 2);
    struct iovec parts[2];
    assert_int_equal(net_queue_parts(&queue, parts, 2), 1);
    assert_memory_equal(parts[0].iov_base, "llo", 3);
    assert_int_equal(queue.bytes, 3);
    net_queue_advance(&queue, 3);
    assert_int_equal(net_queue_count(&queue), 0);
}

static void items_come_out_in_order_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < 4; step++) {
        struct net_queue queue = {0};
        char expected[256] = "", out[256];
        for (int i = 0; i < 40; i++) {
            char text[4] = {(char)('a' + i % 26), (char)('0' + i % 10), i % 3 ? 'x' : '\0'};
            assert_int_equal(push(&queue, text), OK);
            strcat(expected, text);
        }
        read_all(&queue, step, out);
        assert_string_equal(out, expected);
        assert_false(queue.in_ring);
    }
}

static void the_ring_wraps_around(void **state)
{
    (void)state;
    struct net_queue queue = {0};
    char out[64];
    for (int i = 0; i < 6; i++) {
        assert_int_equal(push(&queue, "-"), OK);
    }
    net_queue_advance(&queue, 5);
    for (char c = 'a'; c < 'a' + 12; c++) {
        assert_int_equal(push(&queue, (char[]){c, '\0'}), OK);
    }
    read_all(&queue, 1, out);
    assert_string_equal(out, "-abcdefghijkl");
}

static void advance_crosses_items(void **state)
{
    (void)state;
    struct net_queue queue = {0};
    assert_int_equal(push(&queue, "abc"), OK);
    assert_int_equal(push(&queue, "def"), OK);
    assert_int_equal(push(&queue, "ghi"), OK);
    net_queue_advance(&queue, 7);
    struct iovec parts[4];
    assert_int_equal(net_queue_parts(&queue, parts, 4), 1);
    assert_memory_equal(parts[0].iov_base, "hi", 2);
    net_queue_clear(&queue);
}

static void without_memory_nothing_is_queued(void **state)
{
    (void)state;
    struct net_queue queue = {0};
    struct rcbuf *bytes = rcbuf_copy(STR("x"));
    assert_int_equal(net_queue_push(&queue, bytes), OK);
    failing_alloc_at(0);
    assert_int_equal(net_queue_push(&queue, bytes), ERR_NOMEM);
    assert_true(failing_alloc_hit());
    assert_int_equal(queue.bytes, 1);
    assert_int_equal(bytes->refs, 2);
    net_queue_clear(&queue);
    assert_int_equal(bytes->refs, 1);
    rcbuf_unref(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_item_needs_no_ring),
        cmocka_unit_test(items_come_out_in_order_however_they_are_cut),
        cmocka_unit_test(the_ring_wraps_around),
        cmocka_unit_test(advance_crosses_items),
        cmocka_unit_test(without_memory_nothing_is_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

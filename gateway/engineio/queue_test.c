#include "engineio/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_alloc.h"

static struct rcbuf *numbered(unsigned n)
{
    struct rcbuf *packet = rcbuf_new(1);
    if (packet) {
        packet->data[0] = (char)n;
    }
    return packet;
}

static enum err push(struct eio_queue *queue, unsigned n)
{
    struct rcbuf *packet = numbered(n);
    enum err err = packet ? eio_queue_push(queue, packet, SIZE_MAX) : ERR_NOMEM;
    rcbuf_unref(&packet);
    return err;
}

static unsigned pop(struct eio_queue *queue)
{
    unsigned n = (unsigned char)eio_queue_front(queue)->data[0];
    eio_queue_pop(queue);
    return n;
}

static void it_keeps_the_order(void **state)
{
    (void)state;
    struct eio_queue queue = {0};
    unsigned in = 0, out = 0;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < round % 7; i++) {
            assert_int_equal(push(&queue, in++ & 0xff), OK);
        }
        for (unsigned i = 0; i < round % 5 && !eio_queue_empty(&queue); i++) {
            assert_int_equal(pop(&queue), out++ & 0xff);
        }
    }
    while (!eio_queue_empty(&queue)) {
        assert_int_equal(pop(&queue), out++ & 0xff);
    }
    assert_int_equal(in, out);
}

static void empty_it_owns_nothing(void **state)
{
    (void)state;
    struct eio_queue queue = {0};
    assert_null(eio_queue_front(&queue));
    assert_int_equal(push(&queue, 1), OK);
    assert_non_null(queue.block);
    pop(&queue);
    assert_null(queue.block);
}

static void it_is_bounded_in_bytes_with_its_references(void **state)
{
    (void)state;
    struct eio_queue queue = {0};
    struct rcbuf *packet = rcbuf_new(100);
    size_t one = 100 + RCBUF_OVERHEAD;
    assert_int_equal(eio_queue_push(&queue, packet, one - 1), ERR_LIMIT);
    assert_int_equal(eio_queue_push(&queue, packet, 2 * one), OK);
    assert_int_equal(eio_queue_push(&queue, packet, 2 * one), OK);
    assert_int_equal(eio_queue_push(&queue, packet, 2 * one), ERR_LIMIT);
    assert_int_equal(packet->refs, 3);
    eio_queue_pop(&queue);
    assert_int_equal(eio_queue_push(&queue, packet, 2 * one), OK);
    eio_queue_clear(&queue);
    assert_int_equal(packet->refs, 1);
    rcbuf_unref(&packet);
}

static void step(void *context)
{
    (void)context;
    struct eio_queue queue = {0};
    unsigned queued = 0;
    for (unsigned i = 0; i < 20; i++) {
        queued += push(&queue, i) == OK;
    }
    assert_in_range(queued, 19, 20);
    while (!eio_queue_empty(&queue)) {
        pop(&queue);
        queued--;
    }
    assert_int_equal(queued, 0);
}

static void without_memory_what_was_queued_stays(void **state)
{
    (void)state;
    failing_alloc_each(step, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_the_order),
        cmocka_unit_test(empty_it_owns_nothing),
        cmocka_unit_test(it_is_bounded_in_bytes_with_its_references),
        cmocka_unit_test(without_memory_what_was_queued_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

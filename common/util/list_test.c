#include "util/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void keeps_order_and_removes_twice(void **state)
{
    (void)state;
    struct list head, nodes[3];
    list_init(&head);
    for (int i = 0; i < 3; i++) {
        list_init(&nodes[i]);
        list_push_back(&head, &nodes[i]);
    }
    list_remove(&nodes[1]);
    list_remove(&nodes[1]);
    assert_false(list_linked(&nodes[1]));
    assert_ptr_equal(list_pop_front(&head), &nodes[0]);
    assert_ptr_equal(list_pop_front(&head), &nodes[2]);
    assert_null(list_pop_front(&head));
}

static void splices_whole_lists(void **state)
{
    (void)state;
    struct list a, b, one, two;
    list_init(&a);
    list_init(&b);
    list_init(&one);
    list_init(&two);
    list_push_back(&a, &one);
    list_push_back(&b, &two);
    list_splice_back(&a, &b);
    assert_true(list_empty(&b));
    assert_ptr_equal(list_pop_front(&a), &one);
    assert_ptr_equal(list_pop_front(&a), &two);
    list_splice_back(&a, &b);
    assert_true(list_empty(&a));
}

static void the_current_node_may_go_during_a_walk(void **state)
{
    (void)state;
    struct list head, nodes[3];
    int seen = 0;
    list_init(&head);
    for (int i = 0; i < 3; i++) {
        list_init(&nodes[i]);
        list_push_back(&head, &nodes[i]);
    }
    LIST_FOR_EACH (node, next, &head) {
        list_remove(node);
        seen++;
    }
    assert_int_equal(seen, 3);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_removes_twice),
        cmocka_unit_test(splices_whole_lists),
        cmocka_unit_test(the_current_node_may_go_during_a_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

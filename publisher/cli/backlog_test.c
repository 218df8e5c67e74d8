#include "publisher/cli/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "util/attr.h"

static const struct str room = {"market:1", 8};

static void expect_order(struct backlog *backlog, const char *order)
{
    char found[16] = "";
    backlog_sort(backlog);
    for (size_t i = 0; i < backlog->count; i++) {
        found[i] = backlog->items[i].text.ptr[0];
        assert_true(str_eq(backlog->items[i].room, room));
    }
    assert_string_equal(found, order);
}

static void gives_back_by_id(void **state)
{
    (void)state;
    struct backlog backlog = {0};
    assert_int_equal(backlog_add(&backlog, 30, room, STR("c")), OK);
    assert_int_equal(backlog_add(&backlog, 10, room, STR("a")), OK);
    assert_int_equal(backlog_add(&backlog, 20, room, STR("b")), OK);
    assert_int_equal(backlog_add(&backlog, 10, room, STR("A")), OK);
    expect_order(&backlog, "aAbc");
    backlog_clear(&backlog);
}

static void what_has_no_id_stays_where_it_came(void **state)
{
    (void)state;
    struct backlog backlog = {0};
    assert_int_equal(backlog_add(&backlog, 0, room, STR("0")), OK);
    assert_int_equal(backlog_add(&backlog, 10, room, STR("a")), OK);
    assert_int_equal(backlog_add(&backlog, 0, room, STR("1")), OK);
    assert_int_equal(backlog_add(&backlog, 20, room, STR("b")), OK);
    expect_order(&backlog, "0a1b");
    backlog_clear(&backlog);
}

static void is_bounded(void **state)
{
    (void)state;
    struct backlog backlog = {.bytes = BACKLOG_BYTES_MAX};
    assert_int_equal(backlog_add(&backlog, 1, room, STR("")), OK);
    assert_int_equal(backlog_add(&backlog, 1, room, STR("x")), ERR_LIMIT);
    backlog_clear(&backlog);
    assert_int_equal(backlog.bytes, 0);
}

static void add_many(void *context)
{
    (void)context;
    struct backlog backlog = {0};
    enum err err = OK;
    for (uint64_t i = 0; i < 200 && !err; i++) {
        err = backlog_add(&backlog, i, room, STR("text"));
    }
    assert_true(err == OK || err == ERR_NOMEM);
    backlog_clear(&backlog);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    failing_alloc_each(add_many, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_by_id),
        cmocka_unit_test(what_has_no_id_stays_where_it_came),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "bus/revocation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "store_stage.h"
#include "util/clock.h"

/* --- Form --- */

static void values_are_seconds_or_a_dash(void **state)
{
    static const struct {
        uint64_t before;
        const char *text;
    } pairs[] = {{0, "0"}, {1700000000, "1700000000"}, {BUS_REVOKED_ALWAYS, "-"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct buf text = {0};
        uint64_t before = 7;
        assert_int_equal(bus_revocation_write_value(pairs[i].before, &text), OK);
        assert_string_equal(buf_cstr(&text), pairs[i].text);
        assert_int_equal(bus_revocation_parse_value(buf_str(&text), &before), OK);
        assert_true(before == pairs[i].before);
        buf_fini(&text);
    }
}

static void other_values_are_refused(void **state)
{
    static const char *const texts[] = {"", "--", "-1", "1.5", "yes", " 1", "18446744073709551616"};
    uint64_t before = 7;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(bus_revocation_parse_value(str_from(texts[i]), &before), ERR_INVALID);
        assert_int_equal(before, 7);
    }
}

static void an_address_is_one_user_in_any_letter_case(void **state)
{
    char field[ROOM_ID_MAX + 1];
    (void)state;
    assert_int_equal(bus_revocation_user(STR("0XABCDEF0000000000000000000000000000000001"), field),
                     OK);
    assert_string_equal(field, "0xabcdef0000000000000000000000000000000001");
    assert_int_equal(bus_revocation_user(STR("Alice"), field), OK);
    assert_string_equal(field, "Alice");
    assert_int_equal(bus_revocation_user(STR(""), field), ERR_INVALID);
    assert_int_equal(bus_revocation_user(STR("a b"), field), ERR_INVALID);
}

/* --- In Redis --- */

/* What the last answers brought. */
static struct {
    enum err err;
    uint64_t before;
    unsigned count, invalid, pages;
    char users[2][32];
    char cursor[24];
} got;

static void on_set(void *context, const struct redisReply *reply)
{
    struct store_stage *stage = context;
    assert_non_null(reply);
    stage->answers++;
}

static void on_one(void *context, const struct redisReply *reply)
{
    struct store_stage *stage = context;
    stage->answers++;
    got.err = bus_revocation_answer(reply, &got.before);
}

static void set(struct store_stage *stage, struct str user, uint64_t before)
{
    struct bus_revocation revocation = {user, before};
    assert_non_null(bus_revocation_set(stage->store, &stage->keys, &revocation, on_set, stage));
    store_stage_await(stage);
}

static uint64_t get(struct store_stage *stage, struct str user)
{
    assert_non_null(bus_revocation_ask(stage->store, &stage->keys, user, on_one, stage));
    store_stage_await(stage);
    return got.before;
}

static void what_is_set_is_found_until_it_is_removed(void **state)
{
    struct store_stage *stage = *state;
    assert_int_equal(get(stage, STR("alice")), 0);
    set(stage, STR("alice"), 1700000000);
    set(stage, BUS_EVERYBODY, BUS_REVOKED_ALWAYS);
    assert_int_equal(get(stage, STR("alice")), 1700000000);
    assert_true(get(stage, BUS_EVERYBODY) == BUS_REVOKED_ALWAYS);
    assert_non_null(bus_revocation_remove(stage->store, &stage->keys, STR("alice"), on_set, stage));
    store_stage_await(stage);
    assert_int_equal(get(stage, STR("alice")), 0);
    assert_int_equal(got.err, OK);
}

static void operators_may_write_it_by_hand(void **state)
{
    struct store_stage *stage = *state;
    store_stage_ask(stage, "HSET guesslyfe:revoked alice 5 bob - carol never");
    assert_int_equal(get(stage, STR("alice")), 5);
    assert_true(get(stage, STR("bob")) == BUS_REVOKED_ALWAYS);
    get(stage, STR("carol"));
    assert_int_equal(got.err, ERR_INVALID);
}

static void a_refusal_is_told(void **state)
{
    struct store_stage *stage = *state;
    store_stage_ask(stage, "SET guesslyfe:revoked text");
    get(stage, STR("alice"));
    assert_int_equal(got.err, ERR_DENIED);
}

static void on_page(void *context, const struct redisReply *reply)
{
    struct store_stage *stage = context;
    struct bus_revocation_page page;
    struct bus_revocation revocation;
    stage->answers++;
    got.err = bus_revocation_page(reply, &page);
    if (got.err) {
        return;
    }
    got.pages++;
    for (enum err err; (err = bus_revocation_next(&page, &revocation)) != ERR_CLOSED;) {
        got.invalid += err == ERR_INVALID;
        if (got.count < ARRAY_LEN(got.users)) {
            snprintf(got.users[got.count], sizeof got.users[0], STR_FMT, STR_ARG(revocation.user));
        }
        got.count++;
    }
    snprintf(got.cursor, sizeof got.cursor, STR_FMT, STR_ARG(page.next));
}

static void read_all(struct store_stage *stage)
{
    memset(&got, 0, sizeof got);
    snprintf(got.cursor, sizeof got.cursor, "0");
    do {
        assert_non_null(bus_revocation_ask_page(stage->store, &stage->keys, str_from(got.cursor),
                                                on_page, stage));
        store_stage_await(stage);
    } while (!got.err && strcmp(got.cursor, "0") != 0);
}

static void all_are_read_page_by_page(void **state)
{
    struct store_stage *stage = *state;
    for (unsigned i = 0; i < 5000; i += 5) {
        char command[160];
        snprintf(command, sizeof command,
                 "HSET guesslyfe:revoked user%u 1 user%u 2 user%u 3 user%u - user%u 5", i, i + 1,
                 i + 2, i + 3, i + 4);
        store_stage_ask(stage, command);
    }
    read_all(stage);
    assert_true(got.pages >= 4);
    assert_in_range(got.count, 5000, 5999);
    assert_int_equal(got.invalid, 0);
}

static void none_is_one_empty_page(void **state)
{
    read_all(*state);
    assert_int_equal(got.err, OK);
    assert_int_equal(got.pages, 1);
    assert_int_equal(got.count, 0);
}

static void what_is_no_revocation_keeps_its_name(void **state)
{
    struct store_stage *stage = *state;
    store_stage_ask(stage, "HSET guesslyfe:revoked alice yes");
    read_all(stage);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.invalid, 1);
    assert_string_equal(got.users[0], "alice");
}

static void a_refused_page_is_told(void **state)
{
    struct store_stage *stage = *state;
    store_stage_ask(stage, "SET guesslyfe:revoked text");
    read_all(stage);
    assert_int_equal(got.err, ERR_DENIED);
}

#define IN_REDIS(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, store_stage_set_up, store_stage_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_seconds_or_a_dash),
        cmocka_unit_test(other_values_are_refused),
        cmocka_unit_test(an_address_is_one_user_in_any_letter_case),
        IN_REDIS(what_is_set_is_found_until_it_is_removed),
        IN_REDIS(operators_may_write_it_by_hand),
        IN_REDIS(a_refusal_is_told),
        IN_REDIS(all_are_read_page_by_page),
        IN_REDIS(none_is_one_empty_page),
        IN_REDIS(what_is_no_revocation_keeps_its_name),
        IN_REDIS(a_refused_page_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

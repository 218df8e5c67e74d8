#include "bus/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "store_stage.h"
#include "util/clock.h"

enum { FRESH_MS = 5000 };

static enum bus_leased leased;

static void on_leased(void *context, const struct redisReply *reply)
{
    struct store_stage *stage = context;
    stage->answers++;
    leased = bus_leased(reply);
}

static enum bus_leased lease(struct store_stage *stage, const char *gateway, uint64_t count,
                             uint64_t most)
{
    const struct bus_lease wanted = {str_from(gateway), count, most, FRESH_MS};
    assert_non_null(
        bus_lease_ask(stage->store, &stage->keys, STR("alice"), &wanted, on_leased, stage));
    store_stage_await(stage);
    return leased;
}

/* The gateway's entry in the registry, with so much left of it. */
static void lives(struct store_stage *stage, const char *gateway, unsigned left_ms)
{
    char command[96];
    snprintf(command, sizeof command, "SET guesslyfe:gateway:%s {} PX %u", gateway, left_ms);
    store_stage_ask(stage, command);
}

static void dies(struct store_stage *stage, const char *gateway)
{
    char command[96];
    snprintf(command, sizeof command, "DEL guesslyfe:gateway:%s", gateway);
    store_stage_ask(stage, command);
}

/* Redis' raw answer for the gateway's number. */
static void holds(struct store_stage *stage, const char *gateway, const char *expected)
{
    char command[96];
    snprintf(command, sizeof command, "HGET guesslyfe:connections:alice %s", gateway);
    assert_string_equal(store_stage_ask(stage, command), expected);
}

static int set_up(void **state)
{
    store_stage_set_up(state);
    lives(*state, "one", 10000);
    lives(*state, "two", 10000);
    return 0;
}

static void all_gateways_count_together(void **state)
{
    assert_int_equal(lease(*state, "one", 1, 3), BUS_LEASED);
    assert_int_equal(lease(*state, "one", 2, 3), BUS_LEASED);
    assert_int_equal(lease(*state, "two", 1, 3), BUS_LEASED);
    assert_int_equal(lease(*state, "two", 2, 3), BUS_LEASE_TOO_MANY);
    assert_int_equal(lease(*state, "one", 3, 3), BUS_LEASE_TOO_MANY);
    holds(*state, "one", "$1\r\n2\r\n");
    holds(*state, "two", "$1\r\n1\r\n");
}

static void the_same_question_twice_is_one(void **state)
{
    assert_int_equal(lease(*state, "one", 1, 1), BUS_LEASED);
    assert_int_equal(lease(*state, "one", 1, 1), BUS_LEASED);
    holds(*state, "one", "$1\r\n1\r\n");
}

static void what_is_given_back_is_free(void **state)
{
    assert_int_equal(lease(*state, "one", 1, 1), BUS_LEASED);
    assert_int_equal(lease(*state, "two", 1, 1), BUS_LEASE_TOO_MANY);
    assert_int_equal(lease(*state, "one", 0, 0), BUS_LEASED);
    assert_string_equal(store_stage_ask(*state, "EXISTS guesslyfe:connections:alice"), ":0\r\n");
    assert_int_equal(lease(*state, "two", 1, 1), BUS_LEASED);
}

/* What is so needs no permission. */
static void a_number_without_a_limit_is_noted(void **state)
{
    assert_int_equal(lease(*state, "one", 9, 0), BUS_LEASED);
    holds(*state, "one", "$1\r\n9\r\n");
    assert_int_equal(lease(*state, "two", 1, 9), BUS_LEASE_TOO_MANY);
}

static void dead_gateways_do_not_count(void **state)
{
    assert_int_equal(lease(*state, "one", 2, 2), BUS_LEASED);
    assert_int_equal(lease(*state, "two", 1, 2), BUS_LEASE_TOO_MANY);
    dies(*state, "one");
    assert_int_equal(lease(*state, "two", 1, 2), BUS_LEASED);
    holds(*state, "one", "$-1\r\n");
}

static void gateways_that_may_be_dead_are_told_apart(void **state)
{
    assert_int_equal(lease(*state, "one", 2, 2), BUS_LEASED);
    lives(*state, "one", FRESH_MS - 1);
    assert_int_equal(lease(*state, "two", 1, 2), BUS_LEASE_TOO_MANY_YET);
    lives(*state, "one", 2 * FRESH_MS);
    assert_int_equal(lease(*state, "two", 1, 2), BUS_LEASE_TOO_MANY);
}

static void it_does_not_stay_for_ever(void **state)
{
    assert_int_equal(lease(*state, "one", 1, 1), BUS_LEASED);
    assert_string_equal(store_stage_ask(*state, "TTL guesslyfe:connections:alice"), ":604800\r\n");
}

static void a_refusal_is_told(void **state)
{
    store_stage_ask(*state, "SET guesslyfe:connections:alice text");
    assert_int_equal(lease(*state, "one", 1, 1), BUS_LEASE_REFUSED);
}

#define IN_REDIS(test) cmocka_unit_test_setup_teardown(test, set_up, store_stage_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_REDIS(all_gateways_count_together), IN_REDIS(the_same_question_twice_is_one),
        IN_REDIS(what_is_given_back_is_free),  IN_REDIS(a_number_without_a_limit_is_noted),
        IN_REDIS(dead_gateways_do_not_count),  IN_REDIS(gateways_that_may_be_dead_are_told_apart),
        IN_REDIS(it_does_not_stay_for_ever),   IN_REDIS(a_refusal_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

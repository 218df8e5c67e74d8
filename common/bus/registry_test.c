#include "bus/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "store_stage.h"
#include "util/clock.h"

static const struct bus_gateway example = {
    .id = "gatewayabcde",
    .host = "host \"one\"",
    .version = "0.1.0",
    .pid = 42,
    .worker = 3,
    .started_ms = 1700000000001,
    .time_ms = 1700000000002,
    .port = 3000,
    .ops_port = 9090,
    .polling = 1,
    .websocket = 2,
    .max_connections = 10000,
    .clients = 3,
    .rooms = 4,
    .deliveries = 5,
    .received = 6,
    .queue_bytes = 7,
    .lag_ms = 8,
    .probe_age_ms = 9,
    .ping_interval_ms = 25000,
    .ping_timeout_ms = 60000,
    .draining = false,
    .ready = true,
};

#define EXAMPLE                                                                                    \
    "{\"id\":\"gatewayabcde\",\"host\":\"host \\\"one\\\"\",\"pid\":42,\"worker\":3,"              \
    "\"version\":\"0.1.0\",\"started\":1700000000001,\"time\":1700000000002,\"port\":3000,"        \
    "\"opsPort\":9090,\"connections\":{\"polling\":1,\"websocket\":2},\"maxConnections\":10000,"   \
    "\"clients\":3,\"rooms\":4,\"deliveries\":5,\"received\":6,\"queueBytes\":7,\"lagMs\":8,"      \
    "\"probeAgeMs\":9,\"pingInterval\":25000,\"pingTimeout\":60000,\"draining\":false,"            \
    "\"ready\":true}"

/* --- The entry --- */

static void an_entry_has_this_form(void **state)
{
    struct buf text = {0};
    (void)state;
    assert_int_equal(bus_gateway_write(&example, &text), OK);
    assert_string_equal(buf_cstr(&text), EXAMPLE);
    buf_fini(&text);
}

static void what_was_written_is_read(void **state)
{
    struct bus_gateway gateway;
    (void)state;
    assert_int_equal(bus_gateway_parse(STR(EXAMPLE), &gateway), OK);
    assert_memory_equal(&gateway, &example, sizeof gateway);
}

static void an_unknown_age_is_null(void **state)
{
    struct bus_gateway gateway = example;
    struct buf text = {0};
    (void)state;
    gateway.probe_age_ms = UINT64_MAX;
    assert_int_equal(bus_gateway_write(&gateway, &text), OK);
    assert_non_null(strstr(buf_cstr(&text), "\"probeAgeMs\":null,"));
    assert_int_equal(bus_gateway_parse(buf_str(&text), &gateway), OK);
    assert_true(gateway.probe_age_ms == UINT64_MAX);
    buf_fini(&text);
}

/* Of a gateway that is older or newer than whoever reads. */
static void other_versions_are_read(void **state)
{
    struct bus_gateway gateway;
    (void)state;
    assert_int_equal(bus_gateway_parse(STR(" {\"id\":\"g\",\"new\":[{}],\"pid\":7} "), &gateway),
                     OK);
    assert_string_equal(gateway.id, "g");
    assert_int_equal(gateway.pid, 7);
    assert_int_equal(gateway.websocket, 0);
    assert_false(gateway.ready);
}

static void what_is_no_entry_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "1",
        "[]",
        "{",
        "{}",
        "{\"id\":\"\"}",
        "{\"id\":7}",
        "{\"id\":\"g\",\"pid\":\"7\"}",
        "{\"id\":\"g\",\"pid\":-7}",
        "{\"id\":\"g\",\"pid\":1.5}",
        "{\"id\":\"g\",\"pid\":null}",
        "{\"id\":\"g\",\"ready\":1}",
        "{\"id\":\"g\",\"connections\":1}",
        "{\"id\":\"g\\u0000h\"}",
        "{\"id\":\"012345678901234567890123456789012\"}",
    };
    struct bus_gateway gateway = example;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (bus_gateway_parse(str_from(texts[i]), &gateway) != ERR_PROTO) {
            fail_msg("taken: %s", texts[i]);
        }
        assert_memory_equal(&gateway, &example, sizeof gateway); /* untouched */
    }
}

static void write_somehow(void *context)
{
    struct buf text = {0};
    (void)context;
    enum err err = bus_gateway_write(&example, &text);
    assert_true(err == OK || (err == ERR_NOMEM && text.len == 0));
    buf_fini(&text);
}

static void an_entry_without_memory(void **state)
{
    (void)state;
    failing_alloc_each(write_somehow, NULL);
}

/* --- In Redis --- */

static void on_written(void *context, const struct redisReply *reply)
{
    struct store_stage *stage = context;
    assert_non_null(reply);
    stage->answers++;
}

static void enter(struct store_stage *stage, const char *id, uint64_t ttl_ms)
{
    struct bus_gateway gateway = example;
    snprintf(gateway.id, sizeof gateway.id, "%s", id);
    assert_non_null(
        bus_registry_write(stage->store, &stage->keys, &gateway, ttl_ms, on_written, stage));
    store_stage_await(stage);
}

/* What the last reading brought. */
static struct {
    struct store_stage *stage;
    enum err err;
    size_t count;
    struct bus_registered gateways[8];
} got;

static void on_read(void *context, enum err err, const struct bus_registered *gateways,
                    size_t count)
{
    struct store_stage *stage = context;
    stage->answers++;
    got.err = err;
    got.count = count;
    assert_true(count <= ARRAY_LEN(got.gateways));
    if (count > 0) {
        memcpy(got.gateways, gateways, count * sizeof *gateways);
    }
}

static void look(struct store_stage *stage)
{
    assert_non_null(bus_registry_read(stage->store, &stage->keys, on_read, stage));
    store_stage_await(stage);
}

static void an_empty_fleet_is_empty(void **state)
{
    look(*state);
    assert_int_equal(got.err, OK);
    assert_int_equal(got.count, 0);
}

static void gateways_are_found_in_the_order_of_their_entries(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    enter(stage, "two", 10000);
    look(stage);
    assert_int_equal(got.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(got.gateways[i].alive);
        assert_int_equal(got.gateways[i].gateway.port, 3000);
        assert_true(got.gateways[i].seen_ms + 60000 > (uint64_t)clock_wall_ms());
    }
    assert_string_equal(got.gateways[0].gateway.id, "one");
    assert_string_equal(got.gateways[1].gateway.id, "two");
}

static void a_silent_gateway_is_known_as_gone(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "silent", 1);
    PUMP_UNTIL(stage->loop,
               strcmp(store_stage_ask(stage, "EXISTS guesslyfe:gateway:silent"), ":0\r\n") == 0);
    enter(stage, "loud", 10000);
    look(stage);
    assert_int_equal(got.count, 2);
    assert_false(got.gateways[0].alive);
    assert_string_equal(got.gateways[0].gateway.id, "silent");
    assert_true(got.gateways[1].alive);
}

static void what_cannot_be_read_is_known_as_gone(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    store_stage_ask(stage, "SET guesslyfe:gateway:one nonsense");
    look(stage);
    assert_int_equal(got.count, 1);
    assert_false(got.gateways[0].alive);
}

static void after_a_minute_it_is_forgotten(void **state)
{
    struct store_stage *stage = *state;
    char command[96];
    uint64_t now = (uint64_t)clock_wall_ms();
    snprintf(command, sizeof command, "ZADD guesslyfe:gateways %llu old %llu older",
             (unsigned long long)now - 50000, (unsigned long long)now - 61000);
    store_stage_ask(stage, command);
    enter(stage, "one", 10000);
    look(stage);
    assert_int_equal(got.count, 2);
    assert_string_equal(got.gateways[0].gateway.id, "old");
    assert_string_equal(got.gateways[1].gateway.id, "one");
}

static void whoever_ends_is_gone_at_once(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    enter(stage, "two", 10000);
    bus_registry_remove(stage->store, &stage->keys, STR("one"));
    look(stage);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.gateways[0].gateway.id, "two");
}

static void an_entry_lasts_for_its_time(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    long left = strtol(store_stage_ask(stage, "PTTL guesslyfe:gateway:one") + 1, NULL, 10);
    assert_in_range(left, 5000, 10000);
}

static void members_that_are_none_are_passed_over(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    store_stage_ask(stage, "ZADD guesslyfe:gateways 99999999999999 "
                           "012345678901234567890123456789012 99999999999999.5 half");
    look(stage);
    assert_int_equal(got.count, 1);
}

static void a_refusal_is_told(void **state)
{
    struct store_stage *stage = *state;
    store_stage_ask(stage, "SET guesslyfe:gateways text");
    look(stage);
    assert_int_equal(got.err, ERR_DENIED);
    assert_int_equal(stage->refusals, 1);
}

static void a_refused_entry_is_told_once(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    enter(stage, "two", 10000);
    store_stage_ask(stage, "DEL guesslyfe:gateway:one");
    store_stage_ask(stage, "LPUSH guesslyfe:gateway:one list");
    look(stage);
    assert_int_equal(got.err, ERR_DENIED);
    look(stage); /* nothing else comes in between */
}

static void a_cancelled_reading_says_nothing(void **state)
{
    struct store_stage *stage = *state;
    enter(stage, "one", 10000);
    struct bus_registry_read *read = bus_registry_read(stage->store, &stage->keys, on_read, stage);
    bus_registry_cancel(read);
    bus_registry_cancel(NULL);
    read = bus_registry_read(stage->store, &stage->keys, on_read, stage);
    assert_int_equal(loop_turn(stage->loop, 0), OK); /* the question is on its way */
    bus_registry_cancel(read);
    look(stage);
}

static void ask_somehow(void *context)
{
    struct store_stage *stage = context;
    unsigned before = stage->answers;
    struct bus_registry_read *read = bus_registry_read(stage->store, &stage->keys, on_read, stage);
    if (!read) {
        return;
    }
    bus_registry_cancel(read);
    assert_int_equal(stage->answers, before);
}

static void asking_without_memory(void **state)
{
    failing_alloc_each(ask_somehow, *state);
}

#define IN_REDIS(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, store_stage_set_up, store_stage_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_has_this_form),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(an_unknown_age_is_null),
        cmocka_unit_test(other_versions_are_read),
        cmocka_unit_test(what_is_no_entry_is_refused),
        cmocka_unit_test(an_entry_without_memory),
        IN_REDIS(an_empty_fleet_is_empty),
        IN_REDIS(gateways_are_found_in_the_order_of_their_entries),
        IN_REDIS(a_silent_gateway_is_known_as_gone),
        IN_REDIS(what_cannot_be_read_is_known_as_gone),
        IN_REDIS(after_a_minute_it_is_forgotten),
        IN_REDIS(whoever_ends_is_gone_at_once),
        IN_REDIS(an_entry_lasts_for_its_time),
        IN_REDIS(members_that_are_none_are_passed_over),
        IN_REDIS(a_refusal_is_told),
        IN_REDIS(a_refused_entry_is_told_once),
        IN_REDIS(a_cancelled_reading_says_nothing),
        IN_REDIS(asking_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

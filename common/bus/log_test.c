#include "bus/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failing_alloc.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { IDS_MAX = 400 };

struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct loop *loop;
    redisContext *direct;
    struct bus_store *store;
    struct bus_keys keys;
    unsigned ups, refusals;
    struct bus_log_query query;
    /* The last page. */
    unsigned pages, refused;
    struct bus_log_page page;
    uint64_t ids[IDS_MAX]; /* 0: not of ours */
};

static struct stage stage;

static void on_up(void *owner)
{
    struct stage *own = owner;
    own->ups++;
}

static void on_down(void *owner, enum err err, const char *why)
{
    (void)owner;
    fail_msg("%s: %s", err_name(err), why);
}

static void on_refused(void *owner, struct str why)
{
    struct stage *own = owner;
    assert_true(why.len > 0);
    own->refusals++;
}

static int set_up(void **state)
{
    static const struct bus_store_ops ops = {on_up, on_down, on_refused};
    *state = &stage;
    stage = (struct stage){.keys = {STR("guesslyfe:"), 1}};
    redis_server_start(&stage.server, NULL, false);
    stage.redis = redis_peer_options(&stage.server);
    stage.direct = redisConnect("127.0.0.1", stage.server.port);
    stage.loop = loop_new();
    assert_true(stage.loop && stage.direct && !stage.direct->err);
    stage.store = bus_store_new(stage.loop, &stage.redis, &ops, &stage);
    assert_non_null(stage.store);
    PUMP_UNTIL(stage.loop, stage.ups == 1);
    return 0;
}

static int tear_down(void **state)
{
    struct stage *own = *state;
    bus_store_free(own->store);
    loop_free(own->loop);
    redisFree(own->direct);
    redis_server_stop(&own->server);
    return 0;
}

static void on_page(struct bus_log_query *query, const struct bus_log_page *page)
{
    struct stage *own = container_of(query, struct stage, query);
    own->pages++;
    own->refused += page == NULL;
    own->page = page ? *page : (struct bus_log_page){0};
    for (size_t i = 0; i < own->page.count; i++) {
        struct bus_envelope envelope;
        enum err err = bus_log_envelope(page, i, &envelope);
        own->ids[i] = err ? 0 : envelope.id;
    }
}

static void ask(struct stage *own, const struct bus_log_read *read)
{
    unsigned before = own->pages;
    assert_int_equal(bus_log_ask(own->store, &own->keys, read, on_page, &own->query), OK);
    assert_int_equal(own->pages, before);
    PUMP_UNTIL(own->loop, own->pages > before);
}

static void read_past(struct stage *own, uint64_t since, unsigned most)
{
    ask(own, &(struct bus_log_read){.room = STR("market:1"), .since = since, .most = most});
}

static void tell(struct stage *own, const char *command)
{
    redisReply *reply = redisCommand(own->direct, command);
    assert_true(reply && reply->type != REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static void push(struct stage *own, const char *entry, size_t len)
{
    static const char command[] = "RPUSH guesslyfe:{0}:log:market:1 %b";
    redisReply *reply = redisCommand(own->direct, command, entry, len);
    assert_true(reply && reply->type == REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
}

static void push_event(struct stage *own, unsigned id, size_t size)
{
    char *entry = calloc(1, size + 64);
    assert_non_null(entry);
    int len = snprintf(entry, 64, "%u %u event market:1\n", id, id - 1);
    push(own, entry, (size_t)len + size);
    free(entry);
}

static void push_events(struct stage *own, unsigned first, unsigned last, size_t size)
{
    for (unsigned id = first; id <= last; id++) {
        push_event(own, id, size);
    }
}

static void assert_ids(const struct stage *own, unsigned first, unsigned last)
{
    assert_int_equal(own->page.count, last - first + 1);
    for (unsigned i = 0; i < own->page.count; i++) {
        assert_int_equal(own->ids[i], first + i);
    }
}

static void test_an_empty_log(void **state)
{
    struct stage *own = *state;
    read_past(own, 0, 0);
    assert_int_equal(own->page.count, 0);
    assert_int_equal(own->page.newest, 0);
    assert_int_equal(own->page.clock, 0);
    assert_false(own->page.more);
    assert_true(own->page.now_us > 1600000000000000);
}

static void test_the_clock_alone(void **state)
{
    struct stage *own = *state;
    tell(own, "SET guesslyfe:{0}:clock 1700000000000001");
    ask(own, &(struct bus_log_read){.partition = 0});
    assert_int_equal(own->page.clock, 1700000000000001);
    assert_int_equal(own->page.count, 0);
}

static void test_entries_past_an_id(void **state)
{
    struct stage *own = *state;
    push_events(own, 1, 10, 2);
    read_past(own, 0, 0);
    assert_ids(own, 1, 10);
    read_past(own, 7, 0);
    assert_ids(own, 8, 10);
    assert_int_equal(own->page.newest, 10);
    assert_false(own->page.more);
    read_past(own, 10, 0);
    assert_int_equal(own->page.count, 0);
    assert_int_equal(own->page.newest, 10);
    read_past(own, 11, 0);
    assert_int_equal(own->page.count, 0);
}

static void test_the_newest_of_many(void **state)
{
    struct stage *own = *state;
    push_events(own, 1, 100, 2);
    read_past(own, 0, 3);
    assert_ids(own, 98, 100);
    assert_false(own->page.more);
    read_past(own, 98, 50);
    assert_ids(own, 99, 100);
    read_past(own, 0, 1000);
    assert_ids(own, 1, 100);
    read_past(own, 100, 3);
    assert_int_equal(own->page.count, 0);
}

static void test_the_script_reads_backwards_in_steps(void **state)
{
    static const unsigned missing[] = {1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 299, 300};
    struct stage *own = *state;
    push_events(own, 1, 300, 2);
    for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
        read_past(own, 300 - missing[i], 0);
        assert_ids(own, 301 - missing[i], 300);
    }
}

static void test_a_large_log_comes_in_pages(void **state)
{
    struct stage *own = *state;
    push_events(own, 1, 10, 900 * 1000);
    read_past(own, 0, 0);
    assert_ids(own, 1, 4);
    assert_true(own->page.more);
    read_past(own, 4, 0);
    assert_ids(own, 5, 8);
    assert_true(own->page.more);
    read_past(own, 8, 0);
    assert_ids(own, 9, 10);
    assert_false(own->page.more);
}

static void test_of_the_newest_the_budget_leaves_the_newest(void **state)
{
    struct stage *own = *state;
    push_events(own, 1, 10, 900 * 1000);
    read_past(own, 0, 8);
    assert_ids(own, 7, 10);
    assert_false(own->page.more);
}

static void test_an_entry_beyond_the_budget_comes_alone(void **state)
{
    struct stage *own = *state;
    push_event(own, 1, 2);
    push_event(own, 2, BUS_LOG_PAGE_BYTES + 1);
    push_event(own, 3, 2);
    read_past(own, 1, 0);
    assert_int_equal(own->page.count, 1);
    assert_int_equal(own->page.last, 2);
    assert_true(own->page.more);
    read_past(own, own->page.last, 0);
    assert_ids(own, 3, 3);
}

static void test_what_somebody_else_wrote_is_told_apart(void **state)
{
    struct stage *own = *state;
    push(own, "no id", 5);
    push_events(own, 1, 2, 2);
    push(own, "no id", 5);
    push(own, "", 0);
    push_events(own, 3, 4, 2);
    read_past(own, 0, 0);
    assert_int_equal(own->page.newest, 4);
    const uint64_t ids[] = {1, 2, 0, 0, 3, 4};
    assert_int_equal(own->page.count, ARRAY_LEN(ids));
    assert_memory_equal(own->ids, ids, sizeof ids);
    read_past(own, 2, 0);
    assert_int_equal(own->ids[own->page.count - 1], 4);
}

static void test_what_somebody_else_wrote_hides_nothing(void **state)
{
    struct stage *own = *state;
    push_events(own, 1, 3, 2);
    for (unsigned i = 0; i < 20; i++) {
        push(own, "no id", 5);
    }
    read_past(own, 1, 0);
    assert_int_equal(own->page.newest, 3);
    assert_int_equal(own->page.count, 22);
    assert_int_equal(own->ids[0], 2);
    assert_int_equal(own->ids[1], 3);
    read_past(own, 3, 0);
    assert_int_equal(own->page.count, 0);
}

static void test_a_log_of_somebody_else(void **state)
{
    struct stage *own = *state;
    push(own, "no id", 5);
    push(own, "0 0 event market:1\n", 19);
    read_past(own, 0, 0);
    assert_int_equal(own->page.newest, 0);
    assert_int_equal(own->page.count, 0);
}

static void test_ids_keep_all_their_digits(void **state)
{
    struct stage *own = *state;
    push(own, "9007199254740990 0 e market:1\n", 30);
    push(own, "9007199254740991 0 e market:1\n", 30);
    read_past(own, 9007199254740990, 0);
    assert_int_equal(own->page.count, 1);
    assert_int_equal(own->ids[0], 9007199254740991);
    assert_int_equal(own->page.newest, 9007199254740991);
}

static void test_refusals_have_no_page(void **state)
{
    struct stage *own = *state;
    tell(own, "SET guesslyfe:{0}:log:market:1 text");
    read_past(own, 0, 0);
    assert_int_equal(own->refused, 1);
    tell(own, "DEL guesslyfe:{0}:log:market:1");
    tell(own, "SET guesslyfe:{0}:clock noon");
    read_past(own, 0, 0);
    assert_int_equal(own->refused, 2);
    tell(own, "ACL SETUSER default -evalsha -eval");
    read_past(own, 0, 0);
    assert_int_equal(own->refused, 3);
    assert_int_equal(own->refusals, 2);
}

static void test_a_cancelled_question_has_no_answer(void **state)
{
    struct stage *own = *state;
    const struct bus_log_read read = {.room = STR("market:1")};
    assert_int_equal(bus_log_ask(own->store, &own->keys, &read, on_page, &own->query), OK);
    bus_log_cancel(&own->query);
    bus_log_cancel(&own->query);
    assert_int_equal(bus_log_ask(own->store, &own->keys, &read, on_page, &own->query), OK);
    PUMP_UNTIL(own->loop, own->pages > 0 && bus_store_waiting(own->store) == 0);
    assert_int_equal(own->pages, 1);
}

static void ask_somehow(void *context)
{
    struct stage *own = context;
    const struct bus_log_read read = {.room = STR("market:1"), .since = 1};
    unsigned before = own->pages;
    enum err err = bus_log_ask(own->store, &own->keys, &read, on_page, &own->query);
    if (err) {
        assert_int_equal(err, ERR_NOMEM);
        bus_log_cancel(&own->query);
        assert_int_equal(bus_store_waiting(own->store), 0);
        return;
    }
    PUMP_UNTIL(own->loop, own->pages > before);
    assert_ids(own, 2, 3);
}

static void test_each_allocation_may_fail(void **state)
{
    struct stage *own = *state;
    push_events(own, 1, 3, 2);
    failing_alloc_each(ask_somehow, own);
}

/* --- Trust --- */

enum { S = 1000000 };

struct reach_case {
    const char *rule;
    struct bus_log_position position;
    struct bus_history history;
    uint64_t now_us, newest;
    const char *first; /* entry; NULL: none */
    bool reaches;
};

static const struct reach_case reach_cases[] = {
    {"the first follows the last seen", {50, 0}, {3, 10}, 99, 70, "60 50 e r\n", true},
    {"the first follows one that was seen", {50, 0}, {3, 10}, 99, 70, "60 40 e r\n", true},
    {"one lies between: an overflow", {50, 0}, {3, 10}, 99, 70, "70 60 e r\n", false},
    {"what lies between is known by time", {50, 65}, {3, 10}, 99, 70, "70 60 e r\n", true},
    {"time does not take back what was seen", {50, 10}, {3, 10}, 99, 70, "60 50 e r\n", true},
    {"nothing newer", {50, 0}, {3, 10}, 90 * S, 50, NULL, true},
    {"empty, and too young to have lost", {50, 0}, {3, 10}, 50 + 9 * S, 0, NULL, true},
    {"empty, and old enough", {50, 0}, {3, 10}, 50 + 10 * S, 0, NULL, false},
    {"empty, but known until lately", {50, 5 * S}, {3, 10}, 14 * S, 0, NULL, true},
    {"empty, and never known", {0, 0}, {3, 10}, 1700000000000000, 0, NULL, false},
    {"the clock went back", {90 * S, 0}, {3, 10}, 80 * S, 0, NULL, true},
    {"begun anew soon after", {50, 0}, {3, 10}, 99 * S, 9 * S, "9000000 0 e r\n", true},
    {"begun anew after it may have expired",
     {50, 0},
     {3, 10},
     99 * S,
     11 * S,
     "11000000 0 e r\n",
     false},
    {"begun anew, known until lately",
     {50, 5 * S},
     {3, 10},
     99 * S,
     11 * S,
     "11000000 0 e r\n",
     true},
    {"somebody else's entry proves nothing", {50, 0}, {3, 10}, 99, 70, "what is this", false},
    {"nothing kept, nothing promised", {50, 0}, {0, 10}, 99 * S, 0, NULL, true},
    {"nothing kept, whatever the first says", {50, 0}, {0, 10}, 99, 70, "70 60 e r\n", true},
};

static void check_reach(const struct reach_case *row)
{
    char text[64] = "";
    redisReply entry = {.type = REDIS_REPLY_STRING, .str = text};
    redisReply *elements[] = {NULL, NULL, NULL, &entry};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 4, .element = elements};
    snprintf(text, sizeof text, "%s", row->first ? row->first : "");
    entry.len = strlen(text);
    const struct bus_log_page page = {
        .now_us = row->now_us, .newest = row->newest, .count = row->first != NULL, .reply = &reply};
    if (bus_log_reaches(&page, row->position, row->history) != row->reaches) {
        fail_msg("%s", row->rule);
    }
}

static void test_how_far_a_log_reaches(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(reach_cases); i++) {
        check_reach(&reach_cases[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_log),
        TEST(test_the_clock_alone),
        TEST(test_entries_past_an_id),
        TEST(test_the_newest_of_many),
        TEST(test_the_script_reads_backwards_in_steps),
        TEST(test_a_large_log_comes_in_pages),
        TEST(test_of_the_newest_the_budget_leaves_the_newest),
        TEST(test_an_entry_beyond_the_budget_comes_alone),
        TEST(test_what_somebody_else_wrote_is_told_apart),
        TEST(test_what_somebody_else_wrote_hides_nothing),
        TEST(test_a_log_of_somebody_else),
        TEST(test_ids_keep_all_their_digits),
        TEST(test_refusals_have_no_page),
        TEST(test_a_cancelled_question_has_no_answer),
        TEST(test_each_allocation_may_fail),
        cmocka_unit_test(test_how_far_a_log_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

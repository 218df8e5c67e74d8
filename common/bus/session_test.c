#include "bus/session.h"

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

/* --- Text --- */

static void assert_str(struct str got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.ptr, expected, got.len);
}

static const struct bus_session example = {
    .gateway = {"gw1", 3},
    .epoch = {"0123456789abcdefghij", 20},
    .sid = {"sid-1", 5},
    .sub = {"sub|1", 5},
    .address = {"0xabc", 5},
    .last_id = 1700000000000001,
    .as_of = UINT64_MAX,
};

static void test_what_was_written_is_read(void **state)
{
    struct buf text = {0};
    struct bus_session session;
    (void)state;
    assert_int_equal(bus_session_write(&example, &text), OK);
    assert_str(buf_str(&text), "gw1 0123456789abcdefghij sid-1 sub|1 0xabc 1700000000000001 "
                               "18446744073709551615\n");
    assert_int_equal(bus_session_parse(buf_str(&text), &session), OK);
    assert_str(session.gateway, "gw1");
    assert_str(session.epoch, "0123456789abcdefghij");
    assert_str(session.sid, "sid-1");
    assert_str(session.sub, "sub|1");
    assert_str(session.address, "0xabc");
    assert_int_equal(session.last_id, example.last_id);
    assert_int_equal(session.as_of, example.as_of);
    buf_fini(&text);
}

static void test_rooms_are_walked_in_the_order_of_writing(void **state)
{
    struct bus_session_room rooms[] = {{STR("market:1"), 0, true},
                                       {STR("user:x"), UINT64_MAX, false}};
    struct bus_session_room room;
    struct bus_session session;
    struct buf text = {0};
    (void)state;
    assert_int_equal(bus_session_write(&example, &text), OK);
    assert_int_equal(bus_session_write_room(&rooms[0], &text), OK);
    assert_int_equal(bus_session_write_room(&rooms[1], &text), OK);
    assert_int_equal(bus_session_parse(buf_str(&text), &session), OK);
    for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
        assert_true(bus_session_next(&session, &room));
        assert_true(str_eq(room.name, rooms[i].name));
        assert_int_equal(room.since, rooms[i].since);
        assert_int_equal(room.visible, rooms[i].visible);
    }
    assert_false(bus_session_next(&session, &room));
    assert_false(bus_session_next(&session, &room));
    buf_fini(&text);
}

static void test_address_and_epoch_may_be_empty(void **state)
{
    struct bus_session session = example;
    struct buf text = {0};
    (void)state;
    session.address = session.epoch = STR("");
    assert_int_equal(bus_session_write(&session, &text), OK);
    assert_int_equal(bus_session_parse(buf_str(&text), &session), OK);
    assert_int_equal(session.address.len, 0);
    assert_int_equal(session.epoch.len, 0);
    buf_fini(&text);
}

static void test_malformed_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "g e s u a 1 2",     /* no end of the line */
        "g e s u a 1\n",     /* a word is missing */
        "g e s u a 1 2 3\n", /* or one too many */
        "g e s u a 1 2 \n",  /* a space at the end */
        " g e s u a 1 2\n",  /* or at the beginning */
        "g  e s u a 1 2\n",  /* or two */
        " e s u a 1 2\n",    /* no gateway */
        "g e  u a 1 2\n",    /* no sid */
        "g e s  a 1 2\n",    /* no user */
        "g e s u a -1 2\n",  /* numbers that are none */
        "g e s u a 1 x\n",
        "g e s u a  2\n",
        "g e s u a 18446744073709551616 2\n",
        "g e s u a 1 2\nmarket:1\n", /* rooms that are none */
        "g e s u a 1 2\n1 v market:1",
        "g e s u a 1 2\n1 v market:1\n\n",
        "g e s u a 1 2\n\n1 v market:1\n",
        "g e s u a 1 2\n1 v \n",
        "g e s u a 1 2\n1 x market:1\n",
        "g e s u a 1 2\nx v market:1\n",
        "g e s u a 1 2\n1 v market:1 more\n",
        "g e s u a 1 2\n1 vh market:1\n",
        "g e s u a 1 2\r\n",
        "g e s u\t a 1 2\n", /* control bytes */
        "g\x7f e s u a 1 2\n",
        "g e s u a 1 2\n1 v market:\r\n",
    };
    struct bus_session session = example;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (bus_session_parse(str_from(texts[i]), &session) != ERR_PROTO) {
            fail_msg("taken: \"%s\"", texts[i]);
        }
        assert_memory_equal(&session, &example, sizeof session); /* untouched */
    }
}

/* A user's id comes from outside: it must not become a word, or a line, of its own. */
static void test_words_with_blanks_are_not_written(void **state)
{
    static const char *const words[] = {"", "a b", "a\n1 v user:b", "a\t", "\r"};
    struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct bus_session session = example;
        struct bus_session_room room = {str_from(words[i]), 1, true};
        session.sub = str_from(words[i]);
        assert_int_equal(bus_session_write(&session, &text), ERR_INVALID);
        assert_int_equal(bus_session_write_room(&room, &text), ERR_INVALID);
    }
    assert_int_equal(text.len, 0);
    buf_fini(&text);
}

static void test_the_number_of_rooms_has_a_limit(void **state)
{
    struct bus_session_room room = {STR("market:1"), 7, true};
    struct bus_session session;
    struct buf text = {0};
    (void)state;
    assert_int_equal(bus_session_write(&example, &text), OK);
    for (unsigned i = 0; i < BUS_SESSION_ROOMS_MAX; i++) {
        assert_int_equal(bus_session_write_room(&room, &text), OK);
    }
    assert_int_equal(bus_session_parse(buf_str(&text), &session), OK);
    assert_int_equal(bus_session_write_room(&room, &text), OK);
    assert_int_equal(bus_session_parse(buf_str(&text), &session), ERR_PROTO);
    buf_fini(&text);
}

static void write_somehow(void *context)
{
    struct buf text = {0};
    struct bus_session_room room = {STR("market:1"), 7, true};
    enum err err = bus_session_write(&example, &text);
    (void)context;
    err = err ? err : bus_session_write_room(&room, &text);
    assert_true(err == OK || err == ERR_NOMEM);
    buf_fini(&text);
}

static void test_writing_without_memory(void **state)
{
    (void)state;
    failing_alloc_each(write_somehow, NULL);
}

/* --- In Redis --- */

static const struct bus_keys keys = {{"guesslyfe:", 10}, 1};
static const struct str pid = {"abcdefghijklmnopqrstuvwx", BUS_PID_LEN};

struct stage {
    struct redis_server server;
    struct redis_link_options redis;
    struct loop *loop;
    struct bus_store *store;
    unsigned ups, answers, refusals;
    enum bus_session_kept kept;
    char loaded[128];
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
    stage = (struct stage){0};
    redis_server_start(&stage.server, NULL, false);
    stage.redis = redis_peer_options(&stage.server);
    stage.loop = loop_new();
    assert_non_null(stage.loop);
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
    redis_server_stop(&own->server);
    return 0;
}

static void on_kept(void *context, const struct redisReply *reply)
{
    struct stage *own = context;
    own->answers++;
    own->kept = bus_session_kept(reply);
}

static void on_loaded(void *context, const struct redisReply *reply)
{
    struct stage *own = context;
    struct str text = bus_session_loaded(reply);
    own->answers++;
    snprintf(own->loaded, sizeof own->loaded, STR_FMT, STR_ARG(text));
}

static enum bus_session_kept keep(struct stage *own, const char *gateway, bool claim,
                                  const char *text, uint64_t ttl_ms)
{
    unsigned before = own->answers;
    if (claim) {
        assert_non_null(
            bus_session_claim(own->store, &keys, pid, str_from(text), ttl_ms, on_kept, own));
    } else {
        assert_non_null(bus_session_keep(own->store, &keys, pid, str_from(gateway), str_from(text),
                                         ttl_ms, on_kept, own));
    }
    PUMP_UNTIL(own->loop, own->answers > before);
    return own->kept;
}

static const char *load(struct stage *own)
{
    unsigned before = own->answers;
    assert_non_null(bus_session_load(own->store, &keys, pid, on_loaded, own));
    PUMP_UNTIL(own->loop, own->answers > before);
    return own->loaded;
}

static void test_what_is_kept_is_loaded(void **state)
{
    struct stage *own = *state;
    assert_string_equal(load(own), "");
    assert_int_equal(keep(own, "gw1", false, "gw1 text", 60000), BUS_SESSION_KEPT);
    assert_string_equal(load(own), "gw1 text");
    assert_int_equal(keep(own, "gw1", false, "gw1 later", 60000), BUS_SESSION_KEPT);
    assert_string_equal(load(own), "gw1 later");
}

static void test_who_claims_takes_it_over(void **state)
{
    struct stage *own = *state;
    assert_int_equal(keep(own, "gw1", true, "gw1 text", 60000), BUS_SESSION_KEPT);
    assert_int_equal(keep(own, "gw2", false, "gw2 text", 60000), BUS_SESSION_TAKEN);
    assert_string_equal(load(own), "gw1 text");
    assert_int_equal(keep(own, "gw2", true, "gw2 text", 60000), BUS_SESSION_KEPT);
    assert_int_equal(keep(own, "gw1", false, "gw1 text", 60000), BUS_SESSION_TAKEN);
    assert_string_equal(load(own), "gw2 text");
}

static void test_a_gateway_is_known_by_its_whole_name(void **state)
{
    struct stage *own = *state;
    assert_int_equal(keep(own, "gw10", false, "gw10 text", 60000), BUS_SESSION_KEPT);
    assert_int_equal(keep(own, "gw1", false, "gw1 text", 60000), BUS_SESSION_TAKEN);
}

static void test_it_is_kept_for_its_time(void **state)
{
    struct stage *own = *state;
    assert_int_equal(keep(own, "gw1", false, "gw1 text", 20), BUS_SESSION_KEPT);
    uint64_t until = clock_monotonic_ms() + 30;
    PUMP_UNTIL(own->loop, clock_monotonic_ms() > until);
    assert_string_equal(load(own), "");
    assert_int_equal(keep(own, "gw2", false, "gw2 text", 60000), BUS_SESSION_KEPT);
}

static void test_what_is_dropped_is_gone(void **state)
{
    struct stage *own = *state;
    assert_int_equal(keep(own, "gw1", false, "gw1 text", 60000), BUS_SESSION_KEPT);
    assert_non_null(bus_session_drop(own->store, &keys, pid));
    assert_string_equal(load(own), "");
    assert_int_equal(own->refusals, 0);
}

static void test_a_refusal_is_no_session(void **state)
{
    struct stage *own = *state;
    char answer[64];
    redis_server_ask(&own->server, "ACL SETUSER default -get -set", answer, sizeof answer);
    assert_string_equal(load(own), "");
    assert_int_equal(keep(own, "gw1", true, "gw1 text", 60000), BUS_SESSION_REFUSED);
    assert_int_equal(keep(own, "gw1", false, "gw1 text", 60000), BUS_SESSION_REFUSED);
    assert_int_equal(own->refusals, 3);
}

static void keep_somehow(void *context)
{
    struct stage *own = context;
    unsigned expected = own->answers;
    expected += bus_session_keep(own->store, &keys, pid, STR("gw1"), STR("gw1 text"), 60000,
                                 on_kept, own) != NULL;
    expected +=
        bus_session_claim(own->store, &keys, pid, STR("gw1 text"), 60000, on_kept, own) != NULL;
    expected += bus_session_load(own->store, &keys, pid, on_loaded, own) != NULL;
    struct bus_request *drop = bus_session_drop(own->store, &keys, pid);
    PUMP_UNTIL(own->loop, own->answers == expected && bus_store_waiting(own->store) == 0);
    (void)drop;
}

static void test_each_allocation_may_fail(void **state)
{
    struct stage *own = *state;
    failing_alloc_each(keep_somehow, own);
    assert_int_equal(own->refusals, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_rooms_are_walked_in_the_order_of_writing),
        cmocka_unit_test(test_address_and_epoch_may_be_empty),
        cmocka_unit_test(test_malformed_texts_are_refused),
        cmocka_unit_test(test_words_with_blanks_are_not_written),
        cmocka_unit_test(test_the_number_of_rooms_has_a_limit),
        cmocka_unit_test(test_writing_without_memory),
        TEST(test_what_is_kept_is_loaded),
        TEST(test_who_claims_takes_it_over),
        TEST(test_a_gateway_is_known_by_its_whole_name),
        TEST(test_it_is_kept_for_its_time),
        TEST(test_what_is_dropped_is_gone),
        TEST(test_a_refusal_is_no_session),
        TEST(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

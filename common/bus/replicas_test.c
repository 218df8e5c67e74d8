/* Events that replicas are to have: against a primary with two of them, and one that only plays. */
#include "bus/replicas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/publish.h"
#include "failing_alloc.h"
#include "redis_peer.h"
#include "scripted_redis.h"
#include "util/clock.h"

enum { REPLICAS = 2, PATIENCE_MS = 20000, OUTCOMES_MAX = 1000 };

static struct redis_server primary, replicas[REPLICAS];

/* What an event came to. */
struct outcome {
    struct scene *scene;
    unsigned calls, agains; /* of `done`, and those among them with AGAIN */
    unsigned place;         /* among all last words */
    unsigned so_far;        /* replicas at the last AGAIN */
    enum err err;
    struct bus_published published;
    char refusal[128];
};

struct scene {
    struct redis_link_options redis;
    struct redis_peer peer;
    struct bus_publish_options options;
    struct bus_publisher *publisher;
    struct scripted_redis scripted;
    unsigned done;
    bool frees; /* `done` frees the publisher */
    struct outcome outcomes[OUTCOMES_MAX];
};

static struct scene scene;

static int start_servers(void **state)
{
    (void)state;
    redis_server_start(&primary, NULL, false);
    for (unsigned i = 0; i < REPLICAS; i++) {
        redis_server_start_replica(&replicas[i], &primary);
    }
    return 0;
}

static int stop_servers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REPLICAS; i++) {
        redis_server_stop(&replicas[i]);
    }
    redis_server_stop(&primary);
    return 0;
}

static void open_scene(uint16_t port)
{
    const struct redis_server server = {.port = port};
    scene = (struct scene){
        .options = {.keys = {STR("guesslyfe:"), 1},
                    .history = {{5, 300}, {5, 300}, {5, 300}, {5, 300}},
                    .once_seconds = 100,
                    .wait_max_ms = 150},
        .redis = redis_peer_options(&server),
    };
    redis_peer_open(&scene.peer, &scene.redis);
    scene.publisher = bus_publisher_new(scene.peer.link, &scene.options);
    assert_non_null(scene.publisher);
    PUMP_UNTIL(scene.peer.loop, scene.peer.ups == 1);
}

static int set_up(void **state)
{
    (void)state;
    open_scene(primary.port);
    redis_peer_ask(&scene.peer, "FLUSHALL");
    redis_peer_ask(&scene.peer, "CONFIG RESETSTAT");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bus_publisher_free(scene.publisher);
    redis_peer_close(&scene.peer);
    return 0;
}

static void on_done(void *context, enum err err, const struct bus_published *published,
                    struct str refusal)
{
    struct outcome *outcome = context;
    struct scene *own = outcome->scene;
    outcome->calls++;
    outcome->err = err;
    if (published) {
        outcome->published = *published;
    }
    if (err == ERR_AGAIN) {
        outcome->agains++;
        outcome->so_far = published->replicas;
        return;
    }
    outcome->place = own->done++;
    snprintf(outcome->refusal, sizeof outcome->refusal, STR_FMT, STR_ARG(refusal));
    if (own->frees) {
        own->frees = false;
        bus_publisher_free(own->publisher);
        own->publisher = NULL;
    }
}

static struct room_name room(const char *text, enum room_kind kind)
{
    struct room_name name = {.kind = kind, .len = (unsigned char)strlen(text)};
    memcpy(name.text, text, name.len);
    return name;
}

/* One that the n-th outcome is about. */
static enum err send(unsigned n, unsigned wanted, const char *once, unsigned limit_ms)
{
    const struct room_name rooms[] = {room("market:1", ROOM_MARKET), room("user:x", ROOM_USER)};
    const struct bus_event event = {
        .name = STR("market:trade"),
        .rooms = rooms,
        .room_count = 2,
        .payload = STR("{}"),
        .once = str_from(once),
        .replicas = wanted,
        .until_ms = clock_monotonic_ms() + limit_ms,
    };
    scene.outcomes[n] = (struct outcome){.scene = &scene};
    return bus_publish(scene.publisher, &event, on_done, &scene.outcomes[n]);
}

/* Publishes and waits for the last word. */
static const struct outcome *publish(unsigned wanted, const char *once, unsigned limit_ms)
{
    scene.done = 0;
    assert_int_equal(send(0, wanted, once, limit_ms), OK);
    PUMP_UNTIL(scene.peer.loop, scene.done == 1);
    return &scene.outcomes[0];
}

static unsigned waits_sent(void)
{
    char answer[16384];
    redis_server_ask(&primary, "INFO commandstats", answer, sizeof answer);
    const char *found = strstr(answer, "cmdstat_wait:calls=");
    return found ? (unsigned)atoi(found + strlen("cmdstat_wait:calls=")) : 0;
}

/* --- With replicas --- */

static void test_replicas_confirm(void **state)
{
    (void)state;
    const struct outcome *outcome = publish(2, NULL, PATIENCE_MS);
    assert_int_equal(outcome->err, OK);
    assert_int_equal(outcome->published.replicas, 2);
    assert_in_range(outcome->agains, 1, 100);
    redis_peer_ask(&scene.peer, "LLEN guesslyfe:{0}:log:market:1");
    assert_string_equal(scene.peer.reply, "1");
}

static void test_nobody_is_asked_where_none_are_wanted(void **state)
{
    (void)state;
    const struct outcome *outcome = publish(0, NULL, 0);
    assert_int_equal(outcome->err, OK);
    assert_int_equal(outcome->calls, 1);
    assert_int_equal(outcome->published.replicas, 0);
    assert_int_equal(waits_sent(), 0);
}

static void test_too_few_end_with_the_time(void **state)
{
    (void)state;
    uint64_t before = clock_monotonic_ms();
    const struct outcome *outcome = publish(3, NULL, 300);
    uint64_t took = clock_monotonic_ms() - before;
    assert_int_equal(outcome->err, ERR_TIMEOUT);
    assert_int_equal(outcome->published.replicas, 2);
    assert_true(outcome->published.id > 0);
    assert_true(took >= 200);
    assert_true(outcome->agains >= 2); /* it learns of the two before */
    assert_int_equal(outcome->so_far, 2);
}

/* The retry writes nothing new, and must not count what is not there. */
static void test_a_duplicate_waits_for_the_first(void **state)
{
    (void)state;
    redis_server_pause(&replicas[0]);
    const struct outcome *outcome = publish(2, "key", 200);
    assert_int_equal(outcome->err, ERR_TIMEOUT);
    assert_int_equal(outcome->published.replicas, 1);
    redis_peer_close(&scene.peer);
    bus_publisher_free(scene.publisher);
    open_scene(primary.port); /* as another process would */
    outcome = publish(2, "key", 200);
    assert_int_equal(outcome->err, ERR_TIMEOUT);
    assert_true(outcome->published.duplicate);
    assert_int_equal(outcome->published.replicas, 1);
    redis_server_resume(&replicas[0]);
    outcome = publish(2, "key", PATIENCE_MS);
    assert_int_equal(outcome->err, OK);
    assert_true(outcome->published.duplicate);
    assert_int_equal(outcome->published.replicas, 2);
}

static void test_many_share_a_wait(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OUTCOMES_MAX; i++) {
        assert_int_equal(send(i, 2, NULL, PATIENCE_MS), OK);
    }
    PUMP_UNTIL(scene.peer.loop, scene.done == OUTCOMES_MAX);
    for (unsigned i = 0; i < OUTCOMES_MAX; i++) {
        assert_int_equal(scene.outcomes[i].err, OK);
        assert_int_equal(scene.outcomes[i].place, i);
    }
    assert_in_range(waits_sent(), 1, OUTCOMES_MAX / 10);
}

static void test_each_gets_what_it_wants(void **state)
{
    (void)state;
    assert_int_equal(send(0, 3, NULL, 1000), OK);
    assert_int_equal(send(1, 1, NULL, PATIENCE_MS), OK);
    assert_int_equal(send(2, 0, NULL, 0), OK);
    assert_int_equal(send(3, 2, NULL, PATIENCE_MS), OK);
    PUMP_UNTIL(scene.peer.loop, scene.done == 4);
    assert_int_equal(scene.outcomes[0].err, ERR_TIMEOUT);
    assert_int_equal(scene.outcomes[0].place, 3);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(scene.outcomes[i].err, OK);
    }
}

static void test_partitions_share_a_wait(void **state)
{
    (void)state;
    scene.options.keys.partitions = 8;
    const struct outcome *outcome = publish(2, "key", PATIENCE_MS);
    assert_int_equal(outcome->err, OK);
    assert_int_equal(waits_sent(), 1);
    redis_peer_ask(&scene.peer, "DBSIZE");
    assert_string_equal(scene.peer.reply, "6"); /* clock, key and log, twice */
}

static void test_a_forgotten_script_is_waited_for_too(void **state)
{
    (void)state;
    assert_int_equal(publish(2, NULL, PATIENCE_MS)->err, OK);
    scene.done = 0;
    for (unsigned i = 0; i < 20; i++) {
        if (i % 5 == 2) {
            assert_int_equal(redis_peer_tell(&scene.peer, "SCRIPT FLUSH"), OK);
        }
        assert_int_equal(send(i, 2, NULL, PATIENCE_MS), OK);
    }
    PUMP_UNTIL(scene.peer.loop, scene.done == 20);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(scene.outcomes[i].err, OK);
        assert_int_equal(scene.outcomes[i].published.replicas, 2);
    }
}

static void test_a_user_without_the_right_to_wait(void **state)
{
    (void)state;
    redis_peer_ask(&scene.peer, "ACL SETUSER hasty on >p ~* &* +@all -wait");
    struct redis_peer hasty;
    struct redis_link_options options = scene.redis;
    options.user = "hasty";
    options.password = "p";
    bus_publisher_free(scene.publisher);
    redis_peer_open(&hasty, &options);
    PUMP_UNTIL(hasty.loop, hasty.ups == 1);
    scene.publisher = bus_publisher_new(hasty.link, &scene.options);
    assert_int_equal(send(0, 1, NULL, PATIENCE_MS), OK);
    PUMP_UNTIL(hasty.loop, scene.done == 1);
    assert_int_equal(scene.outcomes[0].err, ERR_DENIED);
    assert_int_equal(scene.outcomes[0].agains, 1);
    assert_non_null(strstr(scene.outcomes[0].refusal, "NOPERM"));
    redis_peer_close(&hasty);
}

/* --- Ends --- */

static void test_freed_while_waiting(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send(i, 3, NULL, PATIENCE_MS), OK);
    }
    PUMP_UNTIL(scene.peer.loop, scene.outcomes[1].agains > 0);
    assert_int_equal(send(3, 3, NULL, PATIENCE_MS), OK); /* its call is in flight */
    bus_publisher_free(scene.publisher);
    scene.publisher = NULL;
    assert_int_equal(scene.done, 4);
    assert_int_equal(scene.outcomes[0].err, ERR_CLOSED);
    redis_peer_ask(&scene.peer, "PING"); /* behind all answers */
    assert_int_equal(scene.done, 4);
}

static void test_freed_by_one_of_several_that_are_told(void **state)
{
    (void)state;
    scene.frees = true;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(send(i, 2, NULL, PATIENCE_MS), OK);
    }
    PUMP_UNTIL(scene.peer.loop, scene.done == 4);
    assert_int_equal(scene.outcomes[0].err, OK);
    assert_int_equal(scene.outcomes[3].err, ERR_CLOSED);
    redis_peer_ask(&scene.peer, "PING");
}

static void test_a_lost_connection_leaves_all_unknown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send(i, 3, NULL, PATIENCE_MS), OK);
    }
    PUMP_UNTIL(scene.peer.loop, scene.outcomes[2].agains > 0);
    redis_peer_ask(&scene.peer, "CLIENT KILL TYPE normal SKIPME no");
    PUMP_UNTIL(scene.peer.loop, scene.done == 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(scene.outcomes[i].err, ERR_CLOSED);
    }
    PUMP_UNTIL(scene.peer.loop, scene.peer.ups == 2);
    assert_int_equal(publish(2, NULL, PATIENCE_MS)->err, OK);
}

static void publish_or_nothing(void *context)
{
    (void)context;
    PUMP_UNTIL(scene.peer.loop, redis_link_state(scene.peer.link) == REDIS_LINK_UP);
    scene.done = 0;
    enum err err = send(0, 2, "key", PATIENCE_MS);
    if (err) {
        assert_int_equal(err, ERR_NOMEM);
        assert_int_equal(scene.outcomes[0].calls, 0);
        return;
    }
    PUMP_UNTIL(scene.peer.loop, scene.done == 1);
    enum err last = scene.outcomes[0].err;
    assert_true(last == OK || last == ERR_CLOSED || last == ERR_NOMEM);
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    failing_alloc_each(publish_or_nothing, NULL);
    scene.options.keys.partitions = 8;
    failing_alloc_each(publish_or_nothing, NULL);
    assert_int_equal(publish(2, NULL, PATIENCE_MS)->err, OK);
}

static void make_publisher(void *context)
{
    (void)context;
    bus_publisher_free(bus_publisher_new(scene.peer.link, &scene.options));
}

static void test_birth_may_fail(void **state)
{
    (void)state;
    failing_alloc_each(make_publisher, NULL);
}

/* --- Answers of a primary that only plays --- */

static const struct outcome *play(const char *const *waits, unsigned limit_ms)
{
    struct scripted_redis scripted;
    scripted_redis_start(&scripted, waits);
    open_scene(scripted.port);
    const struct outcome *outcome = publish(2, NULL, limit_ms);
    tear_down(NULL);
    scripted_redis_stop(&scripted);
    scene.scripted = scripted; /* for its log */
    return outcome;
}

static void test_waits_follow_one_another(void **state)
{
    (void)state;
    static const char *const waits[] = {":0", ":1", ":0", ":2", NULL};
    const struct outcome *outcome = play(waits, PATIENCE_MS);
    assert_int_equal(outcome->err, OK);
    assert_int_equal(outcome->published.replicas, 2);
    assert_int_equal(outcome->agains, 4);
    assert_int_equal(outcome->so_far, 1);
    assert_string_equal(scene.scripted.log, " E W2,50 W2,100 W2,150 W2,150");
}

/* Redis is to answer while there is still time, and 0 would be forever. */
static void test_a_wait_is_as_short_as_the_time(void **state)
{
    (void)state;
    static const char *const waits[] = {":1", NULL};
    const struct outcome *outcome = play(waits, 40);
    unsigned ms = 0;
    assert_int_equal(outcome->err, ERR_TIMEOUT);
    assert_int_equal(sscanf(scene.scripted.log, " E W2,%u", &ms), 1);
    assert_in_range(ms, 1, 30);
    assert_null(strstr(scene.scripted.log, ",0"));
    outcome = play(waits, 0);
    assert_int_equal(outcome->err, ERR_TIMEOUT);
    assert_string_equal(scene.scripted.log, " E W2,1");
}

static void test_refusals_and_nonsense(void **state)
{
    (void)state;
    static const char *const unknown[] = {"-ERR unknown command 'WAIT'", NULL};
    assert_int_equal(play(unknown, PATIENCE_MS)->err, ERR_DENIED);
    assert_string_equal(scene.outcomes[0].refusal, "ERR unknown command 'WAIT'");
    static const char *const demoted[] = {"-UNBLOCKED force unblock from blocking operation", NULL};
    assert_int_equal(play(demoted, PATIENCE_MS)->err, ERR_CLOSED);
    static const char *const nonsense[] = {"+OK", NULL};
    assert_int_equal(play(nonsense, PATIENCE_MS)->err, ERR_PROTO);
    static const char *const negative[] = {":-1", NULL};
    assert_int_equal(play(negative, PATIENCE_MS)->err, ERR_PROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_replicas_confirm),
        TEST(test_nobody_is_asked_where_none_are_wanted),
        TEST(test_too_few_end_with_the_time),
        TEST(test_a_duplicate_waits_for_the_first),
        TEST(test_many_share_a_wait),
        TEST(test_each_gets_what_it_wants),
        TEST(test_partitions_share_a_wait),
        TEST(test_a_forgotten_script_is_waited_for_too),
        TEST(test_a_user_without_the_right_to_wait),
        TEST(test_freed_while_waiting),
        TEST(test_freed_by_one_of_several_that_are_told),
        TEST(test_a_lost_connection_leaves_all_unknown),
        TEST(test_each_allocation_may_fail),
        TEST(test_birth_may_fail),
        cmocka_unit_test(test_waits_follow_one_another),
        cmocka_unit_test(test_a_wait_is_as_short_as_the_time),
        cmocka_unit_test(test_refusals_and_nonsense),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}

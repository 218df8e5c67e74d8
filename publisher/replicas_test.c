/* The library where replicas are to have the event. */
#include <guesslyfe/publisher.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "redis_server.h"
#include "scripted_redis.h"
#include "util/clock.h"

enum { MANY = 5000 };

static struct redis_server primary, replica;

static int start_servers(void **state)
{
    (void)state;
    redis_server_start(&primary, NULL, false);
    redis_server_start_replica(&replica, &primary);
    return 0;
}

static int stop_servers(void **state)
{
    (void)state;
    redis_server_stop(&replica);
    redis_server_stop(&primary);
    return 0;
}

static struct glyfe_publisher *open_publisher(uint16_t port, const char *more)
{
    char setting[32], complaint[256];
    snprintf(setting, sizeof setting, "REDIS_PORT=%u", (unsigned)port);
    const char *settings[] = {setting, "REDIS_BACKOFF_MIN=10", "REDIS_BACKOFF_MAX=50", more, NULL};
    struct glyfe_publisher *publisher = glyfe_publisher_open(settings, complaint, sizeof complaint);
    if (!publisher) {
        fail_msg("%s", complaint);
    }
    return publisher;
}

static enum glyfe_error publish(struct glyfe_publisher *publisher, const char *key,
                                struct glyfe_result *result)
{
    return glyfe_publish(publisher, "system:maintenance", "{\"enabled\":true,\"message\":\"m\"}",
                         key, result);
}

static void expect_ok(const struct glyfe_publisher *publisher, enum glyfe_error error)
{
    if (error) {
        fail_msg("%s", glyfe_publisher_error(publisher));
    }
}

static void expect_error(const struct glyfe_publisher *publisher, enum glyfe_error error,
                         enum glyfe_error expected, const char *words)
{
    assert_string_equal(glyfe_error_name(error), glyfe_error_name(expected));
    if (!strstr(glyfe_publisher_error(publisher), words)) {
        fail_msg("\"%s\" does not say \"%s\"", glyfe_publisher_error(publisher), words);
    }
}

static void a_replica_confirms(void **state)
{
    (void)state;
    struct glyfe_publisher *publisher = open_publisher(primary.port, "PUBLISH_WAIT_REPLICAS=1");
    struct glyfe_result result;
    expect_ok(publisher, publish(publisher, NULL, &result));
    assert_int_equal(result.replicas, 1);
    glyfe_publisher_set_wait_replicas(publisher, 0);
    expect_ok(publisher, publish(publisher, NULL, &result));
    assert_int_equal(result.replicas, 0);
    glyfe_publisher_close(publisher);
}

static void too_few_replicas_are_an_error_in_time(void **state)
{
    (void)state;
    struct glyfe_publisher *publisher = open_publisher(primary.port, NULL);
    expect_ok(publisher, publish(publisher, NULL, NULL));
    glyfe_publisher_set_wait_replicas(publisher, 2);
    glyfe_publisher_set_timeout(publisher, 200);
    uint64_t before = clock_monotonic_ms();
    expect_error(publisher, publish(publisher, NULL, NULL), GLYFE_ERROR_NOT_REPLICATED,
                 "written to the primary, but only 1 of 2 replicas confirmed it in time; repeat it "
                 "with an idempotency key");
    uint64_t took = clock_monotonic_ms() - before;
    assert_in_range(took, 150, 2000);
    expect_error(publisher, publish(publisher, "k", NULL), GLYFE_ERROR_NOT_REPLICATED,
                 "with the same idempotency key");
    glyfe_publisher_close(publisher);
}

/* Longer than REDIS_REPLY_TIMEOUT, after which a silent connection counts as lost. */
static void waiting_is_no_silence(void **state)
{
    (void)state;
    struct glyfe_publisher *publisher = open_publisher(primary.port, "REDIS_REPLY_TIMEOUT=800");
    glyfe_publisher_set_wait_replicas(publisher, 2);
    glyfe_publisher_set_timeout(publisher, 2500);
    expect_error(publisher, publish(publisher, NULL, NULL), GLYFE_ERROR_NOT_REPLICATED, "1 of 2");
    glyfe_publisher_close(publisher);
}

struct tally {
    unsigned ok, failed;
    uint64_t last_id;
    bool in_order;
};

static void count(void *context, enum glyfe_error error, const struct glyfe_result *result,
                  const char *message)
{
    struct tally *tally = context;
    (void)message;
    assert_true((error == GLYFE_OK) == (result != NULL));
    if (result) {
        assert_int_equal(result->replicas, 1);
        tally->in_order &= result->id > tally->last_id;
        tally->last_id = result->id;
    }
    tally->ok += error == GLYFE_OK;
    tally->failed += error != GLYFE_OK;
}

static void submit(struct glyfe_publisher *publisher, const char *key, struct tally *tally)
{
    enum glyfe_error error = glyfe_submit(
        publisher, "system:maintenance", "{\"enabled\":true,\"message\":\"m\"}", key, count, tally);
    expect_ok(publisher, error);
}

static void many_wait_together(void **state)
{
    (void)state;
    struct glyfe_publisher *publisher = open_publisher(primary.port, "PUBLISH_WAIT_REPLICAS=1");
    struct tally tally = {.in_order = true};
    for (unsigned i = 0; i < MANY; i++) {
        submit(publisher, NULL, &tally);
    }
    expect_ok(publisher, glyfe_flush(publisher));
    assert_int_equal(tally.ok, MANY);
    assert_true(tally.in_order);
    glyfe_publisher_close(publisher);
}

static void closing_ends_the_waiting(void **state)
{
    (void)state;
    struct glyfe_publisher *publisher = open_publisher(primary.port, "PUBLISH_WAIT_REPLICAS=1");
    struct tally tally = {0};
    expect_ok(publisher, publish(publisher, NULL, NULL));
    glyfe_publisher_set_wait_replicas(publisher, 2);
    for (unsigned i = 0; i < 100; i++) {
        submit(publisher, i % 2 ? "k" : NULL, &tally);
    }
    glyfe_publisher_close(publisher);
    assert_int_equal(tally.failed, 100);
}

/* --- What a real one does too rarely --- */

static enum glyfe_error play(const char *const *waits, unsigned replicas, const char *key,
                             struct scripted_redis *redis, struct glyfe_publisher **ret_publisher)
{
    scripted_redis_start(redis, waits);
    *ret_publisher = open_publisher(redis->port, "PUBLISH_TIMEOUT=2000");
    glyfe_publisher_set_wait_replicas(*ret_publisher, replicas);
    return publish(*ret_publisher, key, NULL);
}

static void end_play(struct scripted_redis *redis, struct glyfe_publisher *publisher)
{
    glyfe_publisher_close(publisher);
    scripted_redis_stop(redis);
}

static void a_lost_connection_repeats_and_waits_again(void **state)
{
    (void)state;
    static const char *const waits[] = {SCRIPTED_HANG_UP, ":0", ":1", NULL};
    struct scripted_redis redis;
    struct glyfe_publisher *publisher;
    enum glyfe_error error = play(waits, 1, "k", &redis, &publisher);
    expect_ok(publisher, error);
    end_play(&redis, publisher);
    assert_string_equal(redis.log, " E W1,50 E W1,50 W1,100");
}

static void a_lost_connection_without_a_key_is_unknown(void **state)
{
    (void)state;
    static const char *const waits[] = {SCRIPTED_HANG_UP, ":1", NULL};
    struct scripted_redis redis;
    struct glyfe_publisher *publisher;
    enum glyfe_error error = play(waits, 1, NULL, &redis, &publisher);
    expect_error(publisher, error, GLYFE_ERROR_UNKNOWN, "broke before replicas confirmed");
    end_play(&redis, publisher);
    assert_string_equal(redis.log, " E W1,50");
}

/* It is known to be written, and how far: not merely unknown. */
static void a_wait_without_an_answer_ends_with_the_time(void **state)
{
    (void)state;
    static const char *const waits[] = {":1", SCRIPTED_SILENCE, NULL};
    struct scripted_redis redis;
    struct glyfe_publisher *publisher;
    enum glyfe_error error = play(waits, 2, NULL, &redis, &publisher);
    expect_error(publisher, error, GLYFE_ERROR_NOT_REPLICATED, "only 1 of 2 replicas");
    end_play(&redis, publisher);
}

static void a_refused_wait_says_so(void **state)
{
    (void)state;
    static const char *const waits[] = {"-NOPERM no rights to run the 'wait' command", NULL};
    struct scripted_redis redis;
    struct glyfe_publisher *publisher;
    enum glyfe_error error = play(waits, 1, "k", &redis, &publisher);
    expect_error(publisher, error, GLYFE_ERROR_REFUSED,
                 "Redis refused to wait for replicas, the event is written: NOPERM");
    end_play(&redis, publisher);
}

/* --- Without memory --- */

static void count_end(void *context, enum glyfe_error error, const struct glyfe_result *result,
                      const char *message)
{
    unsigned *told = context;
    (void)message;
    assert_true((error == GLYFE_OK) == (result != NULL));
    ++*told;
}

static void live(void *context)
{
    unsigned *lives = context, taken = 0, told = 0;
    char port[32];
    snprintf(port, sizeof port, "REDIS_PORT=%u", (unsigned)primary.port);
    const char *const settings[] = {port, "REDIS_BACKOFF_MIN=1", "REDIS_BACKOFF_MAX=1",
                                    "PUBLISH_WAIT_REPLICAS=1", NULL};
    struct glyfe_publisher *publisher = glyfe_publisher_open(settings, NULL, 0);
    if (!publisher) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        enum glyfe_error error =
            glyfe_submit(publisher, "system:maintenance", "{\"enabled\":true,\"message\":\"m\"}",
                         i == 1 ? "k" : NULL, count_end, &told);
        taken += error == GLYFE_OK;
    }
    assert_int_equal(glyfe_flush(publisher), GLYFE_OK);
    assert_int_equal(told, taken);
    ++*lives;
    glyfe_publisher_close(publisher);
}

static void each_event_ends_once_whatever_allocation_fails(void **state)
{
    (void)state;
    unsigned lives = 0;
    failing_alloc_each(live, &lives);
    assert_true(lives > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_confirms),
        cmocka_unit_test(too_few_replicas_are_an_error_in_time),
        cmocka_unit_test(waiting_is_no_silence),
        cmocka_unit_test(many_wait_together),
        cmocka_unit_test(closing_ends_the_waiting),
        cmocka_unit_test(a_lost_connection_repeats_and_waits_again),
        cmocka_unit_test(a_lost_connection_without_a_key_is_unknown),
        cmocka_unit_test(a_wait_without_an_answer_ends_with_the_time),
        cmocka_unit_test(a_refused_wait_says_so),
        cmocka_unit_test(each_event_ends_once_whatever_allocation_fails),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}

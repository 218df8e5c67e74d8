/* The library against a real Redis. */
#include <guesslyfe/publisher.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redis_server.h"
#include "util/attr.h"
#include "util/clock.h"

struct fixture {
    struct redis_server server;
    struct glyfe_publisher *publisher;
    char answer[4096];
};

static struct glyfe_publisher *open_publisher(const struct redis_server *server, const char *more)
{
    char port[32], complaint[256];
    snprintf(port, sizeof port, "REDIS_PORT=%u", (unsigned)server->port);
    const char *settings[] = {port, "REDIS_BACKOFF_MIN=10", "REDIS_BACKOFF_MAX=50", more, NULL};
    struct glyfe_publisher *publisher = glyfe_publisher_open(settings, complaint, sizeof complaint);
    if (!publisher) {
        fail_msg("%s", complaint);
    }
    return publisher;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) {
        return -1;
    }
    redis_server_start(&f->server, NULL, false);
    f->publisher = open_publisher(&f->server, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    glyfe_publisher_close(f->publisher);
    redis_server_stop(&f->server);
    free(f);
    return 0;
}

static const char *ask(struct fixture *f, const char *command)
{
    redis_server_ask(&f->server, command, f->answer, sizeof f->answer);
    return f->answer;
}

#define DATA "{\"enabled\":true,\"message\":\"m\"}"

static enum glyfe_error publish(struct fixture *f, const char *key, struct glyfe_result *result)
{
    return glyfe_publish(f->publisher, "system:maintenance", DATA, key, result);
}

static void expect_error(struct fixture *f, enum glyfe_error error, enum glyfe_error expected,
                         const char *words)
{
    assert_string_equal(glyfe_error_name(error), glyfe_error_name(expected));
    if (!strstr(glyfe_publisher_error(f->publisher), words)) {
        fail_msg("\"%s\" does not say \"%s\"", glyfe_publisher_error(f->publisher), words);
    }
}

static void expect_ok(struct fixture *f, enum glyfe_error error)
{
    if (error) {
        fail_msg("%s", glyfe_publisher_error(f->publisher));
    }
}

static void a_typed_event_is_stored(void **state)
{
    struct fixture *f = *state;
    const struct glyfe_market_trade trade = {
        .market_id = "7",
        .trade_id = "t",
        .trader = "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        .direction = GLYFE_MARKET_TRADE_DIRECTION_SELL,
        .outcome = 1,
        .amount = "1",
        .shares = "2",
        .price = "3",
        .new_yes_price = "4",
        .new_no_price = "5",
    };
    struct glyfe_result result;
    expect_ok(f, glyfe_publish_market_trade(f->publisher, &trade, NULL, &result));
    assert_string_equal(result.rooms, "market:7,user:0x8617e340b3d01fa5f11f306f4090fd50e238070d");
    assert_true(result.id > 1000000000000000);
    assert_int_equal(result.receivers, 0);
    assert_false(result.duplicate);
    assert_non_null(strstr(ask(f, "LRANGE guesslyfe:{0}:log:market:7 0 -1"),
                           "\"direction\":\"sell\",\"outcome\":1,"));
}

static void refused_data_is_not_sent(void **state)
{
    struct fixture *f = *state;
    const struct glyfe_system_announcement nothing = {0};
    expect_error(f, glyfe_publish_system_announcement(f->publisher, &nothing, NULL, NULL),
                 GLYFE_ERROR_INVALID, "data.id: expected a string, got nothing");
    expect_error(f, glyfe_publish(f->publisher, "notification", "{\"x\":1}", NULL, NULL),
                 GLYFE_ERROR_INVALID, "data.x: unknown field of notification");
    expect_error(f, glyfe_publish(f->publisher, "nothing", DATA, NULL, NULL), GLYFE_ERROR_INVALID,
                 "there is no event \"nothing\"");
    expect_error(f, publish(f, "a b", NULL), GLYFE_ERROR_INVALID, "idempotency key");
    expect_error(f, publish(f, "", NULL), GLYFE_ERROR_INVALID, "idempotency key");
    assert_string_equal(ask(f, "DBSIZE"), ":0\r\n");
}

static void a_key_is_written_once(void **state)
{
    struct fixture *f = *state;
    struct glyfe_result first, second;
    expect_ok(f, publish(f, "k", &first));
    expect_ok(f, publish(f, "k", &second));
    assert_false(first.duplicate);
    assert_true(second.duplicate);
    assert_int_equal(first.id, second.id);
    assert_string_equal(ask(f, "LLEN guesslyfe:{0}:log:global:all"), ":1\r\n");
}

static void nobody_listening_is_known_at_once(void **state)
{
    struct fixture *f = *state;
    redis_server_kill(&f->server);
    uint64_t before = clock_monotonic_ms();
    expect_error(f, publish(f, "k", NULL), GLYFE_ERROR_UNREACHABLE, "nothing was written");
    assert_true(clock_monotonic_ms() - before < 5000);
}

static void a_lost_redis_is_waited_for(void **state)
{
    struct fixture *f = *state;
    expect_ok(f, publish(f, NULL, NULL));
    redis_server_kill(&f->server);
    glyfe_publisher_set_timeout(f->publisher, 200);
    uint64_t before = clock_monotonic_ms();
    expect_error(f, publish(f, NULL, NULL), GLYFE_ERROR_UNREACHABLE, "Connection refused");
    assert_true(clock_monotonic_ms() - before >= 190);
}

/* The loss of an idle connection must not cost an event. */
static void a_restart_between_events_goes_unnoticed(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        expect_ok(f, publish(f, NULL, NULL));
        redis_server_kill(&f->server);
        redis_server_start_again(&f->server);
    }
    expect_ok(f, publish(f, NULL, NULL));
}

static void silence_after_sending_is_unknown(void **state)
{
    struct fixture *f = *state;
    expect_ok(f, publish(f, NULL, NULL));
    glyfe_publisher_set_timeout(f->publisher, 200);
    redis_server_pause(&f->server);
    expect_error(f, publish(f, NULL, NULL), GLYFE_ERROR_UNKNOWN, "with an idempotency key");
    expect_error(f, publish(f, "k", NULL), GLYFE_ERROR_UNKNOWN, "with the same idempotency key");
    redis_server_resume(&f->server);
    glyfe_publisher_set_timeout(f->publisher, 10000);
    struct glyfe_result result;
    expect_ok(f, publish(f, "k", &result));
    assert_true(result.duplicate);
    assert_string_equal(ask(f, "LLEN guesslyfe:{0}:log:global:all"), ":3\r\n");
}

static void silence_before_sending_writes_nothing(void **state)
{
    struct fixture *f = *state;
    glyfe_publisher_set_timeout(f->publisher, 200);
    redis_server_pause(&f->server);
    expect_error(f, publish(f, NULL, NULL), GLYFE_ERROR_UNREACHABLE, "nothing was written");
    redis_server_resume(&f->server);
    assert_string_equal(ask(f, "DBSIZE"), ":0\r\n");
}

static void a_full_redis_refuses(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(ask(f, "CONFIG SET maxmemory 1"), "+OK\r\n");
    expect_error(f, publish(f, NULL, NULL), GLYFE_ERROR_REFUSED, "OOM");
    assert_string_equal(ask(f, "CONFIG SET maxmemory 0"), "+OK\r\n");
    expect_ok(f, publish(f, NULL, NULL));
}

static void a_replica_refuses(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(ask(f, "REPLICAOF 127.0.0.1 1"), "+OK\r\n");
    enum glyfe_error error = publish(f, NULL, NULL);
    expect_error(f, error, GLYFE_ERROR_REFUSED, "Redis refused");
}

static void a_password_is_needed_and_used(void **state)
{
    (void)state;
    static const char *const locked[] = {"--requirepass", "secret", NULL};
    struct fixture f = {0};
    redis_server_start(&f.server, locked, false);
    f.publisher = open_publisher(&f.server, NULL);
    expect_error(&f, publish(&f, NULL, NULL), GLYFE_ERROR_REFUSED, "NOAUTH");
    glyfe_publisher_close(f.publisher);
    f.publisher = open_publisher(&f.server, "REDIS_PASSWORD=wrong");
    expect_error(&f, publish(&f, NULL, NULL), GLYFE_ERROR_REFUSED, "WRONGPASS");
    glyfe_publisher_close(f.publisher);
    f.publisher = open_publisher(&f.server, "REDIS_PASSWORD=secret");
    expect_ok(&f, publish(&f, NULL, NULL));
    glyfe_publisher_close(f.publisher);
    redis_server_stop(&f.server);
}

/* What many submitted events came to. */
struct tally {
    struct glyfe_publisher *publisher;
    unsigned ok, failed;
    bool in_order;
    uint64_t last_id;
    enum glyfe_error error, nested;
};

static void count(void *context, enum glyfe_error error, const struct glyfe_result *result,
                  const char *message)
{
    struct tally *tally = context;
    assert_true((error == GLYFE_OK) == (result != NULL));
    assert_non_null(message);
    if (error) {
        tally->failed++;
        tally->error = error;
        return;
    }
    tally->ok++;
    tally->in_order &= result->id > tally->last_id;
    tally->last_id = result->id;
    if (tally->publisher) {
        tally->nested = glyfe_flush(tally->publisher);
    }
}

static void submit(struct fixture *f, const char *key, struct tally *tally)
{
    expect_ok(f, glyfe_submit(f->publisher, "system:maintenance", DATA, key, count, tally));
}

static void ten_thousand_events_share_round_trips(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {.in_order = true};
    assert_string_equal(ask(f, "CONFIG RESETSTAT"), "+OK\r\n");
    for (unsigned i = 0; i < 10000; i++) {
        submit(f, NULL, &tally);
        assert_true(glyfe_pending(f->publisher) <= 1000);
    }
    expect_ok(f, glyfe_flush(f->publisher));
    assert_int_equal(tally.ok, 10000);
    assert_int_equal(glyfe_pending(f->publisher), 0);
    assert_true(tally.in_order);
}

static void a_callback_may_not_call_back(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {.publisher = f->publisher};
    submit(f, NULL, &tally);
    expect_ok(f, glyfe_flush(f->publisher));
    assert_int_equal(tally.nested, GLYFE_ERROR_MISUSE);
}

static void closing_ends_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {0};
    expect_ok(f, publish(f, NULL, NULL));
    redis_server_pause(&f->server);
    for (unsigned i = 0; i < 100; i++) {
        submit(f, i % 2 ? "k" : NULL, &tally);
    }
    assert_int_equal(tally.failed, 0);
    glyfe_publisher_close(f->publisher);
    f->publisher = NULL;
    assert_int_equal(tally.failed, 100);
    redis_server_resume(&f->server);
}

static void a_submitted_event_needs_no_callback(void **state)
{
    struct fixture *f = *state;
    expect_ok(f, glyfe_submit(f->publisher, "system:maintenance", DATA, NULL, NULL, NULL));
    expect_ok(f, glyfe_flush(f->publisher));
    assert_string_equal(ask(f, "LLEN guesslyfe:{0}:log:global:all"), ":1\r\n");
}

/* Events with keys are sent again, in their order, on the next connection. */
static void a_crash_in_the_middle_loses_no_keyed_event(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {.in_order = true};
    expect_ok(f, publish(f, NULL, NULL));
    redis_server_pause(&f->server);
    for (unsigned i = 0; i < 500; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        submit(f, key, &tally);
    }
    redis_server_kill(&f->server);
    redis_server_start_again(&f->server);
    expect_ok(f, glyfe_flush(f->publisher));
    assert_int_equal(tally.ok, 500);
    assert_true(tally.in_order);
    assert_string_equal(ask(f, "EXISTS guesslyfe:{0}:once:k0 guesslyfe:{0}:once:k499"), ":2\r\n");
}

static void a_crash_in_the_middle_leaves_others_unknown(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {0};
    expect_ok(f, publish(f, NULL, NULL));
    redis_server_pause(&f->server);
    for (unsigned i = 0; i < 500; i++) {
        submit(f, NULL, &tally);
    }
    redis_server_kill(&f->server);
    redis_server_start_again(&f->server);
    expect_ok(f, glyfe_flush(f->publisher));
    assert_int_equal(tally.ok + tally.failed, 500);
    assert_true(tally.failed >= 400); /* the last ones had not been sent */
    assert_int_equal(tally.error, GLYFE_ERROR_UNKNOWN);
}

static void wrong_settings_give_no_publisher(void **state)
{
    (void)state;
    char complaint[256] = "";
    const char *const settings[] = {"REDIS_PORT=none", NULL};
    assert_null(glyfe_publisher_open(settings, complaint, sizeof complaint));
    assert_non_null(strstr(complaint, "REDIS_PORT"));
    assert_null(glyfe_publisher_open(settings, NULL, 0));
}

int main(void)
{
#define WITH_REDIS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_REDIS(a_typed_event_is_stored),
        WITH_REDIS(refused_data_is_not_sent),
        WITH_REDIS(a_key_is_written_once),
        WITH_REDIS(nobody_listening_is_known_at_once),
        WITH_REDIS(a_lost_redis_is_waited_for),
        WITH_REDIS(a_restart_between_events_goes_unnoticed),
        WITH_REDIS(silence_after_sending_is_unknown),
        WITH_REDIS(silence_before_sending_writes_nothing),
        WITH_REDIS(a_full_redis_refuses),
        WITH_REDIS(a_replica_refuses),
        cmocka_unit_test(a_password_is_needed_and_used),
        WITH_REDIS(ten_thousand_events_share_round_trips),
        WITH_REDIS(a_callback_may_not_call_back),
        WITH_REDIS(closing_ends_what_is_under_way),
        WITH_REDIS(a_submitted_event_needs_no_callback),
        WITH_REDIS(a_crash_in_the_middle_loses_no_keyed_event),
        WITH_REDIS(a_crash_in_the_middle_leaves_others_unknown),
        cmocka_unit_test(wrong_settings_give_no_publisher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A gateway's entry in a real Redis: from its start to its end, and over a restart of Redis. */
#include "ops/heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/drain.h"
#include "redis_peer.h"
#include "util/clock.h"

enum { BEAT_MS = 100 };

struct world {
    struct redis_server redis;
    struct redis_link_options redis_options;
    struct app_options app_options;
    struct eio_server_options eio_options;
    struct loop *loop;
    struct app *app;
    struct eio_server *engine;
    struct net_server *net;
    struct ops_drain drain;
    struct ops_heartbeat heartbeat;
    char answer[1024];
};

static struct world world;

static int set_up(void **state)
{
    static const struct net_server_ops net_ops = {0};
    struct net_server_options net = {.host = "127.0.0.1", .backlog = 1, .max_connections = 1};
    struct buf complaint = {0};
    (void)state;
    world = (struct world){0};
    redis_server_start(&world.redis, NULL, false);
    world.redis_options = redis_peer_options(&world.redis);
    world.app_options = (struct app_options){.heartbeat_ms = BEAT_MS,
                                             .bus = {.keys = {STR("guesslyfe:"), 1},
                                                     .redis = &world.redis_options,
                                                     .batch = 1,
                                                     .gateway_id = "gateway",
                                                     .probe_interval_ms = 1000}};
    world.eio_options.max_sessions = 55;
    world.loop = loop_new();
    world.app = app_new(world.loop, &world.app_options);
    world.engine = eio_server_new(world.loop, &world.eio_options, NULL, NULL);
    assert_int_equal(net_server_open(world.loop, &net, &net_ops, NULL, &world.net, &complaint), OK);
    struct ops_sources sources = {.app = world.app,
                                  .engine = world.engine,
                                  .net = world.net,
                                  .drain = &world.drain,
                                  .started_ms = 1700000000042};
    struct bus_gateway entry = {.id = "gateway", .version = "1.2.3", .worker = 7, .port = 3000};
    ops_heartbeat_start(&world.heartbeat, world.loop, &sources, &entry, BEAT_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ops_heartbeat_stop(&world.heartbeat);
    net_server_free(world.net);
    eio_server_free(world.engine);
    app_free(world.app);
    loop_free(world.loop);
    redis_server_stop(&world.redis);
    return 0;
}

static const char *ask(const char *command)
{
    redis_server_ask(&world.redis, command, world.answer, sizeof world.answer);
    return world.answer;
}

/* The present entry; false: there is none. */
static bool read_entry(struct bus_gateway *ret_entry)
{
    const char *object = strchr(ask("GET guesslyfe:gateway:gateway"), '{');
    return object && !bus_gateway_parse(str_range(object, strcspn(object, "\r")), ret_entry);
}

static struct bus_gateway entry_when(bool (*holds)(const struct bus_gateway *entry))
{
    struct bus_gateway entry = {0};
    PUMP_UNTIL(world.loop, read_entry(&entry) && holds(&entry));
    return entry;
}

static bool is_ready(const struct bus_gateway *entry)
{
    return entry->ready;
}

static bool is_draining(const struct bus_gateway *entry)
{
    return entry->draining;
}

static void it_says_who_and_how(void **state)
{
    (void)state;
    char host[BUS_HOST_MAX + 1] = "";
    struct bus_gateway entry = entry_when(is_ready);
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    assert_string_equal(entry.id, "gateway");
    assert_string_equal(entry.version, "1.2.3");
    assert_string_equal(entry.host, host);
    assert_int_equal(entry.pid, getpid());
    assert_int_equal(entry.worker, 7);
    assert_int_equal(entry.port, 3000);
    assert_int_equal(entry.max_connections, 55);
    assert_true(entry.started_ms == 1700000000042);
    assert_true(entry.time_ms + 30000 > (uint64_t)clock_wall_ms());
    assert_in_range(entry.probe_age_ms, 0, 30000);
    assert_int_equal(entry.lag_ms, 0);
    assert_false(entry.draining);
}

static void it_is_written_again_and_again(void **state)
{
    (void)state;
    struct bus_gateway first = entry_when(is_ready), later;
    PUMP_UNTIL(world.loop, read_entry(&later) && later.time_ms >= first.time_ms + 3 * BEAT_MS);
    assert_non_null(strstr(ask("ZRANGE guesslyfe:gateways 0 -1"), "gateway"));
}

/* However long it is until the next heartbeat. */
static void that_it_drains_is_told_at_once(void **state)
{
    (void)state;
    entry_when(is_ready);
    world.heartbeat.interval_ms = 60000;
    world.drain.state = OPS_DRAIN_DELAY;
    ops_heartbeat_now(&world.heartbeat);
    struct bus_gateway entry = entry_when(is_draining);
    assert_false(entry.ready);
}

static void a_lag_is_told_for_a_while(void **state)
{
    (void)state;
    struct bus_gateway entry = entry_when(is_ready);
    world.app->delivery.stats.lag_ms = 1234;
    world.app->delivery.stats.lag_at_ms = clock_wall_ms();
    PUMP_UNTIL(world.loop, read_entry(&entry) && entry.lag_ms == 1234);
    world.app->delivery.stats.lag_at_ms = clock_wall_ms() - 10001;
    PUMP_UNTIL(world.loop, read_entry(&entry) && entry.lag_ms == 0);
}

static void it_is_there_again_with_redis(void **state)
{
    (void)state;
    entry_when(is_ready);
    redis_server_kill(&world.redis);
    PUMP_UNTIL(world.loop, !bus_subscriber_connected(world.app->subscriber));
    redis_server_start_again(&world.redis); /* empty */
    entry_when(is_ready);
}

static void it_goes_with_the_gateway(void **state)
{
    (void)state;
    entry_when(is_ready);
    ops_heartbeat_stop(&world.heartbeat);
    PUMP_UNTIL(world.loop, bus_store_waiting(bus_subscriber_store(world.app->subscriber)) == 0);
    assert_string_equal(ask("EXISTS guesslyfe:gateway:gateway guesslyfe:gateways"), ":0\r\n");
}

/* None waits behind another for a Redis that does not answer. */
static void there_is_one_at_a_time(void **state)
{
    (void)state;
    entry_when(is_ready);
    struct bus_store *store = bus_subscriber_store(world.app->subscriber);
    redis_server_pause(&world.redis);
    uint64_t until = clock_monotonic_ms() + 8 * BEAT_MS;
    while (clock_monotonic_ms() < until) {
        assert_int_equal(loop_turn(world.loop, 20), OK);
        /* And what the bus itself asks: its probes' round, twice at most. */
        assert_in_range(bus_store_waiting(store), 0, 1 + 2 * 4);
    }
    assert_non_null(world.heartbeat.request);
    redis_server_resume(&world.redis);
    entry_when(is_ready);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(it_says_who_and_how),
        IN_WORLD(it_is_written_again_and_again),
        IN_WORLD(that_it_drains_is_told_at_once),
        IN_WORLD(a_lag_is_told_for_a_while),
        IN_WORLD(it_is_there_again_with_redis),
        IN_WORLD(it_goes_with_the_gateway),
        IN_WORLD(there_is_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

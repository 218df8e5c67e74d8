#include "ops/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"

/* A gateway's rooms before the loop's first turn: nobody was there, nor Redis. */
struct world {
    struct redis_link_options redis;
    struct app_options app_options;
    struct eio_server_options eio_options;
    struct loop *loop;
    struct app *app;
    struct eio_server *engine;
    struct net_server *net;
    struct ops_sources sources;
    struct buf out;
};

static int set_up(void **state)
{
    static const struct net_server_ops net_ops = {0};
    static struct world world;
    struct net_server_options net = {.host = "127.0.0.1", .backlog = 1, .max_connections = 1};
    world = (struct world){.redis = {.host = "127.0.0.1", .port = 1}};
    world.app_options = (struct app_options){
        .recent_bytes = 1000,
        .bus = {.keys = {STR("guesslyfe:"), 1}, .redis = &world.redis, .gateway_id = "gateway"}};
    world.loop = loop_new();
    world.app = app_new(world.loop, &world.app_options);
    world.engine = eio_server_new(world.loop, &world.eio_options, NULL, NULL);
    assert_int_equal(net_server_open(world.loop, &net, &net_ops, NULL, &world.net, &world.out), OK);
    world.sources = (struct ops_sources){
        .app = world.app, .engine = world.engine, .net = world.net, .started_ms = 1700000000042};
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    buf_fini(&world->out);
    net_server_free(world->net);
    eio_server_free(world->engine);
    app_free(world->app);
    loop_free(world->loop);
    return 0;
}

static void has(struct world *world, const char *line)
{
    assert_non_null(strstr(buf_cstr(&world->out), line));
}

static void numbers_stand_below_their_family(void **state)
{
    struct world *world = *state;
    assert_int_equal(ops_metrics_write(&world->sources, &world->out), OK);
    has(world, "# TYPE guesslyfe_gateway_clients gauge\nguesslyfe_gateway_clients 0\n");
    has(world, "# TYPE guesslyfe_gateway_recent_limit_bytes gauge\n"
               "guesslyfe_gateway_recent_limit_bytes 1000\n");
    has(world, "# TYPE guesslyfe_gateway_sessions gauge\n"
               "guesslyfe_gateway_sessions{transport=\"polling\"} 0\n"
               "guesslyfe_gateway_sessions{transport=\"websocket\"} 0\n");
}

static void every_reason_has_its_number(void **state)
{
    struct world *world = *state;
    assert_int_equal(ops_metrics_write(&world->sources, &world->out), OK);
    for (int reason = 0; reason < EIO_CLOSE_REASONS; reason++) {
        struct buf line = {0};
        assert_int_equal(buf_printf(&line, "sessions_closed_total{reason=\"%s\"} 0\n",
                                    eio_close_reason_name((enum eio_close_reason)reason)),
                         OK);
        has(world, buf_cstr(&line));
        buf_fini(&line);
    }
}

static void milliseconds_are_told_in_seconds(void **state)
{
    struct world *world = *state;
    assert_int_equal(ops_metrics_write(&world->sources, &world->out), OK);
    has(world, "guesslyfe_gateway_start_time_seconds 1700000000.042\n");
}

static void an_unknown_age_is_left_out(void **state)
{
    struct world *world = *state;
    assert_int_equal(ops_metrics_write(&world->sources, &world->out), OK);
    has(world, "# TYPE guesslyfe_gateway_probe_age_seconds gauge\n#");
}

static void write_once(void *context)
{
    struct world *world = context;
    buf_fini(&world->out);
    enum err err = ops_metrics_write(&world->sources, &world->out);
    assert_true(err == OK || err == ERR_NOMEM);
    assert_int_equal(err == OK, buf_cstr(&world->out) &&
                                    strstr(buf_cstr(&world->out), "start_time_seconds 1"));
}

static void each_allocation_may_fail(void **state)
{
    failing_alloc_each(write_once, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_stand_below_their_family, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_reason_has_its_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(milliseconds_are_told_in_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_age_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

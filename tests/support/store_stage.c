#include "store_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/clock.h"

static struct store_stage stage;
static unsigned awaited;

static void on_up(void *owner)
{
    struct store_stage *own = owner;
    own->ups++;
}

static void on_down(void *owner, enum err err, const char *why)
{
    assert_non_null(owner); /* Redis may be killed by a test */
    assert_int_not_equal(err, OK);
    assert_non_null(why);
}

static void on_refused(void *owner, struct str why)
{
    struct store_stage *own = owner;
    assert_true(why.len > 0);
    own->refusals++;
}

int store_stage_set_up(void **state)
{
    static const struct bus_store_ops ops = {on_up, on_down, on_refused};
    *state = &stage;
    stage = (struct store_stage){.keys = {STR("guesslyfe:"), 1}};
    awaited = 0;
    redis_server_start(&stage.server, NULL, false);
    stage.redis = redis_peer_options(&stage.server);
    stage.loop = loop_new();
    assert_non_null(stage.loop);
    stage.store = bus_store_new(stage.loop, &stage.redis, &ops, &stage);
    assert_non_null(stage.store);
    PUMP_UNTIL(stage.loop, stage.ups == 1);
    return 0;
}

int store_stage_tear_down(void **state)
{
    struct store_stage *own = *state;
    bus_store_free(own->store);
    loop_free(own->loop);
    redis_server_stop(&own->server);
    return 0;
}

const char *store_stage_ask(struct store_stage *own, const char *command)
{
    redis_server_ask(&own->server, command, own->answer, sizeof own->answer);
    return own->answer;
}

void store_stage_await(struct store_stage *own)
{
    awaited++;
    PUMP_UNTIL(own->loop, own->answers >= awaited);
    assert_int_equal(own->answers, awaited);
}

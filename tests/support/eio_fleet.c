#include "eio_fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* As many hops as one thing that happens here leads to: a question, an answer, and so on. */
enum { HOPS = 6, STEP_MS = 4 };

static const char *const ids[FLEET_SIZE] = {"gateway-0001", "gateway-0002", "gateway-0003"};

/* --- What the subscribers tell, which is of no interest --- */

static void nothing_of_channel(void *owner, struct bus_channel *channel)
{
    fail_msg("a room was told of: %p %p", owner, (void *)channel);
}

static void no_event(void *owner, struct bus_channel *channel, const struct bus_envelope *envelope)
{
    fail_msg("an event came: %p %p %p", owner, (void *)channel, (const void *)envelope);
}

static void nothing(void *owner)
{
    assert_non_null(owner);
}

static void on_lost(void *owner, const char *why)
{
    assert_non_null(owner); /* a Redis that was started again is empty */
    assert_non_null(why);
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    fail_msg("%p: garbage on " STR_FMT ": %d", owner, STR_ARG(channel), err);
}

static void on_down(void *owner, enum err err, const char *why)
{
    assert_non_null(owner);
    assert_int_not_equal(err, OK);
    assert_non_null(why);
}

static void on_refused(void *owner, struct str why)
{
    fail_msg("%p refused: " STR_FMT, owner, STR_ARG(why));
}

static const struct bus_subscriber_ops subscriber_ops = {
    .on_live = nothing_of_channel,
    .on_message = no_event,
    .on_gap = nothing_of_channel,
    .on_lost = on_lost,
    .on_passed = nothing,
    .on_garbage = on_garbage,
    .on_up = nothing,
    .on_down = on_down,
    .on_refused = on_refused,
};

/* --- Redis --- */

void fleet_start(struct fleet *fleet)
{
    redis_server_start(&fleet->redis, NULL, false);
}

void fleet_stop(struct fleet *fleet)
{
    redis_server_stop(&fleet->redis);
}

static bool all_are(const struct fleet *fleet, bool (*state)(const struct bus_subscriber *), bool wanted)
{
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        const struct fleet_gateway *gateway = &fleet->gateways[i];
        if (!gateway->gone && state(gateway->subscriber) != wanted) {
            return false;
        }
    }
    return true;
}

void fleet_await_loss(struct fleet *fleet)
{
    FLEET_AWAIT(fleet, all_are(fleet, bus_subscriber_connected, false));
}

/* They try again after a while, by the clock. */
void fleet_await_redis(struct fleet *fleet)
{
    for (int i = 0; i < 1000 && !all_are(fleet, bus_subscriber_ready, true); i++) {
        fleet_advance(fleet, STEP_MS);
    }
    FLEET_AWAIT(fleet, all_are(fleet, bus_subscriber_ready, true));
    fleet_settle(fleet);
}

/* --- Birth and death --- */

void fleet_init(struct fleet *fleet)
{
    fleet->redis_options = (struct redis_link_options){
        .host = "127.0.0.1",
        .port = fleet->redis.port,
        .client_name = "test",
        .connect_timeout_ms = 100000, /* by a clock that may run fast */
        .reply_timeout_ms = 1000000,
        .backoff_min_ms = 5,
        .backoff_max_ms = 50,
        .reconnect = true,
    };
    fleet->options = (struct eio_fleet_options){.timeout_ms = 500, .max_bytes = 1 << 20};
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        struct fleet_gateway *gateway = &fleet->gateways[i];
        *gateway = (struct fleet_gateway){
            .bus = {.keys = {STR("guesslyfe:"), 1},
                    .redis = &fleet->redis_options,
                    .batch = 8,
                    .gateway_id = ids[i]},
        };
        world_init(&gateway->world);
        gateway->world.options.ping_interval_ms = 25000;
        gateway->world.options.ping_timeout_ms = 20000;
    }
}

static void on_heard(void *owner, struct str payload)
{
    struct fleet_gateway *gateway = owner;
    assert_int_equal(payload.len, 0);
    gateway->heard++;
}

static void open_gateway(struct fleet *fleet, struct fleet_gateway *gateway)
{
    struct eio_fleet_options options = fleet->options;
    gateway->subscriber =
        bus_subscriber_new(gateway->world.loop, &gateway->bus, &subscriber_ops, gateway);
    assert_non_null(gateway->subscriber);
    gateway->listener =
        (struct bus_listener){.event = STR("settle"), .on_message = on_heard, .owner = gateway};
    bus_subscriber_listen(gateway->subscriber, &gateway->listener);
    options.subscriber = gateway->subscriber;
    options.keys = &gateway->bus.keys;
    options.gateway_id = gateway->bus.gateway_id;
    assert_int_equal(eio_server_join_fleet(gateway->world.server, &options), OK);
}

void fleet_open(struct fleet *fleet)
{
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        struct fleet_gateway *gateway = &fleet->gateways[i];
        if (i == 0) {
            world_open(&gateway->world);
        } else {
            world_open_beside(&gateway->world, &fleet->gateways[0].world);
        }
        open_gateway(fleet, gateway);
    }
    fleet_await_redis(fleet);
}

/* The first world's loop and log stay, the others' logs are of no more use. */
static void close_gateway(struct fleet_gateway *gateway)
{
    eio_server_free(gateway->world.server);
    http_server_free(gateway->world.http);
    bus_subscriber_free(gateway->subscriber);
    buf_fini(&gateway->world.log);
    gateway->gone = true;
}

void fleet_lose(struct fleet *fleet, unsigned gateway)
{
    close_gateway(&fleet->gateways[gateway]);
}

void fleet_close(struct fleet *fleet)
{
    struct loop *loop = fleet->gateways[0].world.loop;
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        if (!fleet->gateways[i].gone) {
            close_gateway(&fleet->gateways[i]);
        }
    }
    loop_free(loop);
    clock_set_fake(NULL);
}

/* --- Time, and none --- */

static unsigned living(const struct fleet *fleet)
{
    unsigned count = 0;
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        count += !fleet->gateways[i].gone;
    }
    return count;
}

static void tell_all(struct fleet *fleet, struct fleet_gateway *from)
{
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        struct buf channel = {0};
        struct str id = str_from(ids[i]);
        if (fleet->gateways[i].gone) {
            continue;
        }
        assert_int_equal(bus_gateway_channel(&from->bus.keys, id, &channel), OK);
        assert_non_null(bus_control_send(bus_subscriber_store(from->subscriber), buf_str(&channel),
                                         STR("settle"), NULL, 0, NULL, NULL));
        buf_fini(&channel);
    }
}

/* Messages of one connection arrive in order: what was said before these is heard before them. */
static void hop(struct fleet *fleet)
{
    unsigned count = living(fleet);
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        fleet->gateways[i].heard = 0;
        if (!fleet->gateways[i].gone) {
            tell_all(fleet, &fleet->gateways[i]);
        }
    }
    for (unsigned i = 0; i < FLEET_SIZE; i++) {
        struct fleet_gateway *gateway = &fleet->gateways[i];
        FLEET_AWAIT(fleet, gateway->gone ||
                               (gateway->heard == count &&
                                bus_store_waiting(bus_subscriber_store(gateway->subscriber)) == 0));
    }
}

void fleet_settle(struct fleet *fleet)
{
    world_settle(&fleet->gateways[0].world);
    for (int i = 0; i < HOPS; i++) {
        hop(fleet);
        for (int turns = 0; turns < 3; turns++) {
            assert_int_equal(loop_turn(fleet->gateways[0].world.loop, 0), OK);
        }
    }
    world_settle(&fleet->gateways[0].world);
}

void fleet_expect(struct fleet *fleet, unsigned gateway, const char *log)
{
    fleet_settle(fleet);
    world_expect(&fleet->gateways[gateway].world, log);
}

void fleet_advance(struct fleet *fleet, unsigned ms)
{
    world_advance(&fleet->gateways[0].world, ms);
}

const struct eio_fleet_stats *fleet_stats(const struct fleet *fleet, unsigned gateway)
{
    return eio_server_fleet_stats(fleet->gateways[gateway].world.server);
}

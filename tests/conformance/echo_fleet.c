#include "echo_fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/subscriber.h"
#include "engineio/fleet.h"
#include "util/rand.h"

enum { BATCH = 512, RELAY_TIMEOUT_MS = 5000, RELAY_BYTES = 8 << 20 };

struct echo_fleet {
    char id[EIO_GATEWAY_ID_LEN + 1];
    struct redis_link_options redis;
    struct bus_subscriber_options options;
    struct bus_subscriber *subscriber;
};

/* Nobody here is in a room. */
static void nothing(void *owner)
{
    (void)owner;
}

static void nothing_of_channel(void *owner, struct bus_channel *channel)
{
    (void)owner;
    (void)channel;
}

static void no_event(void *owner, struct bus_channel *channel, const struct bus_envelope *envelope)
{
    (void)owner;
    (void)channel;
    (void)envelope;
}

static void on_lost(void *owner, const char *why)
{
    (void)owner;
    fprintf(stderr, "Redis lost something: %s\n", why);
}

static void on_garbage(void *owner, struct str channel, enum err err)
{
    (void)owner;
    fprintf(stderr, STR_FMT ": no message: %s\n", STR_ARG(channel), err_name(err));
}

static void on_down(void *owner, enum err err, const char *why)
{
    (void)owner;
    fprintf(stderr, "Redis: %s: %s\n", err_name(err), why);
}

static void on_refused(void *owner, struct str why)
{
    (void)owner;
    fprintf(stderr, "Redis refuses: " STR_FMT "\n", STR_ARG(why));
}

static const struct bus_subscriber_ops ops = {
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

static void fill_options(struct echo_fleet *fleet, uint64_t redis_port)
{
    rand_id(fleet->id, EIO_GATEWAY_ID_LEN);
    fleet->redis = (struct redis_link_options){
        .host = "127.0.0.1",
        .port = redis_port,
        .connect_timeout_ms = 5000,
        .reply_timeout_ms = 5000,
        .backoff_min_ms = 50,
        .backoff_max_ms = 500,
        .reconnect = true,
    };
    fleet->options = (struct bus_subscriber_options){
        .keys = {STR("echo:"), 1},
        .redis = &fleet->redis,
        .batch = BATCH,
        .gateway_id = fleet->id,
    };
}

enum err echo_fleet_join(struct loop *loop, uint64_t redis_port, struct eio_server *eio,
                         struct echo_fleet **ret_fleet)
{
    struct echo_fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet) {
        return ERR_NOMEM;
    }
    *ret_fleet = fleet;
    fill_options(fleet, redis_port);
    fleet->subscriber = bus_subscriber_new(loop, &fleet->options, &ops, fleet);
    if (!fleet->subscriber) {
        return ERR_NOMEM;
    }
    const struct eio_fleet_options options = {
        .subscriber = fleet->subscriber,
        .keys = &fleet->options.keys,
        .gateway_id = fleet->id,
        .timeout_ms = RELAY_TIMEOUT_MS,
        .max_bytes = RELAY_BYTES,
    };
    return eio_server_join_fleet(eio, &options);
}

void echo_fleet_free(struct echo_fleet *fleet)
{
    if (fleet) {
        bus_subscriber_free(fleet->subscriber);
        free(fleet);
    }
}

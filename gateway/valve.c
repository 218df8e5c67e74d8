#include "valve.h"

static void let_through(struct valve *valve)
{
    valve->closed = false;
    loop_timer_cancel(valve->loop, &valve->grace);
    bus_subscriber_resume(valve->subscriber);
}

/* Pausing is said again in each turn: a new connection to Redis knows nothing of it. */
static void hold_back(struct valve *valve)
{
    if (!valve->closed) {
        valve->closed = true;
        loop_timer_set(valve->loop, &valve->grace, VALVE_GRACE_MS);
    }
    bus_subscriber_pause(valve->subscriber);
}

/* A client that never reads stalls once; one that reads a little each time costs a grace each. */
static bool waits_for_peers(const struct valve *valve)
{
    bool grace_is_over = valve->closed && !wheel_timer_is_set(&valve->grace);
    return !grace_is_over && net_server_stalled_within(valve->net, VALVE_GRACE_MS);
}

/*
 * A pass has ended. Who is due for the next one has been visited in this one, or got its first in
 * it: what it has waiting came after the end of the pass before.
 */
static void catch_up(struct valve *valve)
{
    uint64_t read = bus_subscriber_bytes_passed(valve->subscriber);
    valve->caught_up = net_server_due(valve->net) ? valve->last_end : read;
    valve->last_end = read;
}

static void adjust(struct valve *valve, bool ended)
{
    if (ended && !waits_for_peers(valve)) {
        catch_up(valve);
    }
    if (bus_subscriber_bytes_passed(valve->subscriber) - valve->caught_up >= VALVE_BYTES) {
        hold_back(valve);
    } else {
        let_through(valve);
    }
}

static void on_pass(void *owner, bool ended)
{
    adjust(owner, ended);
}

static void on_grace(struct wheel_timer *timer)
{
    struct valve *valve = container_of(timer, struct valve, grace);
    adjust(valve, !net_server_due(valve->net));
}

void valve_open(struct valve *valve, struct loop *loop, struct net_server *net,
                struct bus_subscriber *subscriber)
{
    *valve = (struct valve){.loop = loop, .net = net, .subscriber = subscriber};
    wheel_timer_init(&valve->grace, on_grace);
    net_server_watch_passes(net, on_pass, valve);
}

void valve_fini(struct valve *valve)
{
    if (valve->net) {
        net_server_watch_passes(valve->net, NULL, NULL);
        loop_timer_cancel(valve->loop, &valve->grace);
    }
}

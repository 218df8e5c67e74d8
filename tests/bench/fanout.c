#include "fanout.h"

#include <stdbool.h>

#include "event.h"
#include "util/clock.h"

enum { TURN_MS = 20 };

static void advance(struct fanout *fanout)
{
    while (fanout->completed < fanout->published &&
           fanout->window[(fanout->completed + 1) % FANOUT_WINDOW_MAX].missing == 0) {
        fanout->completed++;
    }
}

/* The client will not get the events from the one it expects up to `last`. */
static void write_off(struct fanout *fanout, struct client *client, uint32_t last)
{
    for (uint32_t seq = client->next_event; seq <= last; seq++) {
        fanout->window[seq % FANOUT_WINDOW_MAX].missing--;
        fanout->result.lost++;
    }
    client->next_event = last + 1;
}

static void on_event(void *arg, struct client *client, const char *packet, size_t len,
                     uint64_t now_us)
{
    struct fanout *fanout = arg;
    struct fanout_result *result = &fanout->result;
    uint32_t seq;
    if (event_parse(packet, len, &seq) != OK || seq > fanout->published) {
        result->malformed++;
        return;
    }
    if (seq < client->next_event) {
        result->duplicates++;
        return;
    }
    write_off(fanout, client, seq - 1);
    client->next_event = seq + 1;
    fanout->window[seq % FANOUT_WINDOW_MAX].missing--;
    fanout->progress_us = now_us;
    result->delivered++;
    uint64_t due_us = fanout->window[seq % FANOUT_WINDOW_MAX].due_us;
    histogram_add(&result->latency, now_us > due_us ? now_us - due_us : 0);
    advance(fanout);
}

static void on_broken(void *arg, struct client *client)
{
    struct fanout *fanout = arg;
    write_off(fanout, client, fanout->published);
    advance(fanout);
}

static const struct fleet_ops ops = {.on_event = on_event, .on_broken = on_broken};

void fanout_init(struct fanout *fanout, struct fleet *fleet, struct publisher *publisher,
                 const char *market)
{
    *fanout = (struct fanout){.fleet = fleet, .publisher = publisher, .market = market};
    fleet->ops = &ops;
    fleet->ops_arg = fanout;
}

static enum err publish(struct fanout *fanout, uint64_t due_us)
{
    uint32_t seq = fanout->published + 1;
    char message[EVENT_MAX];
    size_t len = event_encode(fanout->market, seq, message);
    enum err err = publisher_add(fanout->publisher, (struct str){message, len});
    if (err != OK) {
        return err;
    }
    uint32_t members = fanout->fleet->in_state[CLIENT_SUBSCRIBED];
    fanout->window[seq % FANOUT_WINDOW_MAX].due_us = due_us;
    fanout->window[seq % FANOUT_WINDOW_MAX].missing = members;
    fanout->published = seq;
    fanout->result.published++;
    fanout->result.expected += members;
    return OK;
}

/* Publishes what is due at `now_us` and fits into the window. */
static enum err publish_due(struct fanout *fanout, const struct fanout_plan *plan,
                            uint64_t begin_us, uint64_t now_us)
{
    uint32_t in_flight_max = plan->in_flight > 0 ? plan->in_flight : FANOUT_WINDOW_MAX - 1;
    while (fanout->result.published < plan->events && now_us < begin_us + plan->publish_us &&
           fanout->published - fanout->completed < in_flight_max) {
        uint64_t due_us = begin_us + fanout->result.published * plan->interval_us;
        if (due_us > now_us) {
            break;
        }
        enum err err = publish(fanout, plan->interval_us > 0 ? due_us : now_us);
        if (err != OK) {
            return err;
        }
    }
    return publisher_flush(fanout->publisher);
}

static bool is_over(const struct fanout *fanout, const struct fanout_plan *plan, uint64_t begin_us,
                    uint64_t now_us)
{
    bool all_published =
        fanout->result.published == plan->events || now_us >= begin_us + plan->publish_us;
    bool all_arrived = fanout->completed == fanout->published && fanout->publisher->pending == 0;
    return (all_published && all_arrived) || fanout->fleet->in_state[CLIENT_SUBSCRIBED] == 0 ||
           (!all_arrived && now_us > fanout->progress_us + plan->patience_us);
}

/* How long the loop may wait until the next event of a pace is due. */
static int turn_ms(const struct fanout *fanout, const struct fanout_plan *plan, uint64_t begin_us,
                   uint64_t now_us)
{
    if (plan->interval_us == 0 || fanout->result.published == plan->events) {
        return TURN_MS;
    }
    uint64_t due_us = begin_us + fanout->result.published * plan->interval_us;
    uint64_t wait_ms = due_us > now_us ? (due_us - now_us + 999) / 1000 : 0;
    return wait_ms < TURN_MS ? (int)wait_ms : TURN_MS;
}

static void write_off_all(struct fanout *fanout)
{
    for (unsigned i = 0; i < fanout->fleet->count; i++) {
        struct client *client = &fanout->fleet->clients[i];
        if (client->state == CLIENT_SUBSCRIBED) {
            write_off(fanout, client, fanout->published);
        }
    }
    advance(fanout);
}

enum err fanout_run(struct fanout *fanout, const struct fanout_plan *plan)
{
    uint64_t begin_us = clock_monotonic_us();
    uint64_t now_us = begin_us;
    fanout->result = (struct fanout_result){0};
    fanout->progress_us = begin_us;
    while (!is_over(fanout, plan, begin_us, now_us)) {
        enum err err = publish_due(fanout, plan, begin_us, now_us);
        if (err == OK) {
            fleet_turn(fanout->fleet, turn_ms(fanout, plan, begin_us, now_us));
            err = publisher_poll(fanout->publisher);
        }
        if (err != OK) {
            return err;
        }
        now_us = clock_monotonic_us();
    }
    fanout->result.elapsed_us = fanout->progress_us - begin_us;
    write_off_all(fanout);
    return OK;
}

#include "audience.h"

#include <inttypes.h>
#include <stdio.h>

#include "event.h"
#include "lead.h"
#include "stopwatch.h"
#include "util/clock.h"

enum { REST_S = 1 };

static double seconds(uint64_t us)
{
    return (double)us / MICRO;
}

bool audience_hear(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    uint64_t end_us = watch.begin.at_us + (uint64_t)numbers.first * MICRO;
    fleet_listen(fleet);
    while (fleet->heard < fleet->count && clock_monotonic_us() < end_us) {
        fleet_turn(fleet, LEAD_TURN_US);
    }
    uint64_t all_us = clock_monotonic_us();
    rest(fleet, REST_S);
    stopwatch_stop(&watch, context);
    printf("{\"work\":\"hear\",\"clients\":%u,\"heard\":%u,\"again\":%u,\"at\":%.6f", fleet->count,
           fleet->heard, fleet->heard_again, seconds(all_us));
    print_end(context, &watch, all_us - watch.begin.at_us, fleet->count);
    return fleet->heard == fleet->count && fleet->heard_again == 0 && fleet->broken == 0;
}

/* --- The market --- */

/* Trades have the numbers 1, 2, … as they are published, the next when all members have the last.
 */
static void on_trade(void *arg, struct client *client, const char *packet, size_t len,
                     uint64_t now_us)
{
    struct work_context *context = arg;
    struct audience *audience = &context->audience;
    uint32_t seq;
    if ((unsigned)(client - context->fleet->clients) >= audience->members) {
        audience->astray++;
    } else if (event_parse(packet, len, &seq) != OK || seq != client->next_event) {
        audience->out_of_turn++;
    } else {
        client->next_event++;
        audience->got++;
        audience->got_us = now_us;
    }
}

/* The fleet's count of those is enough. */
static void on_broken(void *arg, struct client *client)
{
    (void)arg;
    (void)client;
}

static const struct fleet_ops ops = {.on_event = on_trade, .on_broken = on_broken};
static const struct step joining = {CLIENT_READY, CLIENT_SUBSCRIBED, fleet_subscribe};

bool audience_join(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    unsigned members = numbers.first < fleet->count ? numbers.first : fleet->count;
    struct stopwatch watch = stopwatch_start(context);
    context->audience = (struct audience){.members = members};
    fleet->ops = &ops;
    fleet->ops_arg = context;
    bool ok = lead(context, &joining, members, context->options->concurrency);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    printf("{\"work\":\"join\",\"clients\":%u,\"subscribed\":%u,\"at\":%.6f", members,
           fleet->in_state[CLIENT_SUBSCRIBED], seconds(watch.end.at_us));
    print_end(context, &watch, elapsed_us, members);
    return ok;
}

/* Waits until all members have one trade more; prints a line. */
static bool take_trade(struct work_context *context, unsigned patience_s)
{
    struct audience *audience = &context->audience;
    uint64_t wanted = (uint64_t)++audience->trades * audience->members;
    uint64_t end_us = clock_monotonic_us() + (uint64_t)patience_s * MICRO;
    while (audience->got < wanted && clock_monotonic_us() < end_us) {
        fleet_turn(context->fleet, LEAD_TURN_US);
    }
    uint64_t missing = audience->got < wanted ? wanted - audience->got : 0;
    printf("{\"work\":\"trade\",\"number\":%u,\"clients\":%u,\"got\":%" PRIu64 ",\"at\":%.6f}\n",
           audience->trades, audience->members, audience->members - missing,
           seconds(audience->got_us));
    fflush(stdout);
    return missing == 0;
}

bool audience_trades(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    const struct audience *audience = &context->audience;
    struct stopwatch watch = stopwatch_start(context);
    uint64_t before = audience->got;
    bool ok = true;
    for (unsigned i = 0; i < numbers.first && ok; i++) {
        ok = take_trade(context, numbers.second);
    }
    rest(fleet, REST_S);
    uint64_t elapsed_us = stopwatch_stop(&watch, context);
    uint64_t astray = audience->astray + fleet->astray;
    printf("{\"work\":\"trades\",\"clients\":%u,\"delivered\":%" PRIu64 ",\"out_of_turn\":%" PRIu64
           ",\"astray\":%" PRIu64,
           audience->members, audience->got - before, audience->out_of_turn, astray);
    print_end(context, &watch, elapsed_us, audience->got - before);
    return ok && audience->out_of_turn == 0 && astray == 0 && fleet->broken == 0;
}

/* --- Another server --- */

/*
 * Has those that were sent away go on, so many at once as the options allow. *next is where to look
 * first: a server mostly sends its clients away in the order in which they came.
 */
static void send_on(struct work_context *context, unsigned *next)
{
    struct fleet *fleet = context->fleet;
    for (unsigned i = 0; i < fleet->count && fleet->in_state[CLIENT_CLOSED] > 0; i++) {
        if (fleet->count - at_rest(fleet) - fleet->in_state[CLIENT_CLOSED] >=
            context->options->concurrency) {
            return;
        }
        if (fleet->clients[*next].state == CLIENT_CLOSED) {
            fleet->moved++;
            fleet_connect(fleet, *next);
        }
        *next = (*next + 1) % fleet->count;
    }
}

static bool all_moved(const struct fleet *fleet)
{
    return fleet->moved >= fleet->count && at_rest(fleet) == fleet->count;
}

bool audience_move(struct work_context *context, struct work_numbers numbers)
{
    struct fleet *fleet = context->fleet;
    struct stopwatch watch = stopwatch_start(context);
    uint64_t end_us = watch.begin.at_us + (uint64_t)numbers.first * MICRO;
    unsigned next = 0;
    fleet_move(fleet);
    while (!all_moved(fleet) && clock_monotonic_us() < end_us) {
        send_on(context, &next);
        fleet_turn(fleet, LEAD_TURN_US);
    }
    fleet->moving = false;
    stopwatch_stop(&watch, context);
    printf("{\"work\":\"move\",\"clients\":%u,\"moved\":%u,\"back\":%u,\"recovered\":%u"
           ",\"at\":%.6f",
           fleet->count, fleet->moved, at_rest(fleet), fleet->recovered, seconds(watch.end.at_us));
    print_end(context, &watch, watch.end.at_us - watch.begin.at_us, fleet->count);
    return all_moved(fleet);
}

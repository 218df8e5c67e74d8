#include "lead.h"

#include <stdint.h>

#include "fleet.h"
#include "util/clock.h"

bool lead(struct work_context *context, const struct step *step, unsigned count, unsigned flight)
{
    struct fleet *fleet = context->fleet;
    uint64_t patience_us = (uint64_t)context->options->patience * MICRO;
    uint64_t now_us = clock_monotonic_us();
    uint64_t progress_us = now_us;
    unsigned started = 0;
    unsigned arrived = 0;
    unsigned ended = fleet->failed + fleet->broken;
    while (arrived < count && now_us < progress_us + patience_us) {
        while (started < count && started < arrived + flight) {
            if (fleet->clients[started].state == step->from) {
                step->start(fleet, started);
            }
            started++;
        }
        fleet_turn(fleet, LEAD_TURN_US);
        unsigned done = fleet->in_state[step->to] + fleet->failed + fleet->broken - ended;
        now_us = clock_monotonic_us();
        progress_us = done > arrived ? now_us : progress_us;
        arrived = done;
    }
    return fleet->in_state[step->to] == count;
}

unsigned at_rest(const struct fleet *fleet)
{
    return fleet->in_state[CLIENT_READY] + fleet->in_state[CLIENT_SUBSCRIBED];
}

void rest(struct fleet *fleet, unsigned seconds)
{
    uint64_t end_us = clock_monotonic_us() + (uint64_t)seconds * MICRO;
    while (clock_monotonic_us() < end_us) {
        fleet_turn(fleet, LEAD_TURN_US);
    }
}

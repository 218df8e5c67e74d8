/* Leading many clients from one state to another, some at once. */
#ifndef BENCH_LEAD_H
#define BENCH_LEAD_H

#include <stdbool.h>

#include "client.h"
#include "work.h"

enum { LEAD_TURN_US = 20000 };

/* From one state of the clients to another, by `start`. */
struct step {
    enum client_state from;
    enum client_state to;
    void (*start)(struct fleet *fleet, unsigned index);
};

/* Leads the first `count` clients, `flight` of them at once. True when all have arrived. */
bool lead(struct work_context *context, const struct step *step, unsigned count, unsigned flight);

/* Lets them be. */
void rest(struct fleet *fleet, unsigned seconds);
/* How many are connected, and nothing is under way. */
unsigned at_rest(const struct fleet *fleet);

#endif

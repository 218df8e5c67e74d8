/*
 * How many clients each gateway has of one user, so that all gateways together keep to a limit. A
 * gateway whose registry entry is gone does not count. See docs/fleet.md.
 */
#ifndef BUS_LEASE_H
#define BUS_LEASE_H

#include <stdint.h>

#include "bus/keys.h"
#include "bus/store.h"
#include "util/str.h"

struct bus_lease {
    struct str gateway;
    uint64_t count; /* the gateway's clients of the user; 0: it has none any more */
    uint64_t most;  /* that all gateways may have; 0: the number holds whatever the others have */
    /* An entry in the registry that has less left than this was not written as regularly as ours */
    uint64_t fresh_ms;
};

/* Says how many the gateway has, or asks whether it may have so many. As bus_store_ask. */
struct bus_request *bus_lease_ask(struct bus_store *store, const struct bus_keys *keys,
                                  struct str sub, const struct bus_lease *lease, bus_answer_fn done,
                                  void *context);

enum bus_leased {
    BUS_LEASED,
    BUS_LEASE_TOO_MANY,
    BUS_LEASE_TOO_MANY_YET, /* but one of the gateways that have them may be dead */
    BUS_LEASE_REFUSED,      /* by Redis: nothing is known */
};
enum bus_leased bus_leased(const struct redisReply *reply);

#endif

/* The gateways as the registry has them (bus/registry.h), read over a console. */
#ifndef PUBLISHER_CLI_ROSTER_H
#define PUBLISHER_CLI_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "bus/registry.h"
#include "publisher/cli/command.h"
#include "publisher/cli/console.h"

struct roster {
    struct bus_registered *gateways; /* by host, worker and id */
    size_t count, alive;
    uint64_t now_ms; /* by Redis' clock, since 1970 */
};

/* EXIT_CONFIRMED, or what was reported. Only then there is something to release. */
enum exit_code roster_read(struct console *console, struct roster *ret_roster);
void roster_fini(struct roster *roster);
/* NULL where there is none of that id. */
const struct bus_registered *roster_find(const struct roster *roster, struct str id);

/* "ready", "draining", "not ready", "silent" */
const char *roster_state(const struct bus_registered *registered);
/* Its host, "?" where only its id is known. */
const char *roster_host(const struct bus_registered *registered);

#endif

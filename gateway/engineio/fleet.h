/*
 * No sticky sessions: a request may reach any gateway of the fleet.
 *
 * A session's id begins with the id of the gateway that opened it. A poll or a POST for a session
 * of another gateway is asked of that gateway over the bus, and its answer given to the client; an
 * upgrade moves the session to the gateway that the WebSocket reached. A gateway that is gone is
 * noticed at once, and its sessions are unknown then. See
 * docs/decisions/0015-no-sticky-sessions.md.
 */
#ifndef ENGINEIO_FLEET_H
#define ENGINEIO_FLEET_H

#include <stddef.h>
#include <stdint.h>

#include "bus/subscriber.h"
#include "engineio/server.h"
#include "util/attr.h"
#include "util/err.h"

enum { EIO_GATEWAY_ID_LEN = 12 };

struct eio_fleet_options {
    struct bus_subscriber *subscriber;
    const struct bus_keys *keys;
    const char *gateway_id; /* EIO_GATEWAY_ID_LEN characters of the URL-safe base64 alphabet */
    uint64_t timeout_ms;    /* for another gateway to answer what it can answer at once */
    size_t max_bytes;       /* on their way to other gateways; over it a POST gets 503 */
};

/*
 * Before the first request; borrows what the options point to until the server is freed, and the
 * server must be freed before them. NOMEM.
 */
MUST_CHECK enum err eio_server_join_fleet(struct eio_server *server,
                                          const struct eio_fleet_options *options);

struct eio_fleet_stats {
    uint64_t asked;    /* requests for sessions of other gateways, since the start, as are: */
    uint64_t answered; /* requests of other gateways for sessions here */
    uint64_t gone;     /* of asked: their gateway was gone */
    uint64_t overdue;  /* of asked: no answer came in time */
    uint64_t refused;  /* of asked: too much was on its way */
    uint64_t moved_in, moved_out; /* sessions, by upgrades */
    size_t waiting;               /* requests for which another gateway is asked, now */
    size_t bytes;                 /* on their way to other gateways, now */
};
/* NULL where it has joined none. */
const struct eio_fleet_stats *eio_server_fleet_stats(const struct eio_server *server);

#endif

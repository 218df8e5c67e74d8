/*
 * One gateway: owns one of each room's objects and wires them. No logic of its own.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "net/server.h"
#include "options.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct gateway;

/*
 * Listens and connects to Redis; borrows both for its lifetime. On failure *complaint says what and
 * why (it may be empty without memory).
 */
MUST_CHECK enum err gateway_open(struct loop *loop, const struct gateway_settings *settings,
                                 struct gateway **ret_gateway, struct buf *complaint);
/*
 * Takes over those of the settings that are CONFIG_RELOADABLE, and borrows them from now on in
 * place of those before; the others must be as they were. Nobody is disconnected.
 */
void gateway_reload(struct gateway *gateway, const struct gateway_settings *settings);
/*
 * Hands the clients on and tells `on_done` when the last is gone: see ops/drain.h. With the DRAIN_*
 * settings as they are now. A second call changes nothing.
 */
void gateway_drain(struct gateway *gateway, void (*on_done)(void *owner), void *owner);
bool gateway_draining(const struct gateway *gateway);
/* Stops accepting, ends every session by a transport close, and frees. NULL is fine. */
void gateway_close(struct gateway *gateway);

/* Whether a supervisor answers operators for it. */
bool gateway_is_worker(const struct gateway *gateway);
/* The ports really listened on; of a worker, by its supervisor. */
uint16_t gateway_port(const struct gateway *gateway);
uint16_t gateway_ops_port(const struct gateway *gateway);
/* Of the clients' port. */
const struct net_server_stats *gateway_net_stats(const struct gateway *gateway);

#endif

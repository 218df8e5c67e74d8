/*
 * The sockets of one port: one for each address of a host, all with the same number.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct net_server_options;

enum { NET_PORT_SOCKETS = 4 };

struct net_port {
    int fds[NET_PORT_SOCKETS];
    size_t count;
    uint16_t number;
};

/* Binds and listens. On failure nothing is left open and *complaint says what and why. */
MUST_CHECK enum err net_port_listen(struct net_port *port, const struct net_server_options *options,
                                    struct buf *complaint);
/*
 * Holds a port (0: any free one) for servers that share it by reuse_port, without listening: fails
 * as net_port_listen would without reuse_port, also where whoever has the port would share it.
 */
MUST_CHECK enum err net_port_reserve(struct net_port *port, const char *host, uint16_t number,
                                     struct buf *complaint);
/* Idempotent; all zero is fine. */
void net_port_close(struct net_port *port);

#endif

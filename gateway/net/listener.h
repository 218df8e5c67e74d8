/*
 * The listening sockets of one server: all addresses of its host, one port.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <event2/event_struct.h>

#include "loop/loop.h"
#include "net/port.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct net_server_options;

struct net_listener_ops {
    /* A connected, non-blocking socket, the callee's from now on. */
    void (*on_socket)(void *owner, int fd);
    /* One or more could not be taken for want of descriptors or memory; accepting pauses. */
    void (*on_shortage)(void *owner);
};

struct net_listener {
    struct loop *loop;
    const struct net_listener_ops *ops;
    void *owner;
    struct net_port port;
    struct event events[NET_PORT_SOCKETS]; /* of the port's sockets */
    struct wheel_timer pause;
};

/* Binds and listens. On failure nothing is left open and *complaint says why. */
MUST_CHECK enum err net_listener_open(struct net_listener *listener, struct loop *loop,
                                      const struct net_server_options *options,
                                      const struct net_listener_ops *ops, void *owner,
                                      struct buf *complaint);
/* Idempotent. */
void net_listener_close(struct net_listener *listener);

#endif

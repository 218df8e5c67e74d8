/*
 * One client connection: a byte stream and its outgoing queue of shared bytes.
 *
 * At rest it owns no buffers and no timer: reading uses one buffer of the process, the queue holds
 * references. What is sent during a turn leaves in one system call at the end of the turn. A pass
 * over many connections is sliced, so that a turn has only a slice of it; what is sent meanwhile
 * joins.
 *
 * Closing is a request: net_conn_close may be called from anywhere, on_close comes exactly once,
 * after the caller's stack has unwound, and the memory goes at the end of that turn.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

struct net_conn;

enum net_close_reason {
    NET_CLOSED_BY_PEER, /* orderly end, or reset */
    NET_CLOSED_BY_US,   /* net_conn_close, or net_conn_finish when all was written */
    NET_CLOSED_SLOW,    /* the peer did not take its bytes in time, or too many were due */
    NET_CLOSED_ERROR,   /* the system, or TLS */
};

struct net_conn_ops {
    /* Bytes arrived; borrowed until return. May send, pause, close, or change ops. */
    void (*on_read)(struct net_conn *conn, struct str bytes);
    /* The last call for this connection. The owner forgets it. */
    void (*on_close)(struct net_conn *conn, enum net_close_reason reason);
};

/* Hands the connection to another layer: who it calls, and whom that call is about. */
void net_conn_set_owner(struct net_conn *conn, const struct net_conn_ops *ops, void *owner);
void *net_conn_owner(const struct net_conn *conn);
/* Calls the owner's on_read as if the bytes had just arrived: for the former owner's left-overs. */
void net_conn_deliver(struct net_conn *conn, struct str bytes);

/*
 * Queues bytes; takes a reference of its own. LIMIT: more than the queue's bound is waiting;
 * nothing was queued and the connection is closing as SLOW. CLOSED: it is closing already. NOMEM.
 */
MUST_CHECK enum err net_conn_send(struct net_conn *conn, struct rcbuf *bytes);
/* Sending is near: has the connection brought into the processor's cache meanwhile. */
void net_conn_fetch(const struct net_conn *conn);

/* Stops reading (and noticing the peer's end) until resumed. Idempotent. */
void net_conn_pause(struct net_conn *conn);
void net_conn_resume(struct net_conn *conn);

/* Closes now; queued bytes are dropped. Idempotent. */
void net_conn_close(struct net_conn *conn, enum net_close_reason reason);
/*
 * Writes what is queued, then closes as BY_US; reads nothing more into the owner. A peer that does
 * not take it within the stall limit is closed as SLOW.
 */
void net_conn_finish(struct net_conn *conn);
bool net_conn_closing(const struct net_conn *conn);

/* The peer's address, for net_address_print. Returns its bytes. */
size_t net_conn_address(const struct net_conn *conn, unsigned char out[NET_ADDRESS_MAX]);

#endif

/*
 * A net_conn without a socket, for codecs that sit on one: collects what is sent, delivers what the
 * test says, closes when the test lets it. Link it instead of the room `net`.
 */
#ifndef SUPPORT_FAKE_CONN_H
#define SUPPORT_FAKE_CONN_H

#include <stdbool.h>

#include "net/conn.h"
#include "util/buf.h"

struct net_conn {
    const struct net_conn_ops *ops;
    void *owner;
    struct buf sent;
    size_t sends;
    bool closing, finishing;
    enum net_close_reason reason;
};

struct net_conn *fake_conn_new(void);
/* on_read from a heap block of exactly this size, so that a sanitizer sees reads and writes
 * outside. */
void fake_conn_feed(struct net_conn *conn, struct str bytes);
/* The peer, or net_conn_close before, ended it: on_close, once. Frees. */
void fake_conn_end(struct net_conn *conn);

#endif

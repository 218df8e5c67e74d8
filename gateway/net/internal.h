/* What the files of this room know of each other's objects. Not for other rooms. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "net/conn.h"
#include "net/flusher.h"
#include "net/listener.h"
#include "net/queue.h"
#include "net/server.h"
#include "stream/stream.h"
#include "util/list.h"

enum net_conn_state {
    NET_HANDSHAKE, /* of TLS; what is sent waits */
    NET_OPEN,
    NET_FINISHING, /* writes what is left; what it reads is dropped */
    NET_LINGERING, /* wrote all and said so; waits a moment for the peer's end */
    NET_CLOSING,   /* on_close is due */
};

struct net_conn {
    struct event event;
    struct stream stream;
    const struct net_conn_ops *ops;
    void *owner;
    struct net_server *server;
    union {
        struct net_queue queue;
        struct loop_reap reap; /* after on_close */
    };
    struct list node;   /* of all connections of the server */
    struct list place;  /* on one list of the flusher, or the server's list of the closing */
    uint64_t since_ms;  /* it stalls or lingers */
    uint8_t state;      /* enum net_conn_state */
    uint8_t reason;     /* enum net_close_reason, while closing */
    uint8_t blocked_on; /* EV_READ or EV_WRITE while it is stalled, else 0 */
    uint8_t interest;   /* what the event is registered for */
    bool paused;
    bool peer_ended;
};

struct net_server {
    struct loop *loop;
    struct net_server_options options;
    const struct net_server_ops *ops;
    void *owner;
    struct net_listener listener;
    struct net_flusher flusher;
    struct list conns;
    struct list closing;
    struct loop_task close_task;
    struct net_server_stats stats;
    char *read_buffer;
};

enum { NET_READ_SIZE = 64 * 1024, NET_READS_A_TURN = 4 };

/* Takes the socket in every case. NULL without memory. */
struct net_conn *net_conn_new(struct net_server *server, int fd);
/* Registers for what the connection waits for now. False: it is closing for want of memory. */
bool net_conn_watch(struct net_conn *conn);
/* All was written: ends our direction and waits for the peer's. */
void net_conn_linger(struct net_conn *conn);
/* Calls on_close of those that are closing and lets go of them, a slice; whether that was all. */
bool net_conns_bury(struct net_server *server);

#endif

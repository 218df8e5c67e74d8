/* What the files of this room know of each other's objects. Not for other rooms. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/log.h"
#include "loop/loop.h"
#include "loop/sockets.h"
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
    struct stream stream;
    const struct net_conn_ops *ops;
    void *owner;
    struct net_server *server;
    struct list node; /* on one of the server's lists `conns` and `unread` */
    union {
        struct {
            struct net_queue queue;
            struct list place; /* on one list of the flusher, or the server's of the closing */
        };
        struct loop_reap reap; /* after on_close */
    };
    uint32_t since_ms;  /* it stalls or lingers; the lower half of the loop's time */
    uint8_t state;      /* enum net_conn_state */
    uint8_t reason;     /* enum net_close_reason, while closing */
    uint8_t blocked_on; /* LOOP_READABLE or LOOP_WRITABLE while it is stalled, else 0 */
    bool paused : 1;
    bool readable : 1;     /* the socket, or TLS, may have bytes, or the end, for us */
    bool end_is_known : 1; /* the end stands behind what is left to read: read until it is there */
    bool peer_ended : 1;   /* there it was; nothing is left to read */
    bool awaits_writable : 1; /* registered for it, which it is from the first time it stalls */
};

/* glibc gives memory in steps of 16, beginning at 24: from 105 on it would be 16 more. */
_Static_assert(sizeof(struct net_conn) <= 104, "every client has one");

struct net_server {
    struct loop *loop;
    struct net_server_options options;
    const struct net_server_ops *ops;
    void *owner;
    struct net_listener listener;
    struct net_flusher flusher;
    struct loop_sockets *sockets;
    struct list conns;  /* all but those in `unread` */
    struct list unread; /* used up their reads of a turn, or may read again, or shake hands */
    struct list closing;
    struct loop_task read_task;
    struct loop_task close_task;
    struct net_server_stats stats;
    struct log_limit refusals; /* lines about TLS handshakes */
    char *read_buffer;
};

enum {
    NET_READ_SIZE = 64 * 1024,
    /* What is read from many in a turn, from those that come back for more, and the closing of many
     * get this part of slice_us each. */
    NET_SHARE = 4,
};

/* Takes the socket in every case. NULL without memory. */
struct net_conn *net_conn_new(struct net_server *server, int fd);
/* A loop_sockets_fn. */
void net_conn_on_ready(void *conn, unsigned ready);
/* Reads what came with the connection; nothing may have. */
void net_conn_read_early(struct net_conn *conn);
/* From now on told when the peer takes more. False: it is closing for want of memory. */
bool net_conn_await_writable(struct net_conn *conn);
/* All was written: ends our direction and waits for the peer's. */
void net_conn_linger(struct net_conn *conn);
/* Visits those that are unread, a share of the turn; whether that was all. */
bool net_conns_read(struct net_server *server);
/* Calls on_close of those that are closing and lets go of them, likewise. */
bool net_conns_bury(struct net_server *server);

#endif

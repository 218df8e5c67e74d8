/*
 * Listening sockets and the connections that came through them.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "net/conn.h"
#include "stream/tls.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct net_server;

/* How the TLS handshakes of new connections have ended. */
enum net_tls_end {
    NET_TLS_FULL,
    NET_TLS_RESUMED,   /* with a ticket of an earlier connection */
    NET_TLS_REFUSED,   /* what the peer sent is not TLS, or none that we speak */
    NET_TLS_ABANDONED, /* the peer went away, or time was up */
    NET_TLS_ENDS,
};
/* "full", "resumed", "refused", "abandoned". */
const char *net_tls_end_name(size_t end);

struct net_server_options {
    const char *host; /* address to bind; NULL or "" for all, IPv6 and IPv4 */
    uint16_t port;    /* 0: any free one, see net_server_port */
    bool reuse_port;  /* share the port with other processes */
    /* Peers speak first: one is accepted with its first bytes, in one go; one that is silent a
     * second or two after it connected (TCP_DEFER_ACCEPT), and counts from then on. */
    bool defer_accept;
    unsigned backlog;
    size_t max_connections; /* one more is accepted and closed at once */
    size_t queue_bytes; /* bound of one connection's outgoing queue, RCBUF_OVERHEAD for each piece
                           included */
    uint64_t stall_ms;  /* a queue that makes no progress for so long closes its connection */
    uint64_t slice_us;  /* longest stretch of one flushing pass within a turn; reading from many
                           and closing many get a quarter of it each */
    struct tls_context *tls; /* what new connections must speak; NULL: plain. Counted */
};

struct net_server_ops {
    /* A new connection; the callee sets its owner, or closes it. */
    void (*on_accept)(void *owner, struct net_conn *conn);
};

struct net_server_stats {
    size_t connections; /* now */
    uint64_t accepted;  /* since the start, as are the following */
    uint64_t refused;   /* over max_connections, or out of descriptors */
    uint64_t closed[4]; /* by enum net_close_reason */
    uint64_t bytes_in, bytes_out;
    uint64_t sends;        /* system calls */
    uint64_t queued_bytes; /* now, over all connections */
    uint64_t handshakes[NET_TLS_ENDS];
};

/* Binds and listens; borrows loop. On failure *complaint says what and why. */
MUST_CHECK enum err net_server_open(struct loop *loop, const struct net_server_options *options,
                                    const struct net_server_ops *ops, void *owner,
                                    struct net_server **ret_server, struct buf *complaint);
/* Those that there are stay. */
void net_server_set_max_connections(struct net_server *server, size_t max);
/* For new connections, as in the options; those that there are stay with the old one. */
void net_server_set_tls(struct net_server *server, struct tls_context *tls);
/* NULL: plain. Borrowed until the next change. */
const struct tls_context *net_server_tls(const struct net_server *server);
/* Stops listening; connections go on. Idempotent. */
void net_server_stop(struct net_server *server);
/* Closes everything and frees. Not from inside a callback. NULL is fine. */
void net_server_free(struct net_server *server);

/*
 * So that whoever fills the queues of many keeps pace with their emptying: on_pass(owner, true)
 * when all who had something to write when a pass began have been visited, on_pass(owner, false)
 * at the end of each turn that leaves some of them to the next. It must not send, close or free.
 * NULL: nobody is told.
 */
void net_server_watch_passes(struct net_server *server, void (*on_pass)(void *owner, bool ended),
                             void *owner);

/* Whether somebody has something to write, and may: in this pass or the next. */
bool net_server_due(const struct net_server *server);
/* Whether a peer that takes no more bytes has begun to do so within the last `ms`. */
bool net_server_stalled_within(const struct net_server *server, uint64_t ms);

/* Whether the peers have all that was sent, and no connection is on its way to its end. */
bool net_server_quiet(const struct net_server *server);

uint16_t net_server_port(const struct net_server *server);
const struct net_server_stats *net_server_stats(const struct net_server *server);

#endif

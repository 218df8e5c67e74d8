#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/internal.h"
#include "util/clock.h"

static short wanted(const struct net_conn *conn)
{
    if (conn->state == NET_HANDSHAKE) {
        return conn->stream.wants_write ? EV_WRITE : EV_READ;
    }
    short reading = conn->paused || conn->peer_ended ? 0 : EV_READ;
    return (short)(reading | conn->blocked_on);
}

static void on_event(evutil_socket_t fd, short what, void *arg);

bool net_conn_watch(struct net_conn *conn)
{
    if (conn->state == NET_CLOSING) {
        return false;
    }
    short want = wanted(conn);
    if (want == conn->interest) {
        return true;
    }
    if (conn->interest) {
        event_del(&conn->event);
    }
    conn->interest = 0;
    if (want) {
        event_assign(&conn->event, loop_base(conn->server->loop), conn->stream.fd,
                     (short)(want | EV_PERSIST), on_event, conn);
        if (event_add(&conn->event, NULL)) {
            net_conn_close(conn, NET_CLOSED_ERROR);
            return false;
        }
    }
    conn->interest = (uint8_t)want;
    return true;
}

/* True when the connection is ready for data now. */
static bool shake_hands(struct net_conn *conn)
{
    enum err err = stream_handshake(&conn->stream);
    if (err == OK) {
        conn->state = NET_OPEN;
        if (conn->queue.count > 0) {
            net_flusher_mark(&conn->server->flusher, conn);
        }
        return net_conn_watch(conn);
    }
    if (err == ERR_AGAIN) {
        net_conn_watch(conn);
    } else {
        net_conn_close(conn, err == ERR_CLOSED ? NET_CLOSED_BY_PEER : NET_CLOSED_ERROR);
    }
    return false;
}

static void end_of_input(struct net_conn *conn, enum err err)
{
    int error = errno;
    if (conn->state == NET_LINGERING) {
        net_conn_close(conn, NET_CLOSED_BY_US);
    } else if (err == ERR_CLOSED && conn->state == NET_FINISHING) {
        /* It may still be reading; if not, writing will tell. */
        conn->peer_ended = true;
        net_conn_watch(conn);
    } else if (err == ERR_CLOSED) {
        net_conn_close(conn, NET_CLOSED_BY_PEER);
    } else {
        net_conn_close(conn, error == ETIMEDOUT ? NET_CLOSED_SLOW : NET_CLOSED_ERROR);
    }
}

/* One read; whether another may find more. */
static bool read_once(struct net_conn *conn)
{
    struct net_server *server = conn->server;
    size_t n = 0;
    enum err err = stream_recv(&conn->stream, server->read_buffer, NET_READ_SIZE, &n);
    if (err == ERR_AGAIN) {
        return false;
    }
    if (err) {
        end_of_input(conn, err);
        return false;
    }
    server->stats.bytes_in += n;
    if (conn->state == NET_OPEN) {
        conn->ops->on_read(conn, (struct str){server->read_buffer, n});
    }
    return n == NET_READ_SIZE && !conn->paused && conn->state != NET_CLOSING;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct net_conn *conn = arg;
    (void)fd;
    if (conn->state == NET_HANDSHAKE && !shake_hands(conn)) {
        return;
    }
    if (conn->blocked_on & what) {
        net_flusher_unblock(&conn->server->flusher, conn);
    }
    if ((what & EV_READ) && (conn->interest & EV_READ)) {
        for (int i = 0; i < NET_READS_A_TURN && read_once(conn); i++) {
        }
    }
}

struct net_conn *net_conn_new(struct net_server *server, int fd)
{
    struct net_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        return NULL;
    }
    stream_init_plain(&conn->stream, fd);
    conn->server = server;
    conn->state = NET_HANDSHAKE;
    list_init(&conn->place);
    list_push_back(&server->conns, &conn->node);
    server->stats.connections++;
    shake_hands(conn);
    return conn;
}

void net_conn_set_owner(struct net_conn *conn, const struct net_conn_ops *ops, void *owner)
{
    conn->ops = ops;
    conn->owner = owner;
}

void *net_conn_owner(const struct net_conn *conn)
{
    return conn->owner;
}

void net_conn_deliver(struct net_conn *conn, struct str bytes)
{
    if (conn->state == NET_OPEN) {
        conn->ops->on_read(conn, bytes);
    }
}

enum err net_conn_send(struct net_conn *conn, struct rcbuf *bytes)
{
    struct net_server *server = conn->server;
    if (conn->state >= NET_FINISHING) {
        return ERR_CLOSED;
    }
    if (bytes->len == 0) {
        return OK;
    }
    if (conn->queue.bytes + conn->queue.count * RCBUF_OVERHEAD + bytes->len >
        server->options.queue_bytes) {
        net_conn_close(conn, NET_CLOSED_SLOW);
        return ERR_LIMIT;
    }
    enum err err = net_queue_push(&conn->queue, bytes);
    if (err) {
        return err;
    }
    server->stats.queued_bytes += bytes->len;
    if (conn->state == NET_OPEN) {
        net_flusher_mark(&server->flusher, conn);
    }
    return OK;
}

size_t net_conn_queued(const struct net_conn *conn)
{
    return conn->queue.bytes;
}

void net_conn_pause(struct net_conn *conn)
{
    if (conn->state <= NET_OPEN) {
        conn->paused = true;
        net_conn_watch(conn);
    }
}

void net_conn_resume(struct net_conn *conn)
{
    conn->paused = false;
    net_conn_watch(conn);
}

void net_conn_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct net_server *server = conn->server;
    if (conn->state == NET_CLOSING) {
        return;
    }
    conn->state = NET_CLOSING;
    conn->reason = (uint8_t)reason;
    if (conn->interest) {
        event_del(&conn->event);
        conn->interest = 0;
    }
    server->stats.queued_bytes -= conn->queue.bytes;
    net_queue_clear(&conn->queue);
    list_remove(&conn->place);
    list_push_back(&server->closing, &conn->place);
    loop_defer(server->loop, &server->close_task);
}

void net_conn_finish(struct net_conn *conn)
{
    if (conn->state == NET_HANDSHAKE) {
        net_conn_close(conn, NET_CLOSED_BY_US);
    } else if (conn->state == NET_OPEN) {
        conn->state = NET_FINISHING;
        conn->paused = false;
        if (net_conn_watch(conn)) {
            net_flusher_mark(&conn->server->flusher, conn);
        }
    }
}

bool net_conn_closing(const struct net_conn *conn)
{
    return conn->state >= NET_FINISHING;
}

void net_conn_linger(struct net_conn *conn)
{
    /* Closing at once would answer what the peer still sends with a reset, and a reset can take our
     * last bytes away from it (RFC 9112 section 9.6). */
    if (conn->peer_ended || shutdown(conn->stream.fd, SHUT_WR)) {
        net_conn_close(conn, NET_CLOSED_BY_US);
        return;
    }
    conn->state = NET_LINGERING;
    net_conn_watch(conn);
}

static void free_conn(struct loop_reap *reap)
{
    free(container_of(reap, struct net_conn, reap));
}

static void bury(struct net_server *server, struct net_conn *conn)
{
    server->stats.connections--;
    server->stats.closed[conn->reason]++;
    if (conn->ops) {
        conn->ops->on_close(conn, (enum net_close_reason)conn->reason);
    }
    stream_close(&conn->stream);
    list_remove(&conn->node);
    loop_reap(server->loop, &conn->reap, free_conn);
}

bool net_conns_bury(struct net_server *server)
{
    uint64_t start = clock_monotonic_us();
    struct list *place;
    while ((place = list_pop_front(&server->closing))) {
        bury(server, list_entry(place, struct net_conn, place));
        if (clock_monotonic_us() - start >= server->options.slice_us) {
            break;
        }
    }
    return list_empty(&server->closing);
}

void net_conn_peer(const struct net_conn *conn, char out[NET_PEER_MAX])
{
    struct sockaddr_in6 v6 = {0};
    struct sockaddr_in v4 = {0};
    socklen_t len = sizeof v6;
    char host[INET6_ADDRSTRLEN];
    if (getpeername(conn->stream.fd, (struct sockaddr *)&v6, &len)) {
        snprintf(out, NET_PEER_MAX, "unknown");
        return;
    }
    if (v6.sin6_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        snprintf(out, NET_PEER_MAX, "[%s]:%u", host, ntohs(v6.sin6_port));
        return;
    }
    if (v6.sin6_family == AF_INET6) {
        v4.sin_port = v6.sin6_port;
        memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
    } else {
        memcpy(&v4, &v6, sizeof v4);
    }
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    snprintf(out, NET_PEER_MAX, "%s:%u", host, ntohs(v4.sin_port));
}

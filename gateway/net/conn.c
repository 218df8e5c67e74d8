#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/internal.h"
#include "util/clock.h"

enum { REFUSALS_A_SECOND = 5 };

bool net_conn_await_writable(struct net_conn *conn)
{
    if (conn->awaits_writable) {
        return true;
    }
    if (loop_sockets_await_writable(conn->server->sockets, conn->stream.fd, conn)) {
        net_conn_close(conn, NET_CLOSED_ERROR);
        return false;
    }
    conn->awaits_writable = true;
    return true;
}

/* --- TLS --- */

static void count_handshake(struct net_conn *conn, enum net_tls_end end)
{
    conn->server->stats.handshakes[end]++;
}

/* Who sends what is no TLS is told in the log; who only goes away, as scanners do, is not. */
static void refuse_handshake(struct net_conn *conn)
{
    uint32_t suppressed = 0;
    count_handshake(conn, NET_TLS_REFUSED);
    if (log_limit_allows(&conn->server->refusals, REFUSALS_A_SECOND, &suppressed)) {
        unsigned char address[NET_ADDRESS_MAX];
        char peer[NET_ADDRESS_TEXT_MAX];
        (void)net_conn_address(conn, address);
        net_address_print(address, peer);
        log_info("tls handshake failed", LOG_CSTR("why", stream_tls_why(&conn->stream)),
                 LOG_CSTR("peer", peer), LOG_U64("suppressed", suppressed));
    }
    net_conn_close(conn, NET_CLOSED_ERROR);
}

static void open_up(struct net_conn *conn)
{
    conn->state = NET_OPEN;
    if (stream_is_tls(&conn->stream)) {
        count_handshake(conn, stream_tls_resumed(&conn->stream) ? NET_TLS_RESUMED : NET_TLS_FULL);
    }
    if (conn->queue.bytes > 0) {
        net_flusher_mark(&conn->server->flusher, conn);
    }
}

/* Whether it is open now. */
static bool shake_hands(struct net_conn *conn)
{
    enum err err = stream_handshake(&conn->stream);
    if (err == OK) {
        open_up(conn);
        return true;
    }
    if (err == ERR_PROTO) {
        refuse_handshake(conn);
    } else if (err != ERR_AGAIN) {
        net_conn_close(conn, err == ERR_CLOSED ? NET_CLOSED_BY_PEER : NET_CLOSED_ERROR);
    } else if (conn->stream.wants_write) {
        (void)net_conn_await_writable(conn);
    }
    return false;
}

/* --- Reading --- */

static void end_of_input(struct net_conn *conn, enum err err)
{
    int error = errno;
    conn->readable = false;
    if (conn->state == NET_LINGERING) {
        net_conn_close(conn, NET_CLOSED_BY_US);
    } else if (err == ERR_CLOSED && conn->state == NET_FINISHING) {
        /* It may still be reading; if not, writing will tell. */
        conn->peer_ended = true;
    } else if (err == ERR_CLOSED) {
        /* It may have asked something just before, and wait for the answer. */
        net_flusher_flush_now(&conn->server->flusher, conn);
        net_conn_close(conn, NET_CLOSED_BY_PEER);
    } else {
        net_conn_close(conn, error == ETIMEDOUT ? NET_CLOSED_SLOW : NET_CLOSED_ERROR);
    }
}

static void read_once(struct net_conn *conn)
{
    struct net_server *server = conn->server;
    size_t n = 0;
    enum err err = stream_recv(&conn->stream, server->read_buffer, NET_READ_SIZE, &n);
    if (err == ERR_AGAIN) {
        conn->readable = false;
        return;
    }
    if (err) {
        end_of_input(conn, err);
        return;
    }
    server->stats.bytes_in += n;
    /* What comes from here on is told. An end that has been told is not: it is still to be met. */
    conn->readable = !conn->stream.drained || conn->end_is_known;
    if (conn->state == NET_OPEN) {
        conn->ops->on_read(conn, (struct str){server->read_buffer, n});
    }
}

static bool may_read(const struct net_conn *conn)
{
    return conn->readable && !conn->paused && !conn->peer_ended && conn->state >= NET_OPEN &&
           conn->state < NET_CLOSING;
}

/* It is visited by the end of the turn, or in the next. */
static void read_later(struct net_conn *conn)
{
    struct net_server *server = conn->server;
    list_remove(&conn->node);
    list_push_back(&server->unread, &conn->node);
    loop_defer(server->loop, &server->read_task);
}

/* Nobody tells again of what is left behind here, so whoever stops early comes back. */
static void read_some(struct net_conn *conn)
{
    if (may_read(conn)) {
        read_once(conn);
    }
    if (may_read(conn)) {
        read_later(conn);
    }
}

static void visit(struct net_conn *conn)
{
    if (conn->state == NET_HANDSHAKE) {
        if (!shake_hands(conn)) {
            return;
        }
        conn->readable = true; /* TLS may hold more than the handshake */
    }
    read_some(conn);
}

bool net_conns_read(struct net_server *server)
{
    uint64_t start = clock_monotonic_us();
    struct list *node;
    while ((node = list_pop_front(&server->unread))) {
        list_push_back(&server->conns, node);
        visit(list_entry(node, struct net_conn, node));
        if (clock_monotonic_us() - start >= server->options.slice_us / NET_SHARE) {
            break;
        }
    }
    return list_empty(&server->unread);
}

void net_conn_on_ready(void *arg, unsigned ready)
{
    struct net_conn *conn = arg;
    if (conn->state == NET_CLOSING) {
        return;
    }
    conn->readable |= (ready & LOOP_READABLE) != 0;
    conn->end_is_known |= (ready & LOOP_ENDED) != 0;
    if (conn->state == NET_HANDSHAKE) {
        /* Each costs a signature, so a turn has only so many of them. */
        read_later(conn);
        return;
    }
    if (conn->blocked_on & ready) {
        net_flusher_unblock(&conn->server->flusher, conn);
    }
    read_some(conn);
}

void net_conn_read_early(struct net_conn *conn)
{
    conn->readable = true;
    read_some(conn);
}

/* --- Its life --- */

struct net_conn *net_conn_new(struct net_server *server, int fd)
{
    struct net_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        return NULL;
    }
    if (!server->options.tls) {
        stream_init_plain(&conn->stream, fd);
    } else if (stream_init_tls_server(&conn->stream, fd, server->options.tls)) {
        free(conn);
        return NULL;
    }
    conn->server = server;
    conn->state = NET_HANDSHAKE;
    list_init(&conn->place);
    list_push_back(&server->conns, &conn->node);
    server->stats.connections++;
    if (loop_sockets_add(server->sockets, fd, conn)) {
        net_conn_close(conn, NET_CLOSED_ERROR);
    } else if (!stream_is_tls(&conn->stream)) {
        open_up(conn);
    } /* else the client speaks first */
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
    size_t held = conn->queue.bytes + net_queue_count(&conn->queue) * RCBUF_OVERHEAD;
    if (held + bytes->len > server->options.queue_bytes) {
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

void net_conn_fetch(const struct net_conn *conn)
{
    enum { CACHE_LINE = 64 };
    for (size_t at = 0; at < sizeof *conn; at += CACHE_LINE) {
        __builtin_prefetch((const char *)conn + at);
    }
}

void net_conn_pause(struct net_conn *conn)
{
    if (conn->state <= NET_OPEN) {
        conn->paused = true;
    }
}

void net_conn_resume(struct net_conn *conn)
{
    conn->paused = false;
    if (may_read(conn)) {
        read_later(conn);
    }
}

void net_conn_close(struct net_conn *conn, enum net_close_reason reason)
{
    struct net_server *server = conn->server;
    if (conn->state == NET_CLOSING) {
        return;
    }
    if (conn->state == NET_HANDSHAKE && stream_is_tls(&conn->stream) &&
        reason != NET_CLOSED_ERROR) {
        count_handshake(conn, NET_TLS_ABANDONED);
    }
    conn->state = NET_CLOSING;
    conn->reason = (uint8_t)reason;
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
        net_conn_resume(conn);
        net_flusher_mark(&conn->server->flusher, conn);
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
    if (conn->peer_ended || stream_finish(&conn->stream)) {
        net_conn_close(conn, NET_CLOSED_BY_US);
        return;
    }
    conn->state = NET_LINGERING;
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
        if (clock_monotonic_us() - start >= server->options.slice_us / NET_SHARE) {
            break;
        }
    }
    return list_empty(&server->closing);
}

size_t net_conn_address(const struct net_conn *conn, unsigned char out[NET_ADDRESS_MAX])
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;
    /* A peer that has gone by now leaves the zeros: unknown. */
    (void)getpeername(conn->stream.fd, (struct sockaddr *)&name, &len);
    return net_address_pack(&name, out);
}

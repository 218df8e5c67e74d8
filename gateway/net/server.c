#include "net/server.h"

#include <stdlib.h>
#include <unistd.h>

#include "net/internal.h"

static void take_socket(void *owner, int fd)
{
    struct net_server *server = owner;
    if (server->stats.connections >= server->options.max_connections) {
        server->stats.refused++;
        close(fd);
        return;
    }
    struct net_conn *conn = net_conn_new(server, fd);
    if (!conn) {
        server->stats.refused++;
        return;
    }
    server->stats.accepted++;
    if (conn->state != NET_CLOSING) {
        server->ops->on_accept(server->owner, conn);
    }
    if (!conn->ops) {
        net_conn_close(conn, NET_CLOSED_BY_US);
    } else if (server->options.defer_accept) {
        net_conn_read_early(conn);
    }
}

static void count_shortage(void *owner)
{
    struct net_server *server = owner;
    server->stats.refused++;
}

static const struct net_listener_ops listener_ops = {take_socket, count_shortage};

static void read_slice(struct loop_task *task)
{
    struct net_server *server = container_of(task, struct net_server, read_task);
    if (!net_conns_read(server)) {
        loop_defer(server->loop, task);
    }
}

static void close_slice(struct loop_task *task)
{
    struct net_server *server = container_of(task, struct net_server, close_task);
    if (!net_conns_bury(server)) {
        loop_defer(server->loop, task);
    }
}

const char *net_tls_end_name(size_t end)
{
    static const char *const names[NET_TLS_ENDS] = {"full", "resumed", "refused", "abandoned"};
    return names[end];
}

static void destroy(struct net_server *server)
{
    net_flusher_fini(&server->flusher);
    loop_task_cancel(&server->read_task);
    loop_task_cancel(&server->close_task);
    loop_sockets_free(server->sockets);
    tls_context_unref(server->options.tls);
    free(server->read_buffer);
    free(server);
}

static struct net_server *make(struct loop *loop, const struct net_server_options *options,
                               const struct net_server_ops *ops, void *owner)
{
    struct net_server *server = calloc(1, sizeof *server);
    if (!server) {
        return NULL;
    }
    *server = (struct net_server){.loop = loop, .options = *options, .ops = ops, .owner = owner};
    server->options.host = NULL; /* the caller's, who needs not keep it */
    if (options->tls) {
        tls_context_ref(options->tls);
    }
    if (server->options.queue_bytes > NET_QUEUE_BYTES_MAX) {
        server->options.queue_bytes = NET_QUEUE_BYTES_MAX;
    }
    list_init(&server->conns);
    list_init(&server->unread);
    list_init(&server->closing);
    loop_task_init(&server->read_task, read_slice);
    loop_task_init(&server->close_task, close_slice);
    net_flusher_init(&server->flusher, loop, options->slice_us, options->stall_ms);
    server->read_buffer = malloc(NET_READ_SIZE);
    server->sockets = loop_sockets_new(loop, options->slice_us / NET_SHARE, net_conn_on_ready);
    if (!server->read_buffer || !server->sockets) {
        destroy(server);
        return NULL;
    }
    return server;
}

enum err net_server_open(struct loop *loop, const struct net_server_options *options,
                         const struct net_server_ops *ops, void *owner,
                         struct net_server **ret_server, struct buf *complaint)
{
    struct net_server *server = make(loop, options, ops, owner);
    if (!server) {
        return ERR_NOMEM;
    }
    enum err err =
        net_listener_open(&server->listener, loop, options, &listener_ops, server, complaint);
    if (err) {
        destroy(server);
        return err;
    }
    *ret_server = server;
    return OK;
}

void net_server_set_max_connections(struct net_server *server, size_t max)
{
    server->options.max_connections = max;
}

void net_server_set_tls(struct net_server *server, struct tls_context *tls)
{
    struct tls_context *old = server->options.tls;
    server->options.tls = tls ? tls_context_ref(tls) : NULL;
    tls_context_unref(old);
}

const struct tls_context *net_server_tls(const struct net_server *server)
{
    return server->options.tls;
}

void net_server_stop(struct net_server *server)
{
    net_listener_close(&server->listener);
}

void net_server_free(struct net_server *server)
{
    if (!server) {
        return;
    }
    net_server_stop(server);
    list_splice_back(&server->conns, &server->unread);
    LIST_FOR_EACH (node, following, &server->conns) {
        net_conn_close(list_entry(node, struct net_conn, node), NET_CLOSED_BY_US);
    }
    while (!net_conns_bury(server)) {
    }
    destroy(server);
}

void net_server_watch_passes(struct net_server *server, void (*on_pass)(void *owner, bool ended),
                             void *owner)
{
    server->flusher.on_pass = on_pass;
    server->flusher.pass_owner = owner;
}

bool net_server_due(const struct net_server *server)
{
    return net_flusher_due(&server->flusher);
}

bool net_server_stalled_within(const struct net_server *server, uint64_t ms)
{
    return net_flusher_stalled_within(&server->flusher, ms);
}

bool net_server_quiet(const struct net_server *server)
{
    return list_empty(&server->closing) && net_flusher_quiet(&server->flusher);
}

uint16_t net_server_port(const struct net_server *server)
{
    return server->listener.port.number;
}

const struct net_server_stats *net_server_stats(const struct net_server *server)
{
    return &server->stats;
}

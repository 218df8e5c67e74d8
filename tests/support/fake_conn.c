#include "fake_conn.h"

#include <stdlib.h>
#include <string.h>

struct net_conn *fake_conn_new(void)
{
    struct net_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        abort();
    }
    conn->reason = NET_CLOSED_BY_PEER;
    buf_init(&conn->sent, 0);
    return conn;
}

void fake_conn_feed(struct net_conn *conn, struct str bytes)
{
    if (conn->closing || conn->finishing) {
        return;
    }
    char *exact = malloc(bytes.len ? bytes.len : 1);
    if (!exact) {
        return; /* the test is failing this allocation */
    }
    memcpy(exact, bytes.ptr, bytes.len);
    conn->ops->on_read(conn, str_range(exact, bytes.len));
    free(exact);
}

void fake_conn_end(struct net_conn *conn)
{
    conn->closing = true;
    conn->ops->on_close(conn, conn->reason);
    buf_fini(&conn->sent);
    free(conn);
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

enum err net_conn_send(struct net_conn *conn, struct rcbuf *bytes)
{
    if (conn->closing || conn->finishing) {
        return ERR_CLOSED;
    }
    conn->sends++;
    return buf_append(&conn->sent, rcbuf_str(bytes));
}

void net_conn_close(struct net_conn *conn, enum net_close_reason reason)
{
    if (!conn->closing) {
        conn->closing = true;
        conn->reason = reason;
    }
}

void net_conn_finish(struct net_conn *conn)
{
    if (!conn->closing) {
        conn->finishing = true;
        conn->reason = NET_CLOSED_BY_US;
    }
}

bool net_conn_closing(const struct net_conn *conn)
{
    return conn->closing || conn->finishing;
}

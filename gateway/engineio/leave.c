/* A server that goes: nobody comes in any more, and its sessions leave a few at a time. */
#include "engineio/internal.h"

void eio_server_leave(struct eio_server *server)
{
    server->leaving = true;
}

void eio_server_pass_over(struct eio_session *session)
{
    struct eio_server *server = session->server;
    if (server->next == &session->node) {
        server->next = map_next(&server->by_sid, &session->node);
    }
}

struct eio_session *eio_server_next(struct eio_server *server)
{
    struct map_node *node = server->next;
    node = node ? node : map_next(&server->by_sid, NULL);
    if (!node) {
        return NULL;
    }
    server->next = map_next(&server->by_sid, node);
    return container_of(node, struct eio_session, node);
}

size_t eio_server_release(struct eio_server *server, size_t max)
{
    size_t released = 0;
    for (unsigned ends = 0; released < max && ends < 2;) {
        struct eio_session *session =
            server->stats.sessions > server->stats.leaving ? eio_server_next(server) : NULL;
        if (!session) {
            break;
        }
        ends += server->next == NULL;
        released += eio_session_leave(session);
    }
    return released;
}

size_t eio_server_cut(struct eio_server *server, size_t max)
{
    size_t count = 0;
    struct eio_session *session;
    while (count < max && (session = eio_server_next(server))) {
        eio_session_end(session, EIO_CLOSE_DRAIN);
        count++;
    }
    return count;
}

bool eio_server_empty(const struct eio_server *server)
{
    return server->stats.sessions == 0 && list_empty(&server->due);
}

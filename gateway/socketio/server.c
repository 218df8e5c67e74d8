#include "socketio/server.h"

#include <stdlib.h>

#include "socketio/private.h"

static void sweep(struct loop_task *task)
{
    struct sio_server *server = container_of(task, struct sio_server, sweep);
    for (struct list *node; (node = list_pop_front(&server->ended));) {
        sio_client_sweep(list_entry(node, struct sio_rare, ended)->client);
    }
}

struct sio_server *sio_server_new(struct loop *loop, const struct sio_server_options *options,
                                  const struct sio_namespace *namespaces, size_t count)
{
    struct sio_server *server = calloc(1, sizeof *server);
    if (!server) {
        return NULL;
    }
    server->loop = loop;
    server->options = options;
    server->namespaces = namespaces;
    server->namespace_count = count;
    list_init(&server->ended);
    list_init(&server->waiting);
    loop_task_init(&server->sweep, sweep);
    return server;
}

void sio_server_free(struct sio_server *server)
{
    if (server) {
        loop_task_cancel(&server->sweep);
        free(server);
    }
}

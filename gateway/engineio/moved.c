/*
 * Sessions that went to another gateway, for as long as a late request for them may come: it is
 * told what any request is told that comes by the wrong transport, not that there is no such
 * session.
 */
#include <stdlib.h>
#include <string.h>

#include "engineio/relay.h"

enum { REMEMBERED_MS = 30000, REMEMBERED_MAX = 20000 };

struct moved {
    struct map_node node;
    struct list by_age;
    uint64_t until_ms;
    uint8_t sid_len;
    char sid[];
};

static struct str sid_of(const struct map_node *node)
{
    const struct moved *moved = container_of(node, struct moved, node);
    return str_range(moved->sid, moved->sid_len);
}

static void forget(struct eio_relay *relay, struct moved *moved)
{
    map_remove(&relay->moved, &moved->node);
    list_remove(&moved->by_age);
    free(moved);
}

static void forget_old(struct eio_relay *relay)
{
    uint64_t now = loop_now(relay->server->loop);
    LIST_FOR_EACH (node, next, &relay->moved_first) {
        struct moved *moved = list_entry(node, struct moved, by_age);
        if (moved->until_ms > now && relay->moved.count < REMEMBERED_MAX) {
            return;
        }
        forget(relay, moved);
    }
}

/* Without memory a late request is told the other. A session may have been here twice. */
void eio_relay_note_moved(const struct eio_session *session)
{
    struct eio_relay *relay = session->server->relay;
    struct str sid = eio_session_sid(session);
    relay->stats.moved_out++;
    forget_old(relay);
    struct moved *moved = map_find(&relay->moved, sid) ? NULL : malloc(sizeof *moved + sid.len);
    if (!moved) {
        return;
    }
    *moved = (struct moved){.until_ms = loop_now(relay->server->loop) + REMEMBERED_MS,
                            .sid_len = (uint8_t)sid.len};
    memcpy(moved->sid, sid.ptr, sid.len);
    list_init(&moved->by_age);
    if (map_insert(&relay->moved, &moved->node)) {
        free(moved);
        return;
    }
    list_push_back(&relay->moved_first, &moved->by_age);
}

enum eio_error eio_relay_error(const struct eio_server *server, struct str sid)
{
    bool moved = server->relay && map_find(&server->relay->moved, sid);
    return moved ? EIO_ERROR_REQUEST : EIO_ERROR_SID;
}

void eio_moved_init(struct eio_relay *relay)
{
    map_init(&relay->moved, sid_of);
    list_init(&relay->moved_first);
}

void eio_moved_fini(struct eio_relay *relay)
{
    LIST_FOR_EACH (node, next, &relay->moved_first) {
        forget(relay, list_entry(node, struct moved, by_age));
    }
    map_fini(&relay->moved);
}

/*
 * Many connected sockets that share one callback, for servers with very many clients.
 *
 * They are in an epoll instance of their own, which the loop watches as one descriptor: a member
 * costs no memory here, one system call when it is added and none when it goes. The price is that
 * readiness is told by edges: once when something becomes ready, and again only after a call on the
 * socket came back with "try again" (reading: or with less than was asked for). Whoever stops
 * earlier remembers it, and goes on by itself.
 *
 * A turn of the loop tells what is ready in batches, until there is no more or the share of time is
 * used up; the rest is told in the next turn, which does not wait.
 *
 * A member leaves by the closing of its descriptor, of which there must be no duplicate. A batch is
 * told to its end, so a member that a callback closed may still be told of in the same turn: its
 * owner stays in memory until the end of the turn (loop_reap), and takes no notice.
 */
#ifndef LOOP_SOCKETS_H
#define LOOP_SOCKETS_H

#include <stdint.h>

#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"

struct loop_sockets;

enum loop_ready {
    LOOP_READABLE = 1,
    LOOP_WRITABLE = 2, /* of members that wait for it, see loop_sockets_await_writable */
    LOOP_ENDED = 4, /* the peer's end, or an error, stands behind what can be read; and READABLE */
};

/* `ready`: of enum loop_ready, at least one. */
typedef void (*loop_sockets_fn)(void *owner_of_socket, unsigned ready);

/* share_us: how long one turn may go on with further batches. NULL without memory or descriptors.
 */
struct loop_sockets *loop_sockets_new(struct loop *loop, uint64_t share_us,
                                      loop_sockets_fn on_ready);
/* Members are told of no more. Not from inside on_ready. NULL is fine. */
void loop_sockets_free(struct loop_sockets *sockets);

/* What is ready already is told, too. NOMEM: also where the system allows no more of them. */
MUST_CHECK enum err loop_sockets_add(struct loop_sockets *sockets, int fd, void *owner_of_socket);
/*
 * From now on, for the member's whole life, WRITABLE is told as well: at once where it is so now.
 * Apart because most members never wait for it, and each would be told once for nothing. IO.
 */
MUST_CHECK enum err loop_sockets_await_writable(struct loop_sockets *sockets, int fd,
                                                void *owner_of_socket);

#endif

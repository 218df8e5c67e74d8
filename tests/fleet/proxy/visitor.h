/*
 * A client's connection to the proxy. Each of its requests is read whole, goes to the next server
 * in turn, and is answered; one for a WebSocket makes the connection a tunnel for the rest of its
 * life.
 *
 * A server that cannot be reached rests for a moment and the next one is asked. One that goes away
 * without an answer is followed by the next one only for GET: nobody knows what became of a POST.
 */
#ifndef FLEET_VISITOR_H
#define FLEET_VISITOR_H

#include <event2/util.h>

#include "backends.h"

enum { REQUEST_BODY_MAX = 4 << 20 };

/* The visitor is on the list until the connection ends, and then frees itself. Borrows both. */
void visitor_open(struct list *visitors, struct backends *backends, evutil_socket_t fd);
void visitors_close(struct list *visitors);

#endif

/*
 * What the echo server says: another application on the rooms up to socketio, without the gateway's
 * own.
 */
#ifndef CONFORMANCE_ECHO_H
#define CONFORMANCE_ECHO_H

#include "engineio/session.h"
#include "socketio/server.h"

/* Engine.IO level: every message comes back. The sessions' owner is not used. */
extern const struct eio_session_ops echo_engine_ops;

/*
 * Socket.IO level. A socket that connects gets the event "auth" with what it sent (or {}). Then:
 *   message             the event "message-back" with the same arguments
 *   message-with-ack    an ack with the same arguments
 *   burst               its first argument, a number, says how many events "burst" come, numbered
 *   disconnect-me       a server disconnect
 *   disconnect-twice    the same asked for twice, with a message after it that must not arrive
 * Members of the auth object: "refuse": a message to be refused with; "later": no answer at all;
 * "early": an event before the answer; "pid": accept with it; "header": the event "authorization"
 * with the request's header.
 */
extern const struct sio_namespace_ops echo_socketio_ops;

#endif

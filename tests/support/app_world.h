/*
 * The room `app` with a real Redis and real Socket.IO, over sessions that are the test's own: link
 * it in place of Engine.IO's sessions. A person is one client; what reaches it is read packet by
 * packet.
 */
#ifndef SUPPORT_APP_WORLD_H
#define SUPPORT_APP_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "app/app.h"
#include "redis_peer.h"
#include "socketio/server.h"
#include "util/buf.h"

struct app_world {
    struct redis_server redis;
    struct redis_peer peer;       /* its loop is everybody's */
    struct redis_peer *publisher; /* the peer, for worlds beside this one, too */
    struct redis_link_options redis_options;
    struct app_options options; /* may be changed between init and open */
    struct app *app;
    struct sio_server_options sio_options;
    struct sio_namespace namespace;
    struct sio_server *sockets;
};

/* Starts Redis; two rooms a client, 100 ms of patience and lingering by default: change, then open.
 */
void app_world_init(struct app_world *world);
void app_world_open(struct app_world *world);
void app_world_close(struct app_world *world);
/* Another gateway on the same Redis, loop and options; closed by the second, before the first. */
void app_world_open_beside(struct app_world *other, struct app_world *world);
void app_world_close_beside(struct app_world *other);

enum { HANDED_MAX = 2048, CLIENT_MAX = 256 };

struct eio_session {
    struct app_world *world;
    max_align_t room[CLIENT_MAX / sizeof(max_align_t)]; /* of Socket.IO's client */
    struct buf sent; /* what was not read yet: packets, a line each */
    struct buf line; /* the one read last, terminated */
    bool open;       /* between person_open and person_leave */
    bool closed;     /* eio_session_close was called */
    enum eio_close_reason reason;
    bool stuck;              /* eio_session_send fails with CLOSED */
    char handed[HANDED_MAX]; /* the last text for the gateway that the session moves to, or from */
    size_t handed_len;       /* a terminator follows */
    unsigned hands;          /* how many there were */
};

/* A session, without CONNECT. False: no memory. */
bool person_open(struct app_world *world, struct eio_session *person);
/* A session that comes from another gateway with that text. */
enum err person_arrives_with(struct app_world *world, struct eio_session *person, struct str state);
/* A message packet from the client, as it is behind the "4". */
void person_says(struct eio_session *person, const char *text);
/* CONNECT with a good token of these claims (NULL address: none). */
void person_connects(struct eio_session *person, const char *sub, const char *address);
/* All of it, awaiting the `connected` event; what came before is forgotten. */
void person_joins(struct app_world *world, struct eio_session *person, const char *sub,
                  const char *address);
/* The session ends. Idempotent. */
void person_leaves(struct eio_session *person);

/* Awaits the next packet and compares it as a whole, or its beginning. */
void person_hears(struct eio_session *person, const char *packet);
void person_hears_begin(struct eio_session *person, const char *beginning);
/* Nothing is waiting that was not read, after everything on its way has arrived. */
void person_hears_nothing(struct eio_session *person);

/* What a client keeps of itself for when it comes back; all empty at first. */
struct person_past {
    char sid[SIO_SID_LEN + 1], pid[BUS_PID_LEN + 1], offset[24];
    bool recovered;
};

/* CONNECT with auth.recovery and what the past holds. */
void person_asks_to_recover(struct eio_session *person, const char *sub, const char *address,
                            const struct person_past *past);
/* Awaits CONNECT's answer; sid, pid and `recovered` are noted as the official client does. */
void person_is_accepted(struct eio_session *person, struct person_past *past);
/* All of that, over a new session. */
void person_comes(struct app_world *world, struct eio_session *person, const char *sub,
                  struct person_past *past);
/* The same, awaiting `connected` behind it. */
void person_arrives(struct app_world *world, struct eio_session *person, const char *sub,
                    struct person_past *past);
/* Awaits a packet of this and an id: `42["market:trade",{}` for `42["market:trade",{},"1"]`. */
void person_hears_event(struct eio_session *person, struct person_past *past, const char *packet);
/* Awaits `connected` with these rooms (a JSON array, in any order), and its id. */
void person_is_greeted(struct eio_session *person, struct person_past *past, const char *rooms);

/* A token signed with the world's secret; the caller's. */
char *app_world_token(const char *claims);
/* PUBLISH on the room's channel; awaits Redis' answer: how many receivers. */
unsigned app_world_publish(struct app_world *world, const char *room, const char *header,
                           struct str payload);
/* By the publish script, into logs and channels of rooms ("market:1,global:all"). Returns the id.
 */
uint64_t app_world_emit(struct app_world *world, const char *event, const char *rooms,
                        const char *payload);
/* Some turns, and until Redis has answered what it was asked before. */
void app_world_settle(struct app_world *world);
/* How many members the room has; 0 also where there is none. */
unsigned app_world_members(struct app_world *world, const char *room);

#endif

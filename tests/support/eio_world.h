/*
 * A real Engine.IO server on a real port, its raw clients, one thread and a clock that stands still
 * until the test moves it. Whatever the server calls is written down in `log`.
 */
#ifndef SUPPORT_EIO_WORLD_H
#define SUPPORT_EIO_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "engineio/server.h"
#include "http/server.h"
#include "loop/loop.h"
#include "util/buf.h"
#include "util/clock.h"
#include "websocket/frame.h"

enum world_move { WORLD_GIVES, WORLD_WAITS, WORLD_REFUSES };

struct world {
    struct clock_fake clock;
    struct loop *loop;
    struct http_server *http;
    struct eio_server *server;
    struct eio_server_options options; /* settings before world_open count */
    struct http_server_options http_options;
    struct http_handler handler;
    struct buf log;              /* "open;", "text hi;", "bytes hi;", "close server;" */
    struct eio_session *session; /* the newest */
    enum err refuse;             /* what on_open returns */
    bool echo;                   /* every message is sent back */
    bool greet;                  /* on_open sends "welcome" */
    bool close_in_open;
    bool beside; /* on the loop of another world */
    /*
     * What the layer above does where a session moves: called with "leave", "arrive", "ask" and
     * "arrived". NULL: it gives "state", "place" and "rest" at once.
     */
    enum world_move (*on_move)(struct world *world, struct eio_session *session, const char *step);
};

/* Suite-like settings: pings every 300 ms with 200 ms patience. */
void world_init(struct world *world);
void world_open(struct world *world);
void world_close(struct world *world);
/* Another server on the same loop and clock; closed with world_close before the first. */
void world_open_beside(struct world *world, struct world *first);
/* Some turns, in which all that can happen without time does. */
void world_settle(struct world *world);
/* Moves the clock in small steps, with turns between. */
void world_advance(struct world *world, unsigned ms);
/* Compares the log and empties it. */
void world_expect(struct world *world, const char *log);

/* One connection of a client. */
struct client {
    struct world *world;
    int fd;
    struct buf in;
    unsigned status;    /* of the last answer */
    char head[2048];    /* of the last answer, terminated */
    char body[1 << 18]; /* of the last answer or message, terminated */
    size_t body_len;
    char sid[64];
};

void client_open(struct client *client, struct world *world);
void client_close(struct client *client);
void client_send(struct client *client, struct str bytes);
/* The same on a connection that may have ended. */
void client_try(struct client *client, struct str bytes);
/* Sends a request for "/socket.io/?EIO=4&transport=polling" and `more`; no answer is awaited. */
void client_request(struct client *client, const char *method, const char *more, struct str body);
/* Awaits an answer. */
void client_answer(struct client *client);
/* Both. */
void client_get(struct client *client, const char *more);
void client_post(struct client *client, const char *sid, struct str body);
/* Handshake by polling: fills `sid`. */
void client_handshake(struct client *client);
/* A poll of that session, without awaiting its answer. */
void client_poll(struct client *client, const char *sid);
/* Whether nothing has come that was not read. */
bool client_quiet(struct client *client);
/* Whether the server closes the connection. */
bool client_sees_end(struct client *client);
void client_expect(struct client *client, unsigned status, const char *body);

/* WebSocket handshake, with `more` behind the query (NULL: as a new session) and header lines. */
void client_ws_request(struct client *client, const char *more, const char *headers);
/* The same up to the 101; a new session's open packet is read too and fills `sid`. */
void client_ws_open(struct client *client, const char *sid);
void client_ws_send(struct client *client, enum ws_opcode opcode, struct str payload);
/* Awaits a frame: its opcode; payload in body. */
enum ws_opcode client_ws_frame(struct client *client);
void client_ws_expect(struct client *client, const char *text);

#endif

/*
 * One client of the fleet: the steps of Engine.IO and Socket.IO from the first request to the
 * subscription, over a WebSocket or by polling. The fleet owns the clients and counts them by
 * state.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

struct fleet;

enum { CLIENT_SID_MAX = 40, CLIENT_PID_MAX = 28, CLIENT_OFFSET_MAX = 20 };

enum client_state {
    CLIENT_UNUSED,
    CLIENT_CONNECTING,  /* TCP */
    CLIENT_SECURING,    /* TLS shakes hands */
    CLIENT_UPGRADING,   /* the HTTP request is out */
    CLIENT_OPENING,     /* waits for the Engine.IO handshake */
    CLIENT_JOINING,     /* the token is out */
    CLIENT_GREETING,    /* accepted; waits for the event "connected" */
    CLIENT_READY,       /* idle */
    CLIENT_SUBSCRIBING, /* waits for the ack */
    CLIENT_SUBSCRIBED,
    CLIENT_CLOSING, /* our close frame is out */
    CLIENT_CLOSED,  /* as we asked, or when the server hung up: see fleet.broken and .failed */
    CLIENT_STATES,
};

/* What a polling client is waiting for: one request is under way at a time, on one connection. */
enum client_awaits { AWAITS_NOTHING, AWAITS_PACKETS, AWAITS_OK };

struct client {
    int fd;
    uint8_t state;       /* enum client_state */
    uint8_t awaits;      /* enum client_awaits */
    bool recovered;      /* the server took it for the one that it was before */
    bool heard;          /* an announcement */
    uint32_t rooms;      /* that it has subscribed to */
    uint32_t next_event; /* sequence number that it expects */
    uint32_t held_len;
    SSL *ssl;                       /* or NULL: plain */
    char *held;                     /* the beginning of an incomplete frame or response, or NULL */
    char *due;                      /* packets that the next POST takes along, or NULL */
    char sid[CLIENT_SID_MAX];       /* of Engine.IO, where it polls */
    char pid[CLIENT_PID_MAX];       /* with which it recovers; empty where the server gave none */
    char offset[CLIENT_OFFSET_MAX]; /* the last one that it got; empty likewise */
};
_Static_assert(sizeof(struct client) < 150, "a million of them are to fit beside their gateways");

void client_move(struct fleet *fleet, struct client *client, enum client_state state);

/* TCP stands, or could not: on to TLS, or to asking for the WebSocket, or the session. */
void client_begin(struct fleet *fleet, struct client *client);
void client_subscribe(struct fleet *fleet, struct client *client);
/* Where it is ready and polls: waits for whatever may come, as fleet.poll_ready says. */
void client_poll(struct fleet *fleet, struct client *client);
/* The closing handshake; one that has not got so far, or has a poll open, hangs up. */
void client_close(struct fleet *fleet, struct client *client);
/* Something has arrived, in any state after CONNECTING. */
void client_read(struct fleet *fleet, struct client *client);

/* The connection is over, or must be: counts what that means in the client's state. */
void client_end(struct fleet *fleet, struct client *client, const char *why);
/* Ends it without a count. */
void client_hang_up(struct fleet *fleet, struct client *client);

#endif

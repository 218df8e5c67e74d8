/*
 * What gateways say to each other about sessions, in the payload of control messages. Sans-I/O.
 *
 *     relay      <gateway that asks> <its number> <verb> <sid>\n<body>
 *     relayed    <number> <outcome>\n<body>
 */
#ifndef ENGINEIO_RELAY_MESSAGE_H
#define ENGINEIO_RELAY_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engineio/handshake.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/rcbuf.h"
#include "util/str.h"

enum eio_relay_verb {
    EIO_RELAY_POLL,
    EIO_RELAY_POLL_AGAIN, /* that was asked before: its answer may have been lost */
    EIO_RELAY_TAKEN,      /* a poll's answer has reached the client */
    EIO_RELAY_POST,       /* body: packets */
    EIO_RELAY_ABORT,      /* the client gave up what was asked under this number */
    /* Of an upgrade, one after the other, all under one number: */
    EIO_RELAY_UPGRADE, /* may a WebSocket with the asking gateway become the transport? */
    EIO_RELAY_PROBED,  /* the client has probed it */
    EIO_RELAY_FAIL,    /* it is gone; the session stays */
    EIO_RELAY_TAKE,    /* the client has said `5`: the session is to come */
    EIO_RELAY_PLACE,   /* body: from where on the asking gateway can go on; asks for the rest */
    EIO_RELAY_VERBS,
};

/* What can become of a request. */
enum eio_outcome {
    EIO_PACKETS, /* body: of a poll */
    EIO_TAKEN,   /* a POST */
    EIO_TOO_LARGE,
    EIO_BUSY,    /* no memory, or no answer in time: the client may come back */
    EIO_REFUSED, /* with an enum eio_error; of an upgrade at any time */
    EIO_HTTP_OUTCOMES,
    /* Of an upgrade: */
    EIO_WELCOME = EIO_HTTP_OUTCOMES, /* the WebSocket may be opened */
    EIO_ONE_TOO_MANY,                /* the session has another one */
    EIO_STATE,                       /* body: see eio_relay_write_state */
    EIO_REST,                        /* body: see eio_relay_write_rest; the session is gone here */
    EIO_OUTCOMES,
};

struct eio_relay_request {
    struct str gateway;
    uint64_t number; /* the same again: the same request, repeated */
    enum eio_relay_verb verb;
    struct str sid;
    struct str body;
};

struct eio_relay_answer {
    uint64_t number;
    enum eio_outcome outcome;
    enum eio_error error; /* of REFUSED */
    struct str body;
};

/* Whether an id has the form of those that sessions of a fleet have: whom to ask is its beginning.
 */
bool eio_sid_has_owner(struct str sid);

/* The head of the payload; the body follows it. LIMIT, NOMEM. */
MUST_CHECK enum err eio_relay_write_request(const struct eio_relay_request *request,
                                            struct buf *out);
MUST_CHECK enum err eio_relay_write_answer(const struct eio_relay_answer *answer, struct buf *out);
/*
 * The body of STATE: "<phase of the heartbeat> <milliseconds that are left of it>\n" and what the
 * layers above say. LIMIT, NOMEM.
 */
MUST_CHECK enum err eio_relay_write_state(unsigned phase, uint64_t left_ms, struct str state,
                                          struct buf *out);
/* A view into `body`. PROTO. */
MUST_CHECK enum err eio_relay_read_state(struct str body, unsigned *ret_phase,
                                         uint64_t *ret_left_ms, struct str *ret_state);

/*
 * The body of REST: "<bytes>\n" and what the layers above say, then for each packet that is due to
 * the client "<t or b> <bytes>\n" and its payload. LIMIT, NOMEM.
 */
MUST_CHECK enum err eio_relay_write_rest(struct str rest, struct buf *out);
MUST_CHECK enum err eio_relay_write_packet(const struct rcbuf *packet, struct buf *out);
/* Views into `body`. PROTO. */
MUST_CHECK enum err eio_relay_read_rest(struct str body, struct str *ret_rest,
                                        struct str *ret_packets);
/* Takes the next one of *packets, whatever it says: a view. AGAIN: there is none; PROTO. */
MUST_CHECK enum err eio_relay_next_packet(struct str *packets, bool *ret_binary,
                                          struct str *ret_payload);
/* The same, encoded anew; text has to be a packet. NOMEM. */
MUST_CHECK enum err eio_relay_read_packet(struct str *packets, struct rcbuf **ret_packet);

/* Views into `payload`. PROTO. */
MUST_CHECK enum err eio_relay_read_request(struct str payload,
                                           struct eio_relay_request *ret_request);
MUST_CHECK enum err eio_relay_read_answer(struct str payload, struct eio_relay_answer *ret_answer);

#endif

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
#include "util/str.h"

enum eio_relay_verb {
    EIO_RELAY_POLL,
    EIO_RELAY_POLL_AGAIN, /* that was asked before: where it does not wait any more, its answer was
                             lost */
    EIO_RELAY_POST,       /* body: packets */
    EIO_RELAY_ABORT,      /* the client gave up what was asked under this number */
    EIO_RELAY_VERBS,
};

/* What can become of a request; the first is the only one with a body. */
enum eio_outcome {
    EIO_PACKETS, /* of a poll */
    EIO_TAKEN,   /* a POST */
    EIO_TOO_LARGE,
    EIO_BUSY,    /* no memory, or no answer in time: the client may come back */
    EIO_REFUSED, /* with an enum eio_error */
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
/* Views into `payload`. PROTO. */
MUST_CHECK enum err eio_relay_read_request(struct str payload,
                                           struct eio_relay_request *ret_request);
MUST_CHECK enum err eio_relay_read_answer(struct str payload, struct eio_relay_answer *ret_answer);

#endif

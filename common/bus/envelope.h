/*
 * The message between publisher and gateways, on channels and in logs:
 *
 *     <id> <previous id in this room> <event> <room>[,<room>…]\n<payload>
 *
 * Id 0 marks a message outside the logs (a plain PUBLISH). Sans-I/O.
 */
#ifndef BUS_ENVELOPE_H
#define BUS_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum { BUS_ENVELOPE_ROOMS_MAX = 16, BUS_PAYLOAD_MAX = 1024 * 1024 };

struct bus_envelope {
    uint64_t
        id; /* microseconds since 1970, unique and increasing in its partition; 0: not logged */
    uint64_t previous; /* id of the room's previous event; 0: none is known */
    struct str event;
    struct str rooms[BUS_ENVELOPE_ROOMS_MAX]; /* in the order of delivery */
    unsigned room_count;
    struct str payload;
};

/*
 * Views into `message`. PROTO: not of this form; LIMIT: too many rooms or too large. Checks the
 * header only: whether the event is known and the payload is JSON is the reader's to ask.
 */
MUST_CHECK enum err bus_envelope_parse(struct str message, struct bus_envelope *ret_envelope);
/* The same with a bound of the caller's for the payload, instead of BUS_PAYLOAD_MAX. */
MUST_CHECK enum err bus_envelope_parse_within(struct str message, size_t max_payload,
                                              struct bus_envelope *ret_envelope);

#endif

/* Where the JSON of a binary packet refers to its attachments: {"_placeholder":true,"num":0}. */
#ifndef SOCKETIO_PLACEHOLDER_H
#define SOCKETIO_PLACEHOLDER_H

#include <stddef.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

/*
 * Whether every placeholder in `json`, a checked value no deeper than SIO_PACKET_DEPTH_MAX, has a
 * `num` that is an integer below `attachments`. PROTO otherwise. One pass, no allocation.
 */
MUST_CHECK enum err sio_placeholders_check(struct str json, size_t attachments);

#endif

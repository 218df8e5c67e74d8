/*
 * The event catalogue at run time: which events exist, what their data must look like, and which
 * rooms they go to. The tables come from schema/events/, one file an event.
 */
#ifndef SCHEMA_CATALOGUE_H
#define SCHEMA_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/room.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum {
    CATALOGUE_ROOMS_MAX = 4,         /* rooms of one event */
    CATALOGUE_DEPTH_MAX = 64,        /* nesting of an event's JSON */
    CATALOGUE_DATA_MAX = 512 * 1024, /* bytes of one event's data object */
};

enum catalogue_type {
    CATALOGUE_STRING,    /* any text */
    CATALOGUE_ID,        /* text that can name a room: see schema/room.h */
    CATALOGUE_WEI,       /* decimal digits in a string, at most 78 (256 bits) */
    CATALOGUE_TIMESTAMP, /* date and time as in schema/iso8601.h, in a string */
    CATALOGUE_INTEGER,   /* between min and max */
    CATALOGUE_BOOLEAN,
    CATALOGUE_ENUM,    /* one of `choices`, in a string */
    CATALOGUE_STRINGS, /* array of strings */
    CATALOGUE_OBJECT,  /* any object */
};

struct catalogue_field {
    const char *name;
    enum catalogue_type type;
    bool required;
    bool defaults_to_now;       /* a missing timestamp becomes the time of publishing */
    long long min, max;         /* INTEGER */
    const char *const *choices; /* ENUM: NULL-terminated */
    const char *help;
};

struct catalogue_room {
    enum room_kind kind;
    const char *field; /* whose value is the id; NULL for global:all */
};

struct catalogue_event {
    const char *name; /* "market:trade" */
    const char *help;
    const struct catalogue_field *fields;
    size_t field_count;
    const struct catalogue_room *rooms; /* in the order of delivery */
    size_t room_count;
    const char *example; /* its data object, as JSON text with every field */
};

/* All events; the count by out-parameter. */
const struct catalogue_event *catalogue_events(size_t *ret_count);
/* NULL where there is none of that name. Constant time: called for every message. */
const struct catalogue_event *catalogue_find(struct str name);

/* An event ready to be written: what goes over the wire, and where to. */
struct catalogue_message {
    const struct catalogue_event *event;
    struct room_name rooms[CATALOGUE_ROOMS_MAX]; /* each once, in the order of delivery */
    size_t room_count;
};

/*
 * Checks `data` (a JSON object as text) against the event and appends the payload
 * {"type":…,"timestamp":…,"data":…} to `payload`: the caller's bytes, with a missing timestamp
 * added. `now_ms` is the wall clock. INVALID: *complaint names the field, what was expected and
 * what came.
 */
MUST_CHECK enum err catalogue_encode(const struct catalogue_event *event, struct str data,
                                     int64_t now_ms, struct catalogue_message *ret_message,
                                     struct buf *payload, struct buf *complaint);

#endif

#include "bus/envelope.h"

#include <stdbool.h>

/* Header fields travel between spaces, commas and the line's end: they are visible ASCII. */
static bool visible(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] <= ' ' || word.ptr[i] > '~') {
            return false;
        }
    }
    return word.len > 0;
}

static enum err parse_rooms(struct str list, struct bus_envelope *envelope)
{
    for (struct str room; str_split(&list, ',', &room);) {
        if (!visible(room)) {
            return ERR_PROTO;
        }
        if (envelope->room_count == BUS_ENVELOPE_ROOMS_MAX) {
            return ERR_LIMIT;
        }
        envelope->rooms[envelope->room_count++] = room;
    }
    return envelope->room_count > 0 ? OK : ERR_PROTO;
}

static enum err parse_header(struct str header, struct bus_envelope *envelope)
{
    struct str id, previous, rooms;
    if (!str_split(&header, ' ', &id) || !str_split(&header, ' ', &previous) ||
        !str_split(&header, ' ', &envelope->event) || !str_split(&header, ' ', &rooms) ||
        header.ptr) {
        return ERR_PROTO;
    }
    if (str_to_u64(id, &envelope->id) || str_to_u64(previous, &envelope->previous) ||
        !visible(envelope->event)) {
        return ERR_PROTO;
    }
    return parse_rooms(rooms, envelope);
}

enum err bus_envelope_parse(struct str message, struct bus_envelope *ret_envelope)
{
    return bus_envelope_parse_within(message, BUS_PAYLOAD_MAX, ret_envelope);
}

enum err bus_envelope_parse_within(struct str message, size_t max_payload,
                                   struct bus_envelope *ret_envelope)
{
    size_t end = str_find(message, '\n');
    if (end == message.len) {
        return ERR_PROTO;
    }
    struct bus_envelope envelope = {.payload = str_skip(message, end + 1)};
    enum err err = parse_header(str_range(message.ptr, end), &envelope);
    if (err) {
        return err;
    }
    if (envelope.payload.len > max_payload) {
        return ERR_LIMIT;
    }
    *ret_envelope = envelope;
    return OK;
}

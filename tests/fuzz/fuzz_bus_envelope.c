/* A parsed envelope's views lie within the message and are what the header promises. */
#include "bus/envelope.h"

#include <stdlib.h>

static void check_inside(struct str part, struct str whole)
{
    if (part.ptr < whole.ptr || part.len > whole.len ||
        part.ptr - whole.ptr > (ptrdiff_t)(whole.len - part.len)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str message = {(const char *)data, size};
    struct bus_envelope envelope;
    if (bus_envelope_parse(message, &envelope)) {
        return 0;
    }
    check_inside(envelope.event, message);
    check_inside(envelope.payload, message);
    if (envelope.room_count == 0 || envelope.room_count > BUS_ENVELOPE_ROOMS_MAX) {
        abort();
    }
    for (unsigned i = 0; i < envelope.room_count; i++) {
        check_inside(envelope.rooms[i], message);
        if (envelope.rooms[i].len == 0 ||
            str_find(envelope.rooms[i], ',') < envelope.rooms[i].len) {
            abort();
        }
    }
    return 0;
}

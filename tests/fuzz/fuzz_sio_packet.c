/* Any bytes: no crash, and what is accepted keeps the promises of socketio/packet.h. */
#include <stdint.h>
#include <stdlib.h>

#include "socketio/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void require_inside(struct str part, struct str whole)
{
    require(part.len == 0 ||
            (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sio_packet_limits limits = {.max_attachments = 10, .max_depth = 32};
    struct str text = {(const char *)data, size};
    struct sio_packet packet;
    if (size == 0 || sio_packet_parse(text, &limits, &packet)) {
        return 0;
    }
    require_inside(packet.payload, text);
    require_inside(packet.event, packet.payload);
    require_inside(packet.args, packet.payload);
    require(packet.attachments <= limits.max_attachments);
    require(packet.namespace_name.len > 0 && packet.namespace_name.len <= SIO_NAMESPACE_MAX);
    require(packet.id <= UINT64_C(999999999999999) || !packet.has_id);
    require((packet.arg_count == 0) == (packet.args.len == 0));
    return 0;
}

/* A POST's body: every packet of it can be sent back and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "engineio/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_back(const struct eio_packet *packet)
{
    struct buf body, scratch;
    struct eio_packet again;
    enum err err = OK;
    buf_init(&body, 0);
    buf_init(&scratch, 0);
    struct rcbuf *encoded =
        packet->binary ? eio_encode_binary(packet->data) : eio_encode(packet->type, packet->data);
    if (!encoded || eio_payload_append(&body, encoded) || body.len != eio_payload_size(encoded)) {
        abort();
    }
    struct str rest = buf_str(&body);
    if (!eio_payload_next(&rest, &scratch, &again, &err) || again.type != packet->type ||
        again.binary != packet->binary || !str_eq(again.data, packet->data) || rest.ptr) {
        abort();
    }
    rcbuf_unref(&encoded);
    buf_fini(&scratch);
    buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_range((const char *)data, size);
    size_t limit = eio_payload_count(body), count = 0;
    struct buf scratch;
    struct eio_packet packet;
    enum err err = OK;
    buf_init(&scratch, 0);
    while (eio_payload_next(&body, &scratch, &packet, &err)) {
        if (++count > limit) {
            abort();
        }
        send_back(&packet);
        buf_clear(&scratch);
    }
    if (!err && count != limit && size > 0) {
        abort();
    }
    buf_fini(&scratch);
    return 0;
}

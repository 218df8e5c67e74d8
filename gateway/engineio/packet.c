#include "engineio/packet.h"

#include <string.h>

#include "websocket/frame.h"

enum err eio_packet_parse(struct str text, struct eio_packet *ret_packet)
{
    if (text.len == 0 || text.ptr[0] < EIO_PACKET_OPEN || text.ptr[0] > EIO_PACKET_NOOP) {
        return ERR_PROTO;
    }
    *ret_packet = (struct eio_packet){
        .type = (enum eio_packet_type)text.ptr[0],
        .data = str_skip(text, 1),
    };
    return OK;
}

static char *put(char *to, struct str bytes)
{
    if (bytes.len > 0) {
        memcpy(to, bytes.ptr, bytes.len);
    }
    return to + bytes.len;
}

static struct rcbuf *encode(enum ws_opcode opcode, struct str type, const struct str *pieces,
                            size_t count)
{
    char header[WS_SERVER_HEADER_MAX];
    size_t payload = type.len;
    for (size_t i = 0; i < count; i++) {
        payload += pieces[i].len;
    }
    size_t size = ws_header_encode(opcode, payload, header);
    struct rcbuf *encoded = rcbuf_new(size + payload);
    if (encoded) {
        char *to = put(encoded->data, str_range(header, size));
        to = put(to, type);
        for (size_t i = 0; i < count; i++) {
            to = put(to, pieces[i]);
        }
    }
    return encoded;
}

struct rcbuf *eio_encode(enum eio_packet_type type, struct str data)
{
    char digit = (char)type;
    return encode(WS_TEXT, str_range(&digit, 1), &data, 1);
}

struct rcbuf *eio_encode_text(struct str data)
{
    return eio_encode_pieces(&data, 1);
}

struct rcbuf *eio_encode_pieces(const struct str *pieces, size_t count)
{
    return encode(WS_TEXT, STR("4"), pieces, count);
}

struct rcbuf *eio_encode_binary(struct str data)
{
    return encode(WS_BINARY, STR(""), &data, 1);
}

static struct rcbuf *join(struct rcbuf *const *packets, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += packets[i]->len;
    }
    struct rcbuf *joined = rcbuf_new(len);
    char *to = joined ? joined->data : NULL;
    for (size_t i = 0; joined && i < count; i++) {
        to = put(to, rcbuf_str(packets[i]));
    }
    return joined;
}

struct rcbuf *eio_batch_frames(struct eio_batch *batch)
{
    if (batch->count == 1) {
        return batch->packets[0];
    }
    batch->frames = batch->frames ? batch->frames : join(batch->packets, batch->count);
    return batch->frames;
}

void eio_batch_fini(struct eio_batch *batch)
{
    rcbuf_unref(&batch->frames);
}

struct str eio_encoded_payload(const struct rcbuf *encoded, bool *ret_binary)
{
    struct ws_frame_header header = {0};
    if (ws_frame_parse(rcbuf_str(encoded), &header)) {
        return STR(""); /* not made by eio_encode_* */
    }
    *ret_binary = header.opcode == WS_BINARY;
    return str_skip(rcbuf_str(encoded), header.size);
}

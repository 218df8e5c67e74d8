/* RFC 6455 section 5: the frame's header, the mask, the close codes. */
#include "websocket/frame.h"

#include <string.h>

enum {
    BIT_FIN = 0x80,
    BITS_RSV = 0x70,
    BITS_OPCODE = 0x0f,
    BIT_MASK = 0x80,
    BITS_LENGTH = 0x7f,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
};

static bool opcode_known(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static bool opcode_control(unsigned opcode)
{
    return opcode >= WS_CLOSE;
}

static uint64_t read_big_endian(const unsigned char *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* What the first two bytes alone can tell, so that nonsense is refused before more of it is read.
 */
static bool beginning_valid(unsigned first, unsigned second)
{
    unsigned opcode = first & BITS_OPCODE;
    if ((first & BITS_RSV) || !opcode_known(opcode)) {
        return false;
    }
    return !opcode_control(opcode) ||
           ((first & BIT_FIN) && (second & BITS_LENGTH) <= WS_CONTROL_MAX);
}

/* Section 5.2: the shortest form only, and the top bit of a 64-bit length is 0. */
static bool length_valid(uint64_t length, size_t width)
{
    if (width == 2) {
        return length >= LENGTH_16;
    }
    return width == 0 || (length > UINT16_MAX && length <= INT64_MAX);
}

enum err ws_frame_parse(struct str bytes, struct ws_frame_header *ret_header)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    if (bytes.len < 2) {
        return bytes.len == 1 && !beginning_valid(in[0], 0) ? ERR_PROTO : ERR_AGAIN;
    }
    if (!beginning_valid(in[0], in[1])) {
        return ERR_PROTO;
    }
    struct ws_frame_header header = {
        .fin = in[0] & BIT_FIN,
        .masked = in[1] & BIT_MASK,
        .opcode = (enum ws_opcode)(in[0] & BITS_OPCODE),
        .length = in[1] & BITS_LENGTH,
    };
    size_t width = header.length == LENGTH_64 ? 8 : header.length == LENGTH_16 ? 2 : 0;
    header.size = 2 + width + (header.masked ? sizeof header.mask : 0);
    if (width > 0 && bytes.len >= 2 + width) {
        header.length = read_big_endian(in + 2, width);
        if (!length_valid(header.length, width)) {
            return ERR_PROTO;
        }
    }
    if (bytes.len < header.size) {
        return ERR_AGAIN;
    }
    if (header.masked) {
        memcpy(header.mask, in + 2 + width, sizeof header.mask);
    }
    *ret_header = header;
    return OK;
}

void ws_unmask(char *bytes, size_t len, const unsigned char mask[4], uint64_t offset)
{
    unsigned char wide[8];
    for (size_t i = 0; i < sizeof wide; i++) {
        wide[i] = mask[(offset + i) & 3];
    }
    uint64_t key;
    memcpy(&key, wide, sizeof key);
    size_t i = 0;
    for (; i + sizeof key <= len; i += sizeof key) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        word ^= key;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < len; i++) {
        bytes[i] = (char)(bytes[i] ^ wide[i & 7]);
    }
}

size_t ws_header_encode(enum ws_opcode opcode, uint64_t length, char out[WS_SERVER_HEADER_MAX])
{
    size_t width = length < LENGTH_16 ? 0 : length <= UINT16_MAX ? 2 : 8;
    unsigned char *to = (unsigned char *)out;
    to[0] = (unsigned char)(BIT_FIN | opcode);
    to[1] = (unsigned char)(width == 0 ? length : width == 2 ? LENGTH_16 : LENGTH_64);
    for (size_t i = 0; i < width; i++) {
        to[2 + i] = (unsigned char)(length >> (8 * (width - 1 - i)));
    }
    return 2 + width;
}

struct rcbuf *ws_frame_encode(enum ws_opcode opcode, struct str payload)
{
    char header[WS_SERVER_HEADER_MAX];
    size_t size = ws_header_encode(opcode, payload.len, header);
    struct rcbuf *frame = rcbuf_new(size + payload.len);
    if (!frame) {
        return NULL;
    }
    memcpy(frame->data, header, size);
    if (payload.len > 0) {
        memcpy(frame->data + size, payload.ptr, payload.len);
    }
    return frame;
}

bool ws_close_code_valid(unsigned code)
{
    if (code >= 3000) {
        return code <= 4999;
    }
    return (code >= WS_NORMAL && code <= WS_UNSUPPORTED) ||
           (code >= WS_INVALID_DATA && code <= 1014);
}

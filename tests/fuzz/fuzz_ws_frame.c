/* Headers: whatever is taken must be the shortest form of what it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_frame_header header;
    if (ws_frame_parse(str_range((const char *)data, size), &header)) {
        return 0;
    }
    char out[WS_SERVER_HEADER_MAX];
    size_t encoded = ws_header_encode(header.opcode, header.length, out);
    size_t mask = header.masked ? sizeof header.mask : 0;
    if (header.size > size || encoded + mask != header.size) {
        abort();
    }
    out[0] = (char)(out[0] ^ (header.fin ? 0 : 0x80));
    out[1] = (char)(out[1] | (header.masked ? 0x80 : 0));
    if (memcmp(out, data, encoded) != 0) {
        abort();
    }
    return 0;
}

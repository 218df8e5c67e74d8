#include "wire.h"

#include <stdint.h>
#include <string.h>

enum { FIN = 0x80, MASK = 0x80, LEN_16 = 126, MASK_LEN = 4, SHORT_HEAD = 2, MEDIUM_HEAD = 4 };

static void apply_mask(char *payload, size_t len, const char mask[MASK_LEN])
{
    for (size_t i = 0; i < len; i++) {
        payload[i] = (char)(payload[i] ^ mask[i % MASK_LEN]);
    }
}

enum err wire_parse(char *bytes, size_t len, struct wire_frame *ret_frame)
{
    const unsigned char *head = (const unsigned char *)bytes;
    if (len < SHORT_HEAD) {
        return ERR_AGAIN;
    }
    size_t payload_len = head[1] & 0x7f;
    size_t at = payload_len == LEN_16 ? MEDIUM_HEAD : SHORT_HEAD;
    if ((head[0] & 0xf0) != FIN || payload_len > LEN_16) {
        return ERR_PROTO;
    }
    if (len < at) {
        return ERR_AGAIN;
    }
    if (payload_len == LEN_16) {
        payload_len = (size_t)head[2] << 8 | head[3];
    }
    bool masked = (head[1] & MASK) != 0;
    at += masked ? MASK_LEN : 0;
    if (len < at + payload_len) {
        return ERR_AGAIN;
    }
    if (masked) {
        apply_mask(bytes + at, payload_len, bytes + at - MASK_LEN);
    }
    *ret_frame = (struct wire_frame){
        .opcode = (enum wire_opcode)(head[0] & 0x0f),
        .masked = masked,
        .payload = bytes + at,
        .len = payload_len,
        .size = at + payload_len,
    };
    return OK;
}

static size_t write_head(char *out, enum wire_opcode opcode, unsigned mask_bit, size_t len)
{
    out[0] = (char)(FIN | opcode);
    if (len < LEN_16) {
        out[1] = (char)(mask_bit | len);
        return SHORT_HEAD;
    }
    out[1] = (char)(mask_bit | LEN_16);
    out[2] = (char)(len >> 8);
    out[3] = (char)len;
    return MEDIUM_HEAD;
}

size_t wire_server_frame(char *out, enum wire_opcode opcode, const char *payload, size_t len)
{
    size_t head = write_head(out, opcode, 0, len);
    memcpy(out + head, payload, len);
    return head + len;
}

size_t wire_client_frame(char *out, enum wire_opcode opcode, const char *payload, size_t len)
{
    static const char mask[MASK_LEN] = {0x5a, 0x17, 0x3c, 0x71};
    size_t head = write_head(out, opcode, MASK, len);
    memcpy(out + head, mask, MASK_LEN);
    head += MASK_LEN;
    memcpy(out + head, payload, len);
    apply_mask(out + head, len, mask);
    return head + len;
}

enum err wire_parse_upgrade(const char *bytes, size_t len, size_t *ret_size)
{
    static const char status[] = "HTTP/1.1 101 ";
    static const char end[] = "\r\n\r\n";
    const char *end_at = memmem(bytes, len, end, strlen(end));
    if (end_at == NULL) {
        return ERR_AGAIN;
    }
    size_t size = (size_t)(end_at - bytes) + strlen(end);
    if (size < strlen(status) || memcmp(bytes, status, strlen(status)) != 0 ||
        memmem(bytes, size, WIRE_ACCEPT, strlen(WIRE_ACCEPT)) == NULL) {
        return ERR_PROTO;
    }
    *ret_size = size;
    return OK;
}

#include "util/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum err base64_encode(struct str bytes, struct buf *out)
{
    enum err err = buf_reserve(out, BASE64_LEN(bytes.len));
    if (err) {
        return err;
    }
    char *to = out->data + out->len;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        group |= left > 1 ? (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)(unsigned char)bytes.ptr[i + 2] : 0;
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[group & 63] : '=';
    }
    out->len += BASE64_LEN(bytes.len);
    return OK;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

struct decoder {
    uint32_t bits;   /* collected, not yet written */
    unsigned digits; /* of the current group of four */
    unsigned padding;
};

static enum err decode_char(struct decoder *d, char c, struct buf *out)
{
    if (c == '\n' || c == '\r') {
        return OK;
    }
    if (c == '=') {
        d->padding++;
        return d->digits + d->padding > 4 || d->digits < 2 ? ERR_INVALID : OK;
    }
    int value = value_of(c);
    if (value < 0 || d->padding > 0) {
        return ERR_INVALID;
    }
    d->bits = d->bits << 6 | (uint32_t)value;
    if (++d->digits < 4) {
        return OK;
    }
    char bytes[3] = {(char)(d->bits >> 16), (char)(d->bits >> 8), (char)d->bits};
    *d = (struct decoder){0};
    return buf_append(out, str_range(bytes, 3));
}

static enum err decode_end(const struct decoder *d, struct buf *out)
{
    if (d->digits == 0 && d->padding == 0) {
        return OK;
    }
    if (d->digits + d->padding != 4) {
        return ERR_INVALID;
    }
    uint32_t bits = d->digits == 2 ? d->bits << 12 : d->bits << 6;
    if (bits & (d->digits == 2 ? 0xffffu : 0xffu)) {
        return ERR_INVALID;
    }
    char bytes[2] = {(char)(bits >> 16), (char)(bits >> 8)};
    return buf_append(out, str_range(bytes, d->digits - 1));
}

enum err base64_decode(struct str text, struct buf *out)
{
    size_t before = out->len;
    struct decoder d = {0};
    enum err err = OK;
    for (size_t i = 0; i < text.len && !err; i++) {
        err = decode_char(&d, text.ptr[i], out);
    }
    if (!err) {
        err = decode_end(&d, out);
    }
    if (err) {
        out->len = before;
    }
    return err;
}

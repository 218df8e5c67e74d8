#include "engineio/payload.h"

#include "util/base64.h"
#include "util/utf8.h"

static const char separator = '\x1e';
static const char binary_mark = 'b';

size_t eio_payload_count(struct str body)
{
    size_t count = 1;
    for (size_t at; (at = str_find(body, separator)) < body.len; count++) {
        body = str_skip(body, at + 1);
    }
    return count;
}

static enum err parse(struct str text, struct buf *scratch, struct eio_packet *packet)
{
    if (text.len == 0 || text.ptr[0] != binary_mark) {
        return utf8_valid(text) ? eio_packet_parse(text, packet) : ERR_PROTO;
    }
    enum err err = base64_decode(str_skip(text, 1), scratch);
    if (err) {
        return err == ERR_INVALID ? ERR_PROTO : err;
    }
    *packet = (struct eio_packet){EIO_PACKET_MESSAGE, true, buf_str(scratch)};
    return OK;
}

bool eio_payload_next(struct str *rest, struct buf *scratch, struct eio_packet *ret_packet,
                      enum err *ret_err)
{
    struct str text;
    if (!str_split(rest, separator, &text)) {
        return false;
    }
    enum err err = parse(text, scratch, ret_packet);
    if (err) {
        *ret_err = err;
    }
    return !err;
}

size_t eio_payload_size(const struct rcbuf *encoded)
{
    bool binary = false;
    struct str payload = eio_encoded_payload(encoded, &binary);
    return binary ? 1 + BASE64_LEN(payload.len) : payload.len;
}

static enum err append(struct buf *body, const struct rcbuf *encoded)
{
    bool binary = false;
    struct str payload = eio_encoded_payload(encoded, &binary);
    enum err err = body->len > 0 ? buf_append_char(body, separator) : OK;
    if (err || !binary) {
        return err ? err : buf_append(body, payload);
    }
    err = buf_append_char(body, binary_mark);
    return err ? err : base64_encode(payload, body);
}

enum err eio_payload_append(struct buf *body, const struct rcbuf *encoded)
{
    size_t before = body->len;
    enum err err = append(body, encoded);
    if (err) {
        body->len = before;
    }
    return err;
}

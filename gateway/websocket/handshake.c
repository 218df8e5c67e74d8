#include "websocket/handshake.h"

#include <openssl/sha.h>

#include "util/base64.h"

enum { KEY_BYTES = 16 };

bool ws_handshake_wanted(const struct http_request *request)
{
    return http_request_has_token(request, STR("Upgrade"), STR("websocket")) &&
           http_request_has_token(request, STR("Connection"), STR("upgrade"));
}

/* Section 4.2.1 item 5: 16 bytes in base64, which leaves two bits of the last character unused. */
static bool key_valid(struct str key)
{
    if (key.len != BASE64_LEN(KEY_BYTES) || key.ptr[22] != '=' || key.ptr[23] != '=') {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/') {
            return false;
        }
    }
    return true;
}

/* Section 4.2.2 item 5.4. */
static enum err append_accept(struct str key, struct buf *out)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[SHA_DIGEST_LENGTH];
    struct buf text;
    buf_init(&text, 0);
    enum err err = buf_append(&text, key);
    if (!err) {
        err = buf_append(&text, STR(guid));
    }
    if (!err) {
        SHA1((const unsigned char *)text.data, text.len, digest);
        err = base64_encode(str_range((const char *)digest, sizeof digest), out);
    }
    buf_fini(&text);
    return err;
}

static struct str key_of(const struct http_request *request)
{
    return str_trim(http_request_header(request, STR("Sec-WebSocket-Key")));
}

unsigned ws_handshake_refusal(const struct http_request *request)
{
    if (request->method != HTTP_GET || request->minor_version < 1 ||
        !ws_handshake_wanted(request)) {
        return 400;
    }
    struct str version = http_request_header(request, STR("Sec-WebSocket-Version"));
    if (!str_eq(str_trim(version), STR("13"))) {
        return 426;
    }
    return key_valid(key_of(request)) ? 0 : 400;
}

static enum err append_response(struct str key, struct buf *out)
{
    enum err err = buf_append(out, STR("HTTP/1.1 101 Switching Protocols\r\n"
                                       "Upgrade: websocket\r\n"
                                       "Connection: Upgrade\r\n"
                                       "Sec-WebSocket-Accept: "));
    if (!err) {
        err = append_accept(key, out);
    }
    return err ? err : buf_append(out, STR("\r\n\r\n"));
}

enum err ws_handshake_accept(const struct http_request *request, struct buf *out,
                             unsigned *ret_status)
{
    unsigned status = ws_handshake_refusal(request);
    if (status) {
        *ret_status = status;
        return ERR_INVALID;
    }
    size_t before = out->len;
    enum err err = append_response(key_of(request), out);
    if (err) {
        out->len = before;
    }
    return err;
}

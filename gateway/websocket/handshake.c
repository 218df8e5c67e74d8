#include "websocket/handshake.h"

#include <openssl/sha.h>

#include "util/base64.h"

enum { KEY_BYTES = 16 };

bool ws_handshake_wanted(const struct http_request *request)
{
    return http_request_has_token(request, STR("Upgrade"), STR("websocket")) &&
           http_request_has_token(request, STR("Connection"), STR("upgrade"));
}

/* Section 4.2.1 item 5: 16 bytes in base64, which is 24 characters. */
static enum err check_key(struct str key)
{
    if (key.len != BASE64_LEN(KEY_BYTES)) {
        return ERR_INVALID;
    }
    struct buf decoded;
    buf_init(&decoded, 0);
    enum err err = base64_decode(key, &decoded);
    if (!err && decoded.len != KEY_BYTES) {
        err = ERR_INVALID;
    }
    buf_fini(&decoded);
    return err;
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

/* What is wrong with the request as the status to answer with; 0 where it is good. */
static unsigned refusal(const struct http_request *request)
{
    if (request->method != HTTP_GET || request->minor_version < 1 ||
        !ws_handshake_wanted(request)) {
        return 400;
    }
    struct str version = http_request_header(request, STR("Sec-WebSocket-Version"));
    return str_eq(str_trim(version), STR("13")) ? 0 : 426;
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
    unsigned status = refusal(request);
    struct str key = str_trim(http_request_header(request, STR("Sec-WebSocket-Key")));
    enum err err = status ? ERR_INVALID : check_key(key);
    if (err) {
        if (err == ERR_INVALID) {
            *ret_status = status ? status : 400;
        }
        return err;
    }
    size_t before = out->len;
    err = append_response(key, out);
    if (err) {
        out->len = before;
    }
    return err;
}

#include "engineio/handshake.h"

#include "engineio/packet.h"
#include "util/buf.h"
#include "websocket/handshake.h"

static bool transport_known(struct str name, bool *ret_websocket)
{
    *ret_websocket = str_eq(name, STR("websocket"));
    return *ret_websocket || str_eq(name, STR("polling"));
}

static bool header_clean(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

enum eio_error eio_query_read(const struct http_request *request, struct eio_query *ret_query)
{
    struct eio_query query = {.upgrade = ws_handshake_wanted(request)};
    if (!transport_known(http_request_param(request, STR("transport")), &query.websocket)) {
        return EIO_ERROR_TRANSPORT;
    }
    if (!header_clean(http_request_header(request, STR("Origin"))) ||
        http_request_param(request, STR("j")).ptr) {
        return EIO_ERROR_REQUEST;
    }
    query.sid = http_request_param(request, STR("sid"));
    *ret_query = query;
    return EIO_NO_ERROR;
}

enum eio_error eio_query_check_handshake(const struct http_request *request,
                                         const struct eio_query *query, bool allowed)
{
    if (request->method != HTTP_GET) {
        return EIO_ERROR_METHOD;
    }
    if (query->websocket != query->upgrade) {
        return EIO_ERROR_REQUEST;
    }
    if (!allowed) {
        return EIO_ERROR_FORBIDDEN;
    }
    bool version_4 = str_eq(http_request_param(request, STR("EIO")), STR("4"));
    return version_4 ? EIO_NO_ERROR : EIO_ERROR_VERSION;
}

unsigned eio_error_status(enum eio_error error)
{
    return error == EIO_ERROR_FORBIDDEN ? 403 : 400;
}

struct str eio_error_body(enum eio_error error)
{
    static const char *const bodies[] = {
        [EIO_ERROR_TRANSPORT] = "{\"code\":0,\"message\":\"Transport unknown\"}",
        [EIO_ERROR_SID] = "{\"code\":1,\"message\":\"Session ID unknown\"}",
        [EIO_ERROR_METHOD] = "{\"code\":2,\"message\":\"Bad handshake method\"}",
        [EIO_ERROR_REQUEST] = "{\"code\":3,\"message\":\"Bad request\"}",
        [EIO_ERROR_FORBIDDEN] = "{\"code\":4,\"message\":\"Forbidden\"}",
        [EIO_ERROR_VERSION] = "{\"code\":5,\"message\":\"Unsupported protocol version\"}",
    };
    return str_from(error < ARRAY_LEN(bodies) ? bodies[error] : "");
}

static enum err write_json(const struct eio_handshake *handshake, struct buf *out)
{
    return buf_printf(out,
                      "{\"sid\":\"" STR_FMT "\",\"upgrades\":[%s],\"pingInterval\":%llu,"
                      "\"pingTimeout\":%llu,\"maxPayload\":%llu}",
                      STR_ARG(handshake->sid), handshake->upgrades ? "\"websocket\"" : "",
                      (unsigned long long)handshake->ping_interval_ms,
                      (unsigned long long)handshake->ping_timeout_ms,
                      (unsigned long long)handshake->max_payload);
}

struct rcbuf *eio_encode_handshake(const struct eio_handshake *handshake)
{
    struct buf json;
    buf_init(&json, 0);
    struct rcbuf *packet = NULL;
    if (!write_json(handshake, &json)) {
        packet = eio_encode(EIO_PACKET_OPEN, buf_str(&json));
    }
    buf_fini(&json);
    return packet;
}

#include "http/cors.h"

enum { ORIGIN_MAX = 512, REQUESTED_MAX = 1024 };

/* ASCII from `first` on, of a length that no browser exceeds: safe to be put into a header line. */
static bool is_printable(struct str s, unsigned char first, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < first || c >= 0x7f) {
            return false;
        }
    }
    return s.len > 0 && s.len <= max;
}

static struct str without_slash(struct str origin)
{
    if (origin.len > 0 && origin.ptr[origin.len - 1] == '/') {
        origin.len--;
    }
    return origin;
}

bool http_cors_allows(const struct http_cors *cors, struct str origin)
{
    struct str rest = cors->origins, item;
    if (!cors->origins.ptr || !is_printable(origin, '!', ORIGIN_MAX)) {
        return false;
    }
    while (str_split(&rest, ',', &item)) {
        item = without_slash(str_trim(item));
        if (str_eq(item, STR("*")) || str_eq_nocase(item, origin)) {
            return true;
        }
    }
    return false;
}

enum err http_cors_headers(const struct http_cors *cors, struct str origin, struct buf *out)
{
    if (!cors->origins.ptr) {
        return OK;
    }
    enum err err = buf_append(out, STR("Vary: Origin\r\n"));
    if (!err && http_cors_allows(cors, origin)) {
        err = buf_printf(out,
                         "Access-Control-Allow-Origin: " STR_FMT "\r\n"
                         "Access-Control-Allow-Credentials: true\r\n",
                         STR_ARG(origin));
    }
    return err;
}

enum err http_cors_preflight(const struct http_request *request, struct buf *out)
{
    struct str requested = http_request_header(request, STR("Access-Control-Request-Headers"));
    enum err err =
        buf_append(out, STR("Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
                            "Access-Control-Max-Age: 7200\r\n"
                            "Access-Control-Allow-Headers: content-type, authorization"));
    if (!err && requested.ptr && is_printable(requested, ' ', REQUESTED_MAX)) {
        err = buf_printf(out, ", " STR_FMT, STR_ARG(requested));
    }
    return err ? err : buf_append(out, STR("\r\n"));
}

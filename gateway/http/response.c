#include "http/response.h"

#include <time.h>

struct str http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        struct str reason;
    } table[] = {
        {101, {"Switching Protocols", 19}},
        {200, {"OK", 2}},
        {204, {"No Content", 10}},
        {304, {"Not Modified", 12}},
        {400, {"Bad Request", 11}},
        {401, {"Unauthorized", 12}},
        {403, {"Forbidden", 9}},
        {404, {"Not Found", 9}},
        {405, {"Method Not Allowed", 18}},
        {408, {"Request Timeout", 15}},
        {413, {"Content Too Large", 17}},
        {415, {"Unsupported Media Type", 22}},
        {417, {"Expectation Failed", 18}},
        {426, {"Upgrade Required", 16}},
        {429, {"Too Many Requests", 17}},
        {431, {"Request Header Fields Too Large", 31}},
        {500, {"Internal Server Error", 21}},
        {501, {"Not Implemented", 15}},
        {503, {"Service Unavailable", 19}},
        {505, {"HTTP Version Not Supported", 26}},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].status == status) {
            return table[i].reason;
        }
    }
    return STR("Unknown");
}

enum err http_response_begin(const struct http_response_head *head, struct buf *out)
{
    enum err err = buf_printf(out, "HTTP/1.1 %u " STR_FMT "\r\nDate: " STR_FMT "\r\n", head->status,
                              STR_ARG(http_reason(head->status)), STR_ARG(head->date));
    if (!err && head->content_type.len > 0) {
        err = buf_printf(out, "Content-Type: " STR_FMT "\r\n", STR_ARG(head->content_type));
    }
    /* Neither may have one: RFC 9110 section 8.6. */
    if (!err && head->status != 204 && head->status != 304) {
        err = buf_printf(out, "Content-Length: %zu\r\n", head->content_length);
    }
    if (!err && !head->keep) {
        err = buf_append(out, STR("Connection: close\r\n"));
    } else if (!err && head->old) {
        err = buf_append(out, STR("Connection: keep-alive\r\n"));
    }
    return err;
}

void http_date(int64_t wall_seconds, char out[HTTP_DATE_LEN + 1])
{
    time_t seconds = (time_t)wall_seconds;
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    strftime(out, HTTP_DATE_LEN + 1, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

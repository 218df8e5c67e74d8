/* Queries: whatever stands in them, the answer is one of the protocol's. */
#include <stdint.h>
#include <stdlib.h>

#include "engineio/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum eio_error check(const struct http_request *request)
{
    struct eio_query query = {0};
    enum eio_error error = eio_query_read(request, &query);
    if (error == EIO_NO_ERROR && query.sid.len > request->query.len) {
        abort();
    }
    return error == EIO_NO_ERROR ? eio_query_check_handshake(request, &query, true) : error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_range((const char *)data, size);
    struct http_header origin = {STR("Origin"), text};
    struct http_request request = {
        .method = HTTP_GET, .query = text, .headers = &origin, .header_count = 1};
    enum eio_error error = check(&request);
    if (error != EIO_NO_ERROR && eio_error_body(error).len == 0) {
        abort();
    }
    return 0;
}

/* What another gateway asks: a request that is taken is written again as it stood. */
#include <stdint.h>
#include <stdlib.h>

#include "engineio/relay_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Numbers lose leading zeros: so it is what is read that is compared. */
static void write_again(const struct eio_relay_request *request)
{
    struct buf text = {0};
    struct eio_relay_request again;
    check(!eio_relay_write_request(request, &text));
    check(!buf_append(&text, request->body));
    check(!eio_relay_read_request(buf_str(&text), &again));
    check(str_eq(again.gateway, request->gateway) && again.number == request->number &&
          again.verb == request->verb && str_eq(again.sid, request->sid) &&
          str_eq(again.body, request->body));
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_range((const char *)data, size);
    struct eio_relay_request request;
    (void)eio_sid_has_owner(text);
    if (!eio_relay_read_request(text, &request)) {
        check(request.verb < EIO_RELAY_VERBS && request.gateway.len > 0);
        write_again(&request);
    }
    return 0;
}

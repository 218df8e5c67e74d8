/*
 * The first line is an event's name, the rest its data. What is taken is JSON and goes to at least
 * one room; what is refused has a complaint.
 */
#include <stdint.h>
#include <stdlib.h>

#include "schema/catalogue.h"
#include "util/jtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(enum err err, const struct catalogue_message *message, struct buf *payload,
                  struct buf *complaint)
{
    if (err == OK) {
        if (message->room_count == 0 || jtext_check(buf_str(payload), CATALOGUE_DEPTH_MAX + 1)) {
            abort();
        }
    } else if (err == ERR_INVALID && complaint->len == 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_range((const char *)data, size), name;
    if (size == 0 || !str_split(&rest, '\n', &name)) {
        return 0;
    }
    const struct catalogue_event *event = catalogue_find(name);
    if (!event || !rest.ptr) {
        return 0;
    }
    struct catalogue_message message;
    struct buf payload = {0}, complaint = {0};
    enum err err = catalogue_encode(event, rest, 1000, &message, &payload, &complaint);
    check(err, &message, &payload, &complaint);
    buf_fini(&payload);
    buf_fini(&complaint);
    return 0;
}

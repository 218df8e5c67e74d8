/* A session that is taken is written again as it stood, and its rooms walk to the end. */
#include "bus/session.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* "-" and nothing are one, and numbers lose leading zeros: so it is compared after one round. */
static void write_again(struct str text, struct buf *out)
{
    struct bus_session session;
    struct bus_session_room room;
    unsigned rooms = 0;
    check(!bus_session_parse(text, &session));
    check(!bus_session_write(&session, out));
    while (bus_session_next(&session, &room)) {
        check(room.name.ptr > text.ptr && room.name.len < text.len && ++rooms > 0);
        check(!bus_session_write_room(&room, out));
    }
    check(rooms <= BUS_SESSION_ROOMS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_range((const char *)data, size);
    struct bus_session session;
    struct buf once = {0}, twice = {0};
    if (!bus_session_parse(text, &session)) {
        write_again(text, &once);
        write_again(buf_str(&once), &twice);
        check(str_eq(buf_str(&once), buf_str(&twice)));
    }
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}

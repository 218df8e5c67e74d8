#include "ops/stats.h"

#include "util/clock.h"
#include "util/jtext.h"

static enum err write_rooms(const struct app *app, struct buf *out)
{
    enum err err = OK;
    unsigned listed = 0;
    for (struct bus_channel *channel = NULL;
         !err && listed < OPS_ROOMS_LISTED_MAX &&
         (channel = bus_subscriber_next(app->subscriber, channel));) {
        const struct app_room *room = app_room_of_channel(channel);
        if (!room->is_idle && room->visible > 0) {
            err = listed++ > 0 ? buf_append_char(out, ',') : OK;
            err = err ? err : jtext_quote(app_room_name(room), out);
        }
    }
    return err;
}

enum err ops_stats_write(const struct app *app, struct buf *out)
{
    char now[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(clock_wall_ms(), now);
    enum err err =
        buf_printf(out, "{\"connectedClients\":%zu,\"activeRooms\":[", app->stats.members);
    err = err ? err : write_rooms(app, out);
    return err ? err
               : buf_printf(out, "],\"roomCount\":%zu,\"timestamp\":\"%s\"}\n", app->rooms.visible,
                            now);
}

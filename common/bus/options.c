#include "bus/options.h"

struct bus_keys bus_settings_keys(const struct bus_settings *settings)
{
    return (struct bus_keys){str_from(settings->prefix), (unsigned)settings->partitions};
}

void bus_settings_history(const struct bus_settings *settings,
                          struct bus_history ret_history[ROOM_KINDS])
{
    for (unsigned kind = 0; kind < ROOM_KINDS; kind++) {
        ret_history[kind].length = (unsigned)settings->history[kind].length;
        ret_history[kind].age_seconds = (unsigned)settings->history[kind].age_seconds;
    }
}

struct bus_publish_options bus_settings_publish(const struct bus_settings *settings)
{
    struct bus_publish_options options = {
        .keys = bus_settings_keys(settings),
        .once_seconds = (unsigned)settings->once_seconds,
    };
    bus_settings_history(settings, options.history);
    return options;
}

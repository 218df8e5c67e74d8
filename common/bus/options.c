#include "bus/options.h"

struct bus_keys bus_settings_keys(const struct bus_settings *settings)
{
    return (struct bus_keys){str_from(settings->prefix), (unsigned)settings->partitions};
}

struct bus_publish_options bus_settings_publish(const struct bus_settings *settings)
{
    struct bus_publish_options options = {
        .keys = bus_settings_keys(settings),
        .once_seconds = (unsigned)settings->once_seconds,
    };
    for (unsigned kind = 0; kind < ROOM_KINDS; kind++) {
        options.history[kind].length = (unsigned)settings->history[kind].length;
        options.history[kind].age_seconds = (unsigned)settings->history[kind].age_seconds;
    }
    return options;
}

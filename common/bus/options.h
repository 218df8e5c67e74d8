/* The bus' settings as they stand in a program's option table (rows: bus/options.def). */
#ifndef BUS_OPTIONS_H
#define BUS_OPTIONS_H

#include <stdint.h>

#include "bus/publish.h"
#include "schema/room.h"

struct bus_settings {
    const char *prefix;
    uint64_t partitions;
    struct {
        uint64_t length, age_seconds;
    } history[ROOM_KINDS];
    uint64_t once_seconds;
    uint64_t batch;             /* channels in one SUBSCRIBE */
    uint64_t probe_interval_ms; /* of a gateway to itself */
    uint64_t heartbeat_ms;      /* between two entries of a gateway in the registry */
};

/* Borrows the prefix. */
struct bus_keys bus_settings_keys(const struct bus_settings *settings);
void bus_settings_history(const struct bus_settings *settings,
                          struct bus_history ret_history[ROOM_KINDS]);
struct bus_publish_options bus_settings_publish(const struct bus_settings *settings);

#endif

/* Room names from strangers: a name that is taken is canonical, and parses into itself. */
#include <stdint.h>
#include <stdlib.h>

#include "schema/room.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct room_name name, again;
    if (room_name_parse(str_range((const char *)data, size), &name)) {
        return 0;
    }
    if (name.len != size || room_name_parse(room_name_str(&name), &again) ||
        !str_eq(room_name_str(&name), room_name_str(&again)) ||
        str_find(room_name_str(&name), ',') < name.len) {
        abort();
    }
    return 0;
}

/* Our Lua scripts as bytes, made at build time from the .lua files of this folder. */
#ifndef BUS_SCRIPT_H
#define BUS_SCRIPT_H

#include "util/str.h"

struct bus_script {
    struct str sha; /* SHA-1 in lower-case hex digits */
    struct str text;
};

extern const struct bus_script bus_publish_script; /* one event into its rooms */
extern const struct bus_script bus_read_script;    /* a room's log past an id */
extern const struct bus_script bus_probe_script;   /* a gateway's message to itself */
extern const struct bus_script bus_keep_script;    /* a client's session, for its gateway only */
extern const struct bus_script bus_register_script; /* a gateway's entry in the registry */
extern const struct bus_script bus_lease_script;    /* how many clients of a user it has */

#endif

/* publish.lua as bytes, made at build time. */
#ifndef BUS_SCRIPT_H
#define BUS_SCRIPT_H

#include "util/str.h"

extern const struct str bus_publish_script;
/* Its SHA-1 in lower-case hex digits. */
extern const struct str bus_publish_sha;

#endif

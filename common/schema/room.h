/*
 * Room names: `market:{id}`, `creator:{id}`, `user:{address or sub}`, `global:all`.
 *
 * An id is 1 … ROOM_ID_MAX bytes of visible ASCII without comma (a comma separates rooms in an
 * envelope); a 0x address (40 hex digits) is written in lower case, so that one address is one
 * room.
 */
#ifndef SCHEMA_ROOM_H
#define SCHEMA_ROOM_H

#include <stdbool.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

enum { ROOM_ID_MAX = 128, ROOM_NAME_MAX = ROOM_ID_MAX + 8 };

enum room_kind { ROOM_MARKET, ROOM_CREATOR, ROOM_USER, ROOM_GLOBAL, ROOM_KINDS };

/* A room's canonical name, by value. */
struct room_name {
    enum room_kind kind;
    unsigned char len;
    char text[ROOM_NAME_MAX + 1]; /* terminated */
};

struct str room_kind_name(enum room_kind kind);
/* INVALID for an unknown kind. */
MUST_CHECK enum err room_kind_from(struct str name, enum room_kind *ret_kind);
/* INVALID for a bad id; for ROOM_GLOBAL anything but "all". */
MUST_CHECK enum err room_name_make(enum room_kind kind, struct str id, struct room_name *ret_name);
/* From "market:1"; canonical spelling in the result. */
MUST_CHECK enum err room_name_parse(struct str text, struct room_name *ret_name);
static inline struct str room_name_str(const struct room_name *name)
{
    return (struct str){name->text, name->len};
}
/* The id behind the colon. */
struct str room_name_id(const struct room_name *name);

#endif

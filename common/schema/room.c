#include "schema/room.h"

#include <string.h>

static const struct str kind_names[ROOM_KINDS] = {
    [ROOM_MARKET] = {"market", 6},
    [ROOM_CREATOR] = {"creator", 7},
    [ROOM_USER] = {"user", 4},
    [ROOM_GLOBAL] = {"global", 6},
};

struct str room_kind_name(enum room_kind kind)
{
    return kind_names[kind];
}

enum err room_kind_from(struct str name, enum room_kind *ret_kind)
{
    for (unsigned kind = 0; kind < ROOM_KINDS; kind++) {
        if (str_eq(name, kind_names[kind])) {
            *ret_kind = kind;
            return OK;
        }
    }
    return ERR_INVALID;
}

static bool id_valid(struct str id)
{
    if (id.len == 0 || id.len > ROOM_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (id.ptr[i] < 0x21 || id.ptr[i] > 0x7e || id.ptr[i] == ',') {
            return false;
        }
    }
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_hex(char c)
{
    char l = lower(c);
    return (c >= '0' && c <= '9') || (l >= 'a' && l <= 'f');
}

static bool is_address(struct str id)
{
    enum { ADDRESS_LEN = 42 };
    if (id.len != ADDRESS_LEN || id.ptr[0] != '0' || lower(id.ptr[1]) != 'x') {
        return false;
    }
    for (size_t i = 2; i < id.len; i++) {
        if (!is_hex(id.ptr[i])) {
            return false;
        }
    }
    return true;
}

enum err room_name_make(enum room_kind kind, struct str id, struct room_name *ret_name)
{
    if (!id_valid(id) || (kind == ROOM_GLOBAL && !str_eq(id, STR("all")))) {
        return ERR_INVALID;
    }
    struct str prefix = kind_names[kind];
    struct room_name name = {.kind = kind, .len = (unsigned char)(prefix.len + 1 + id.len)};
    memcpy(name.text, prefix.ptr, prefix.len);
    name.text[prefix.len] = ':';
    char *to = name.text + prefix.len + 1;
    bool address = is_address(id);
    for (size_t i = 0; i < id.len; i++) {
        to[i] = address ? lower(id.ptr[i]) : id.ptr[i];
    }
    *ret_name = name;
    return OK;
}

enum err room_name_parse(struct str text, struct room_name *ret_name)
{
    size_t colon = str_find(text, ':');
    enum room_kind kind;
    enum err err = room_kind_from(str_range(text.ptr, colon), &kind);
    return err ? err : room_name_make(kind, str_skip(text, colon + 1), ret_name);
}

struct str room_name_id(const struct room_name *name)
{
    return str_skip(room_name_str(name), kind_names[name->kind].len + 1);
}

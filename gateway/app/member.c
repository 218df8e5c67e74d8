#include "app/member.h"

#include <stdlib.h>
#include <string.h>

#include "app/app.h"

struct app_member *app_member_new(struct app *app, struct sio_socket *socket,
                                  const struct app_identity *identity)
{
    struct str sub = app_identity_sub(identity);
    bool has_address = identity->address_room.len > 0;
    struct str address = has_address ? room_name_id(&identity->address_room) : STR("");
    struct app_member *member = calloc(1, sizeof *member + sub.len + address.len);
    if (!member) {
        return NULL;
    }
    member->app = app;
    member->socket = socket;
    list_init(&member->joins);
    list_init(&member->all);
    member->issued_s = identity->issued_s;
    member->token_id = identity->token_id;
    member->memberships = member->embedded;
    member->capacity = APP_MEMBERSHIPS_EMBEDDED;
    member->sub_len = (uint8_t)sub.len;
    member->address_len = (uint8_t)address.len;
    memcpy(member->user, sub.ptr, sub.len);
    memcpy(member->user + sub.len, address.ptr, address.len);
    return member;
}

void app_member_free(struct app_member *member)
{
    while (member->count > 0) {
        app_member_leave(member, member->memberships[member->count - 1].room);
    }
    if (member->memberships != member->embedded) {
        free(member->memberships);
    }
    free(member);
}

struct str app_member_sub(const struct app_member *member)
{
    return str_range(member->user, member->sub_len);
}

struct str app_member_address(const struct app_member *member)
{
    return str_range(member->user + member->sub_len, member->address_len);
}

bool app_member_is_address(const struct app_member *member, const struct room_name *room)
{
    return room->kind == ROOM_USER && member->address_len > 0 &&
           str_eq(room_name_id(room), app_member_address(member));
}

bool app_member_is_sub(const struct app_member *member, const struct room_name *room)
{
    return room->kind == ROOM_USER && str_eq(room_name_id(room), app_member_sub(member));
}

bool app_member_owns(const struct app_member *member, const struct room_name *room)
{
    return app_member_is_sub(member, room) || app_member_is_address(member, room);
}

bool app_member_may_enter(const struct app_member *member, struct str room,
                          struct room_name *ret_name)
{
    return !room_name_parse(room, ret_name) &&
           (ret_name->kind != ROOM_USER || app_member_owns(member, ret_name));
}

struct app_membership *app_member_in(struct app_member *member, const struct app_room *room)
{
    for (unsigned i = 0; i < member->count; i++) {
        if (member->memberships[i].room == room) {
            return &member->memberships[i];
        }
    }
    return NULL;
}

static enum err grow(struct app_member *member)
{
    uint16_t capacity = (uint16_t)(member->capacity * 2);
    bool embedded = member->memberships == member->embedded;
    struct app_membership *grown =
        realloc(embedded ? NULL : member->memberships, capacity * sizeof *grown);
    if (!grown) {
        return ERR_NOMEM;
    }
    if (embedded) {
        memcpy(grown, member->embedded, sizeof member->embedded);
    }
    member->memberships = grown;
    member->capacity = capacity;
    return OK;
}

static void show(struct app_member *member, struct app_membership *membership)
{
    membership->visible = true;
    member->visible++;
    app_room_show(&member->app->rooms, membership->room);
}

enum err app_member_enter(struct app_member *member, struct app_room *room, bool visible,
                          uint64_t since)
{
    struct app_membership *membership = app_member_in(member, room);
    if (!membership) {
        enum err err = member->count == member->capacity ? grow(member) : OK;
        uint32_t index;
        err = err ? err : app_room_add(room, member, &index);
        if (err) {
            return err;
        }
        membership = &member->memberships[member->count++];
        *membership = (struct app_membership){.room = room, .since = since, .index = index};
    }
    if (visible && !membership->visible) {
        show(member, membership);
    }
    return OK;
}

bool app_member_sees(struct app_member *member, const struct app_room *room)
{
    const struct app_membership *membership = app_member_in(member, room);
    return membership && membership->visible;
}

static void hide(struct app_member *member, struct app_membership *membership)
{
    if (membership->visible) {
        membership->visible = false;
        member->visible--;
        app_room_hide(&member->app->rooms, membership->room);
    }
}

void app_member_hide(struct app_member *member, struct app_room *room)
{
    struct app_membership *membership = app_member_in(member, room);
    if (membership) {
        hide(member, membership);
    }
}

void app_member_leave(struct app_member *member, struct app_room *room)
{
    struct app_membership *membership = app_member_in(member, room);
    if (!membership) {
        return;
    }
    hide(member, membership);
    uint32_t index = membership->index;
    struct app_member *moved = app_room_remove(room, index);
    if (moved) {
        app_member_in(moved, room)->index = index;
    }
    /* The others keep their order: it is what getRooms shows. */
    size_t behind = (size_t)(member->memberships + member->count - membership) - 1;
    memmove(membership, membership + 1, behind * sizeof *membership);
    member->count--;
    app_rooms_settle(&member->app->rooms, room);
}

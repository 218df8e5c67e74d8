#include "app/member.h"

#include <stdlib.h>
#include <string.h>

#include "app/app.h"

static struct app_membership *memberships_of(struct app_member *member)
{
    return (struct app_membership *)app_member_memberships(member);
}

/* The sub, and the address behind it. */
static char *user_of(const struct app_member *member)
{
    return (char *)&member->session[member->recovers ? 1 : 0];
}

struct app_member *app_member_new(struct app *app, struct sio_socket *socket,
                                  const struct app_identity *identity, bool recovers)
{
    struct str sub = app_identity_sub(identity);
    bool has_address = identity->address_room.len > 0;
    struct str address = has_address ? room_name_id(&identity->address_room) : STR("");
    size_t session_size = recovers ? sizeof(struct app_session) : 0;
    struct app_member *member = calloc(1, sizeof *member + session_size + sub.len + address.len);
    if (!member) {
        return NULL;
    }
    member->app = app;
    member->socket = socket;
    list_init(&member->all);
    member->issued_s = identity->issued_s;
    member->token_id = identity->token_id;
    member->capacity = APP_MEMBERSHIPS_EMBEDDED;
    member->recovers = recovers;
    member->sub_len = (uint8_t)sub.len;
    member->address_len = (uint8_t)address.len;
    memcpy(user_of(member), sub.ptr, sub.len);
    memcpy(user_of(member) + sub.len, address.ptr, address.len);
    return member;
}

void app_member_free(struct app_member *member)
{
    while (member->count > 0) {
        app_member_leave(member, memberships_of(member)[member->count - 1].room);
    }
    if (member->capacity > APP_MEMBERSHIPS_EMBEDDED) {
        free(member->memberships.on_heap);
    }
    free(member->transit);
    free(member);
}

enum err app_member_need_transit(struct app_member *member)
{
    if (member->transit) {
        return OK;
    }
    member->transit = calloc(1, sizeof *member->transit);
    if (!member->transit) {
        return ERR_NOMEM;
    }
    list_init(&member->transit->joins);
    return OK;
}

void app_member_tidy(struct app_member *member)
{
    const struct app_transit *transit = member->transit;
    if (transit && !transit->recovery && !transit->move && !transit->permit && !transit->keeping &&
        list_empty(&transit->joins)) {
        free(member->transit);
        member->transit = NULL;
    }
}

struct str app_member_sub(const struct app_member *member)
{
    return str_range(user_of(member), member->sub_len);
}

struct str app_member_address(const struct app_member *member)
{
    return str_range(user_of(member) + member->sub_len, member->address_len);
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
    struct app_membership *memberships = memberships_of(member);
    for (unsigned i = 0; i < member->count; i++) {
        if (memberships[i].room == room) {
            return &memberships[i];
        }
    }
    return NULL;
}

static enum err grow(struct app_member *member)
{
    uint16_t capacity = (uint16_t)(member->capacity * 2);
    bool embedded = member->capacity == APP_MEMBERSHIPS_EMBEDDED;
    struct app_membership *grown =
        realloc(embedded ? NULL : member->memberships.on_heap, capacity * sizeof *grown);
    if (!grown) {
        return ERR_NOMEM;
    }
    if (embedded) {
        memcpy(grown, member->memberships.embedded, sizeof member->memberships.embedded);
    }
    member->memberships.on_heap = grown;
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
        membership = &memberships_of(member)[member->count++];
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
    size_t behind = (size_t)(memberships_of(member) + member->count - membership) - 1;
    memmove(membership, membership + 1, behind * sizeof *membership);
    member->count--;
    app_rooms_settle(&member->app->rooms, room);
}

#include "app/join.h"

#include <stdlib.h>
#include <string.h>

#include "app/app.h"

static void unlink_join(struct app_join *join)
{
    app_room_wait_no_more(join->room, &join->of_room);
    list_remove(&join->of_member);
    list_remove(&join->by_time);
    if (join->wants_past) {
        app_history_cancel(&join->past);
    }
    app_member_tidy(join->member);
}

static void end_join(struct app_joins *joins, struct app_join *join, enum app_join_result result)
{
    unlink_join(join);
    joins->on_end(join, result);
    app_rooms_settle(&join->member->app->rooms, join->room);
    free(join);
}

/* The member becomes one of the room's. */
static void enter(struct app_joins *joins, struct app_join *join)
{
    uint64_t since = join->entered ? join->entered : join->room->channel.last_id;
    enum err err = app_member_enter(join->member, join->room, join->visible, since);
    end_join(joins, join, err ? APP_JOIN_FAILED : APP_JOIN_DONE);
}

/*
 * What was missed is in memory now, up to the event after which the member is in. Unless the room
 * is not live any more: then all is asked for again when it is.
 */
static void on_past(struct app_history_wait *wait)
{
    struct app_join *join = container_of(wait, struct app_join, past);
    if (app_room_is_live(join->room)) {
        enter(&join->member->app->joins, join);
    } else {
        join->past.ready = NULL;
    }
}

/* The room is live. */
static void complete(struct app_joins *joins, struct app_join *join)
{
    if (!join->wants_past) {
        enter(joins, join);
    } else if (!join->past.ready) {
        join->past.ready = on_past;
        join->past.room = join->room;
        app_history_ask(joins->history, &join->past);
    }
}

static void on_timer(struct wheel_timer *timer)
{
    struct app_joins *joins = container_of(timer, struct app_joins, timer);
    uint64_t now = loop_now(joins->loop);
    LIST_FOR_EACH (node, next, &joins->by_time) {
        struct app_join *join = list_entry(node, struct app_join, by_time);
        uint64_t due = join->started_ms + joins->timeout_ms;
        if (due > now) {
            loop_timer_set(joins->loop, timer, due - now);
            return;
        }
        end_join(joins, join, APP_JOIN_TIMEOUT);
    }
}

void app_joins_init(struct app_joins *joins, struct loop *loop, struct app_history *history,
                    uint64_t timeout_ms,
                    void (*on_end)(struct app_join *join, enum app_join_result result))
{
    *joins = (struct app_joins){
        .loop = loop, .history = history, .timeout_ms = timeout_ms, .on_end = on_end};
    list_init(&joins->by_time);
    wheel_timer_init(&joins->timer, on_timer);
}

void app_joins_fini(struct app_joins *joins)
{
    loop_timer_cancel(joins->loop, &joins->timer);
}

static void watch_time(struct app_joins *joins, struct app_join *join)
{
    list_push_back(&joins->by_time, &join->by_time);
    if (!wheel_timer_is_set(&joins->timer)) {
        loop_timer_set(joins->loop, &joins->timer, joins->timeout_ms);
    }
}

/* NULL without memory. */
static struct app_join *join_copy(const struct app_join *wanted)
{
    size_t size = wanted->wants_past ? sizeof *wanted : offsetof(struct app_join, past);
    struct app_join *join = malloc(size);
    if (join) {
        memcpy(join, wanted, size);
        list_init(&join->of_room);
        list_init(&join->of_member);
        list_init(&join->by_time);
    }
    if (join && wanted->wants_past) {
        list_init(&join->past.node);
    }
    return join;
}

enum err app_join_begin(struct app_joins *joins, const struct room_name *name,
                        const struct app_join *wanted)
{
    struct app_join *join = join_copy(wanted);
    if (!join) {
        return ERR_NOMEM;
    }
    struct app_member *member = join->member;
    enum err err = app_member_need_transit(member);
    err = err ? err : app_rooms_get(&member->app->rooms, name, &join->room);
    if (err) {
        app_member_tidy(member);
        free(join);
        return err;
    }
    join->started_ms = loop_now(joins->loop);
    join->counts = join->visible && !app_member_sees(member, join->room) &&
                   !app_joins_pending(member, join->room).room;
    list_push_back(&member->transit->joins, &join->of_member);
    bool live = app_room_is_live(join->room);
    if (live && !join->wants_past) {
        enter(joins, join);
        return OK;
    }
    app_room_wait(join->room, &join->of_room);
    if (!join->automatic) {
        watch_time(joins, join);
    }
    if (live) {
        complete(joins, join);
    }
    return OK;
}

static size_t count_joins(const struct app_room *room)
{
    const struct list *first = room->is_idle ? NULL : room->joins, *node = first;
    size_t count = 0;
    while (node && (node != first || count == 0)) {
        node = node->next;
        count++;
    }
    return count;
}

void app_joins_room_live(struct app_joins *joins, struct app_room *room)
{
    /* Once around: those that wait for the room's past stay. */
    for (size_t n = count_joins(room); n > 0 && !room->is_idle && room->joins; n--) {
        struct list *node = room->joins;
        room->joins = node->next;
        complete(joins, list_entry(node, struct app_join, of_room));
    }
}

/* Of the room; NULL where it waits for that no more. */
static struct app_join *oldest_join(const struct app_member *member, const struct app_room *room)
{
    if (!member->transit) {
        return NULL;
    }
    LIST_FOR_EACH (node, next, &member->transit->joins) {
        struct app_join *join = list_entry(node, struct app_join, of_member);
        if (join->room == room) {
            return join;
        }
    }
    return NULL;
}

void app_joins_cancel(struct app_joins *joins, struct app_member *member, struct app_room *room)
{
    for (struct app_join *join; (join = oldest_join(member, room));) {
        end_join(joins, join, APP_JOIN_CANCELLED);
    }
}

void app_joins_forget(struct app_joins *joins, struct app_member *member)
{
    (void)joins;
    while (member->transit && !list_empty(&member->transit->joins)) {
        struct app_join *join = list_entry(member->transit->joins.next, struct app_join, of_member);
        unlink_join(join);
        app_rooms_settle(&member->app->rooms, join->room);
        free(join);
    }
}

struct app_joins_pending app_joins_pending(const struct app_member *member,
                                           const struct app_room *room)
{
    struct app_joins_pending pending = {0};
    if (!member->transit) {
        return pending;
    }
    LIST_FOR_EACH (node, next, &member->transit->joins) {
        const struct app_join *join = list_entry(node, struct app_join, of_member);
        pending.joins++;
        pending.rooms += join->counts;
        pending.room |= join->visible && join->room == room;
    }
    return pending;
}

#include "app/join.h"

#include <stdlib.h>

#include "app/app.h"

static void unlink_join(struct app_join *join)
{
    list_remove(&join->of_room);
    list_remove(&join->of_member);
    list_remove(&join->by_time);
}

static void end_join(struct app_joins *joins, struct app_join *join, enum app_join_result result)
{
    unlink_join(join);
    joins->on_end(join, result);
    app_rooms_settle(&join->member->app->rooms, join->room);
    free(join);
}

/* The member becomes one of the room's. */
static void complete(struct app_joins *joins, struct app_join *join)
{
    enum err err = app_member_enter(join->member, join->room, join->visible);
    end_join(joins, join, err ? APP_JOIN_FAILED : APP_JOIN_DONE);
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

void app_joins_init(struct app_joins *joins, struct loop *loop, uint64_t timeout_ms,
                    void (*on_end)(struct app_join *join, enum app_join_result result))
{
    *joins = (struct app_joins){.loop = loop, .timeout_ms = timeout_ms, .on_end = on_end};
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

enum err app_join_begin(struct app_joins *joins, const struct app_join *wanted)
{
    struct app_join *join = malloc(sizeof *join);
    if (!join) {
        return ERR_NOMEM;
    }
    *join = *wanted;
    join->started_ms = loop_now(joins->loop);
    join->counts = join->visible && !app_member_sees(join->member, join->room) &&
                   !app_joins_pending(join->member, join->room).room;
    list_init(&join->of_room);
    list_init(&join->of_member);
    list_init(&join->by_time);
    list_push_back(&join->member->joins, &join->of_member);
    if (app_room_is_live(join->room)) {
        complete(joins, join);
        return OK;
    }
    list_push_back(&join->room->of.joins, &join->of_room);
    if (!join->automatic) {
        watch_time(joins, join);
    }
    return OK;
}

void app_joins_room_live(struct app_joins *joins, struct app_room *room)
{
    while (!room->is_idle && !list_empty(&room->of.joins)) {
        complete(joins, list_entry(room->of.joins.next, struct app_join, of_room));
    }
}

void app_joins_cancel(struct app_joins *joins, struct app_member *member, struct app_room *room)
{
    LIST_FOR_EACH (node, next, &member->joins) {
        struct app_join *join = list_entry(node, struct app_join, of_member);
        if (join->room == room) {
            end_join(joins, join, APP_JOIN_CANCELLED);
        }
    }
}

void app_joins_forget(struct app_joins *joins, struct app_member *member)
{
    (void)joins;
    for (struct list *node; (node = list_pop_front(&member->joins));) {
        struct app_join *join = list_entry(node, struct app_join, of_member);
        unlink_join(join);
        app_rooms_settle(&member->app->rooms, join->room);
        free(join);
    }
}

struct app_joins_pending app_joins_pending(const struct app_member *member,
                                           const struct app_room *room)
{
    struct app_joins_pending pending = {0};
    LIST_FOR_EACH (node, next, &member->joins) {
        const struct app_join *join = list_entry(node, struct app_join, of_member);
        pending.joins++;
        pending.rooms += join->counts;
        pending.room |= join->visible && join->room == room;
    }
    return pending;
}

#include "app/expiry.h"

#include <stdlib.h>

#include "app/admission.h"
#include "app/member.h"
#include "util/clock.h"

enum {
    RECHECK_MS = 250, /* the wall clock may have been set */
    SLICE = 64,       /* members a turn: two milliseconds, with the rooms that they leave */
};

/* --- What is due --- */

static int64_t expires_ms(const struct app_member *member)
{
    return (int64_t)member->expires_s * 1000;
}

static int64_t end_ms(const struct app_expiry *expiry, const struct app_member *member)
{
    return expires_ms(member) + expiry->leeway_ms;
}

static int64_t due_ms(const struct app_expiry *expiry, const struct app_member *member)
{
    return member->warn_ms > 0 ? expires_ms(member) - member->warn_ms : end_ms(expiry, member);
}

/* --- The heap: nobody is due before who stands at half its place; places begin at 1 --- */

static struct app_member *at(const struct app_expiry *expiry, size_t place)
{
    return expiry->heap[place - 1];
}

static void put(struct app_expiry *expiry, size_t place, struct app_member *member)
{
    expiry->heap[place - 1] = member;
    member->expiry_place = (uint32_t)place;
}

static void move_up(struct app_expiry *expiry, struct app_member *member)
{
    size_t place = member->expiry_place;
    int64_t due = due_ms(expiry, member);
    for (; place > 1 && due_ms(expiry, at(expiry, place / 2)) > due; place /= 2) {
        put(expiry, place, at(expiry, place / 2));
    }
    put(expiry, place, member);
}

static size_t earlier_child(const struct app_expiry *expiry, size_t place)
{
    size_t left = 2 * place, right = left + 1;
    bool right_first = right <= expiry->count &&
                       due_ms(expiry, at(expiry, right)) < due_ms(expiry, at(expiry, left));
    return right_first ? right : left;
}

static void move_down(struct app_expiry *expiry, struct app_member *member)
{
    size_t place = member->expiry_place;
    int64_t due = due_ms(expiry, member);
    while (2 * place <= expiry->count) {
        size_t child = earlier_child(expiry, place);
        if (due_ms(expiry, at(expiry, child)) >= due) {
            break;
        }
        put(expiry, place, at(expiry, child));
        place = child;
    }
    put(expiry, place, member);
}

static void settle(struct app_expiry *expiry, struct app_member *member)
{
    move_up(expiry, member);
    move_down(expiry, member);
}

static enum err reserve(struct app_expiry *expiry)
{
    if (expiry->count < expiry->capacity) {
        return OK;
    }
    size_t capacity = expiry->capacity + expiry->capacity / 2 + 16;
    struct app_member **heap = realloc(expiry->heap, capacity * sizeof(struct app_member *));
    if (!heap) {
        return ERR_NOMEM;
    }
    expiry->heap = heap;
    expiry->capacity = capacity;
    return OK;
}

static void take_off(struct app_expiry *expiry, struct app_member *member)
{
    size_t place = member->expiry_place;
    struct app_member *last = at(expiry, expiry->count--);
    member->expiry_place = 0;
    if (last != member) {
        put(expiry, place, last);
        settle(expiry, last);
    }
}

/* --- Time --- */

static void schedule(struct app_expiry *expiry)
{
    if (expiry->count == 0) {
        loop_timer_cancel(expiry->loop, &expiry->timer);
        return;
    }
    int64_t wait = due_ms(expiry, at(expiry, 1)) - clock_wall_ms();
    wait = wait < 0 ? 0 : wait > RECHECK_MS ? RECHECK_MS : wait;
    loop_timer_set(expiry->loop, &expiry->timer, (uint64_t)wait);
}

static void act(struct app_expiry *expiry, struct app_member *member, int64_t now_ms)
{
    if (now_ms >= end_ms(expiry, member)) {
        take_off(expiry, member);
        expiry->expired++;
        app_dismiss(member, STR("{\"message\":\"Token expired\"}"));
    } else {
        member->warn_ms = 0;
        settle(expiry, member);
        app_tell_expiring(member, now_ms);
    }
}

static void run(struct app_expiry *expiry)
{
    int64_t now_ms = clock_wall_ms();
    for (int i = 0; i < SLICE && expiry->count > 0; i++) {
        struct app_member *first = at(expiry, 1);
        if (due_ms(expiry, first) > now_ms) {
            break;
        }
        act(expiry, first, now_ms);
    }
    if (expiry->count > 0 && due_ms(expiry, at(expiry, 1)) <= now_ms) {
        loop_defer(expiry->loop, &expiry->rest);
    } else {
        schedule(expiry);
    }
}

static void on_timer(struct wheel_timer *timer)
{
    run(container_of(timer, struct app_expiry, timer));
}

static void on_rest(struct loop_task *task)
{
    run(container_of(task, struct app_expiry, rest));
}

/* --- Members --- */

static void place(struct app_expiry *expiry, struct app_member *member)
{
    settle(expiry, member);
    if (member->expiry_place == 1) {
        schedule(expiry);
    }
}

/* The place is reserved, where one is needed. */
static void set(struct app_expiry *expiry, struct app_member *member, int64_t expires_s,
                uint32_t warn_ms)
{
    app_expiry_forget(expiry, member);
    bool ends = expires_s > 0 && expires_s <= UINT32_MAX;
    member->expires_s = ends ? (uint32_t)expires_s : 0;
    member->warn_ms = ends ? warn_ms : 0;
    if (ends) {
        put(expiry, ++expiry->count, member);
        place(expiry, member);
    }
}

enum err app_expiry_watch(struct app_expiry *expiry, struct app_member *member, int64_t expires_s)
{
    enum err err = reserve(expiry);
    if (!err) {
        set(expiry, member, expires_s, 0);
    }
    return err;
}

void app_expiry_announce(struct app_expiry *expiry, struct app_member *member)
{
    if (member->expiry_place > 0 && expiry->warn_ms > 0) {
        member->warn_ms = expiry->warn_ms;
        place(expiry, member);
    }
}

enum err app_expiry_renew(struct app_expiry *expiry, struct app_member *member, int64_t expires_s)
{
    if (expires_s == (int64_t)member->expires_s) {
        return OK; /* and whoever was told is not told again */
    }
    enum err err = reserve(expiry);
    if (!err) {
        int64_t half_ms = (expires_s * 1000 - clock_wall_ms()) / 2;
        bool near = half_ms < (int64_t)expiry->warn_ms;
        set(expiry, member, expires_s,
            near ? (uint32_t)(half_ms > 0 ? half_ms : 0) : expiry->warn_ms);
    }
    return err;
}

void app_expiry_forget(struct app_expiry *expiry, struct app_member *member)
{
    if (member->expiry_place > 0) {
        take_off(expiry, member);
    }
}

/* --- Birth and death --- */

void app_expiry_init(struct app_expiry *expiry, struct loop *loop, uint64_t leeway_s,
                     uint64_t warn_ms)
{
    *expiry = (struct app_expiry){
        .loop = loop, .leeway_ms = (int64_t)leeway_s * 1000, .warn_ms = (uint32_t)warn_ms};
    wheel_timer_init(&expiry->timer, on_timer);
    loop_task_init(&expiry->rest, on_rest);
}

void app_expiry_fini(struct app_expiry *expiry)
{
    loop_timer_cancel(expiry->loop, &expiry->timer);
    loop_task_cancel(&expiry->rest);
    free(expiry->heap);
}

/*
 * Walks over all members, for what is rare and concerns any of them: in slices, so that no turn of
 * the loop is long however many there are. Members come and go meanwhile: each that stays is
 * visited.
 */
#ifndef APP_WALK_H
#define APP_WALK_H

#include <stdbool.h>

#include "loop/loop.h"
#include "util/list.h"

struct app_member;
struct app_walk;

struct app_walks {
    struct loop *loop;
    struct list members; /* struct app_member by all, the newest behind */
    struct list walks;   /* those under way */
};

struct app_walk_ops {
    /* May end this member, but no other; true: it did, or did as much work. */
    bool (*visit)(struct app_walk *walk, struct app_member *member);
    /* All were visited. May begin the walk again, or free it. */
    void (*done)(struct app_walk *walk);
};

struct app_walk {
    struct app_walks *walks; /* private, as are the following */
    struct list node;
    struct list *next;
    struct loop_task slice;
    const struct app_walk_ops *ops;
};

void app_walks_init(struct app_walks *walks, struct loop *loop);

void app_walk_init(struct app_walk *walk, const struct app_walk_ops *ops);
/* Visits begin in this turn, never from inside. One under way begins again. */
void app_walk_begin(struct app_walk *walk, struct app_walks *walks);
/* `done` does not come. Idempotent. */
void app_walk_end(struct app_walk *walk);

/* A member's beginning, and its end. */
void app_walks_add(struct app_walks *walks, struct app_member *member);
void app_walks_remove(struct app_walks *walks, struct app_member *member);

#endif

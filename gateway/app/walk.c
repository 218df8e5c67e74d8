#include "app/walk.h"

#include "app/member.h"

/* What one turn does: looking at a member costs 1, ending it takes some system calls and frees. */
enum { SLICE_COST = 2000, END_COST = 20 };

void app_walks_init(struct app_walks *walks, struct loop *loop)
{
    *walks = (struct app_walks){.loop = loop};
    list_init(&walks->members);
    list_init(&walks->walks);
}

static void on_slice(struct loop_task *task)
{
    struct app_walk *walk = container_of(task, struct app_walk, slice);
    for (unsigned cost = 0; walk->next != &walk->walks->members;) {
        if (cost >= SLICE_COST) {
            loop_defer(walk->walks->loop, task);
            return;
        }
        struct app_member *member = list_entry(walk->next, struct app_member, all);
        walk->next = walk->next->next;
        cost += walk->ops->visit(walk, member) ? END_COST : 1;
    }
    list_remove(&walk->node);
    walk->ops->done(walk);
}

void app_walk_init(struct app_walk *walk, const struct app_walk_ops *ops)
{
    *walk = (struct app_walk){.ops = ops};
    list_init(&walk->node);
    loop_task_init(&walk->slice, on_slice);
}

void app_walk_begin(struct app_walk *walk, struct app_walks *walks)
{
    list_remove(&walk->node);
    walk->walks = walks;
    walk->next = walks->members.next;
    list_push_back(&walks->walks, &walk->node);
    loop_defer(walks->loop, &walk->slice);
}

void app_walk_end(struct app_walk *walk)
{
    list_remove(&walk->node);
    loop_task_cancel(&walk->slice);
}

void app_walks_add(struct app_walks *walks, struct app_member *member)
{
    list_push_back(&walks->members, &member->all);
}

void app_walks_remove(struct app_walks *walks, struct app_member *member)
{
    LIST_FOR_EACH (node, next, &walks->walks) {
        struct app_walk *walk = list_entry(node, struct app_walk, node);
        if (walk->next == &member->all) {
            walk->next = member->all.next;
        }
    }
    list_remove(&member->all);
}

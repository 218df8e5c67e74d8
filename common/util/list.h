/*
 * Intrusive doubly linked list. The head is a node itself; an unlinked node points to itself, so
 * that removing it twice is harmless. A node must be initialised before its first use.
 */
#ifndef UTIL_LIST_H
#define UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"

struct list {
    struct list *prev;
    struct list *next;
};

static inline void list_init(struct list *node)
{
    node->prev = node->next = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Whether a node is on some list. */
static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The node must not be on a list. */
static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_push_back(head->next, node);
}

/* The first node, taken off; NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* Moves all nodes of `from` behind those of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

/* `node` and `next` are struct list pointers; the current node may be removed in the body. */
#define LIST_FOR_EACH(node, following, head)                                                       \
    for (struct list *node = (head)->next, *following = node->next; node != (head);                \
         node = following, following = node->next)

#endif

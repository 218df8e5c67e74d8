#include "publisher/cli/backlog.h"

#include <stdlib.h>
#include <string.h>

static enum err grow(struct backlog *backlog)
{
    size_t cap = backlog->cap ? backlog->cap * 2 : 64;
    struct backlog_item *items = realloc(backlog->items, cap * sizeof *items);
    if (!items) {
        return ERR_NOMEM;
    }
    backlog->items = items;
    backlog->cap = cap;
    return OK;
}

enum err backlog_add(struct backlog *backlog, uint64_t id, struct str room, struct str text)
{
    if (backlog->bytes + text.len > BACKLOG_BYTES_MAX) {
        return ERR_LIMIT;
    }
    enum err err = backlog->count == backlog->cap ? grow(backlog) : OK;
    char *copy = err ? NULL : malloc(room.len + text.len + 1);
    if (!copy) {
        return ERR_NOMEM;
    }
    memcpy(copy, room.ptr, room.len);
    memcpy(copy + room.len, text.ptr, text.len);
    backlog->last = id > backlog->last ? id : backlog->last;
    backlog->items[backlog->count] = (struct backlog_item){.id = id > 0 ? id : backlog->last,
                                                           .number = backlog->count,
                                                           .room = {copy, room.len},
                                                           .text = {copy + room.len, text.len}};
    backlog->count++;
    backlog->bytes += text.len;
    return OK;
}

static int compare(const void *a, const void *b)
{
    const struct backlog_item *x = a, *y = b;
    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

void backlog_sort(struct backlog *backlog)
{
    if (backlog->count > 0) {
        qsort(backlog->items, backlog->count, sizeof *backlog->items, compare);
    }
}

void backlog_clear(struct backlog *backlog)
{
    for (size_t i = 0; i < backlog->count; i++) {
        free((char *)backlog->items[i].room.ptr);
    }
    free(backlog->items);
    *backlog = (struct backlog){0};
}

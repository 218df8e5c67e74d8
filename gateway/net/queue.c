#include "net/queue.h"

#include <stdlib.h>

enum { SMALLEST_RING = 8 };

static struct rcbuf **slot(const struct net_queue *queue, uint32_t at)
{
    return queue->cap == 0 ? (struct rcbuf **)&queue->one
                           : &queue->ring[(queue->head + at) & (queue->cap - 1)];
}

static enum err grow(struct net_queue *queue)
{
    uint32_t cap = queue->cap ? queue->cap * 2 : SMALLEST_RING;
    struct rcbuf **ring = cap == 0 ? NULL : malloc(cap * sizeof *ring);
    if (!ring) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < queue->count; i++) {
        ring[i] = *slot(queue, i);
    }
    if (queue->cap) {
        free(queue->ring);
    }
    queue->ring = ring;
    queue->head = 0;
    queue->cap = cap;
    return OK;
}

enum err net_queue_push(struct net_queue *queue, struct rcbuf *bytes)
{
    if (queue->count > 0 && queue->count >= queue->cap) {
        enum err err = grow(queue);
        if (err) {
            return err;
        }
    }
    *slot(queue, queue->count) = rcbuf_ref(bytes);
    queue->count++;
    queue->bytes += bytes->len;
    return OK;
}

int net_queue_parts(const struct net_queue *queue, struct iovec *parts, int max)
{
    int count = queue->count < (uint32_t)max ? (int)queue->count : max;
    uint32_t skip = queue->offset;
    for (int i = 0; i < count; i++) {
        struct rcbuf *item = *slot(queue, (uint32_t)i);
        parts[i] = (struct iovec){item->data + skip, item->len - skip};
        skip = 0;
    }
    return count;
}

static void drop_head(struct net_queue *queue)
{
    rcbuf_unref(slot(queue, 0));
    queue->offset = 0;
    queue->head++;
    queue->count--;
}

void net_queue_advance(struct net_queue *queue, size_t n)
{
    queue->bytes -= n;
    while (n > 0) {
        size_t left = (*slot(queue, 0))->len - queue->offset;
        if (n < left) {
            queue->offset += (uint32_t)n;
            return;
        }
        n -= left;
        drop_head(queue);
    }
    if (queue->count == 0) {
        net_queue_clear(queue);
    }
}

void net_queue_clear(struct net_queue *queue)
{
    while (queue->count > 0) {
        drop_head(queue);
    }
    if (queue->cap) {
        free(queue->ring);
    }
    *queue = (struct net_queue){0};
}

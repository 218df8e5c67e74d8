#include "net/queue.h"

#include <stdlib.h>

enum { SMALLEST_RING = 8 };

struct net_queue_ring {
    uint32_t head;
    uint32_t count;
    uint32_t cap; /* a power of two */
    struct rcbuf *items[];
};

static struct rcbuf **slot(struct net_queue *queue, uint32_t at)
{
    struct net_queue_ring *ring = queue->ring;
    return queue->in_ring ? &ring->items[(ring->head + at) & (ring->cap - 1)] : &queue->one;
}

size_t net_queue_count(const struct net_queue *queue)
{
    return queue->in_ring ? queue->ring->count : queue->one != NULL;
}

/* Moves what there is, one piece or a full ring, into a larger ring. */
static enum err grow(struct net_queue *queue, uint32_t count)
{
    uint32_t cap = queue->in_ring ? queue->ring->cap * 2 : SMALLEST_RING;
    struct net_queue_ring *ring =
        cap == 0 ? NULL : malloc(sizeof *ring + cap * sizeof ring->items[0]);
    if (!ring) {
        return ERR_NOMEM;
    }
    *ring = (struct net_queue_ring){.count = count, .cap = cap};
    for (uint32_t i = 0; i < count; i++) {
        ring->items[i] = *slot(queue, i);
    }
    if (queue->in_ring) {
        free(queue->ring);
    }
    queue->ring = ring;
    queue->in_ring = true;
    return OK;
}

enum err net_queue_push(struct net_queue *queue, struct rcbuf *bytes)
{
    uint32_t count = (uint32_t)net_queue_count(queue);
    if (count > 0 && (!queue->in_ring || count == queue->ring->cap)) {
        enum err err = grow(queue, count);
        if (err) {
            return err;
        }
    }
    *slot(queue, count) = rcbuf_ref(bytes);
    if (queue->in_ring) {
        queue->ring->count++;
    }
    queue->bytes += bytes->len;
    return OK;
}

int net_queue_parts(const struct net_queue *queue, struct iovec *parts, int max)
{
    size_t there = net_queue_count(queue);
    int count = there < (size_t)max ? (int)there : max;
    uint32_t skip = queue->offset;
    for (int i = 0; i < count; i++) {
        struct rcbuf *item = *slot((struct net_queue *)queue, (uint32_t)i);
        parts[i] = (struct iovec){item->data + skip, item->len - skip};
        skip = 0;
    }
    return count;
}

static void drop_head(struct net_queue *queue)
{
    rcbuf_unref(slot(queue, 0));
    queue->offset = 0;
    if (queue->in_ring) {
        queue->ring->head++;
        queue->ring->count--;
    }
}

void net_queue_advance(struct net_queue *queue, size_t n)
{
    queue->bytes -= (uint32_t)n;
    if (queue->bytes == 0) {
        net_queue_clear(queue);
        return;
    }
    for (;;) {
        uint32_t left = (*slot(queue, 0))->len - queue->offset;
        if (n < left) {
            queue->offset += (uint32_t)n;
            return;
        }
        n -= left;
        drop_head(queue);
    }
}

void net_queue_clear(struct net_queue *queue)
{
    while (net_queue_count(queue) > 0) {
        drop_head(queue);
    }
    if (queue->in_ring) {
        free(queue->ring);
    }
    *queue = (struct net_queue){0};
}

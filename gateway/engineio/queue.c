#include "engineio/queue.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ITEMS = 8 };

struct eio_queue_block {
    size_t bytes; /* of what waits, with its references */
    uint32_t head, count, cap;
    struct rcbuf *items[];
};

static size_t cost(const struct rcbuf *packet)
{
    return packet->len + RCBUF_OVERHEAD;
}

static void drop_front(struct eio_queue_block *block)
{
    struct rcbuf **front = &block->items[block->head++];
    block->bytes -= cost(*front);
    block->count--;
    rcbuf_unref(front);
}

void eio_queue_clear(struct eio_queue *queue)
{
    while (!eio_queue_empty(queue)) {
        eio_queue_pop(queue);
    }
}

/* A block with room behind its last item; what was popped makes room first. */
static struct eio_queue_block *with_room(struct eio_queue_block *block)
{
    if (!block) {
        block = calloc(1, sizeof *block + FIRST_ITEMS * sizeof block->items[0]);
        if (block) {
            block->cap = FIRST_ITEMS;
        }
        return block;
    }
    if (block->head + block->count < block->cap) {
        return block;
    }
    if (block->head > block->cap / 2) {
        memmove(block->items, block->items + block->head, block->count * sizeof block->items[0]);
        block->head = 0;
        return block;
    }
    uint32_t cap = block->cap * 2;
    block = realloc(block, sizeof *block + cap * sizeof block->items[0]);
    if (block) {
        block->cap = cap;
    }
    return block;
}

enum err eio_queue_push(struct eio_queue *queue, struct rcbuf *packet, size_t max_bytes)
{
    size_t waiting = queue->block ? queue->block->bytes : 0;
    if (cost(packet) > max_bytes || waiting > max_bytes - cost(packet)) {
        return ERR_LIMIT;
    }
    struct eio_queue_block *block = with_room(queue->block);
    if (!block) {
        return ERR_NOMEM;
    }
    queue->block = block;
    block->items[block->head + block->count++] = rcbuf_ref(packet);
    block->bytes += cost(packet);
    return OK;
}

struct rcbuf *eio_queue_front(const struct eio_queue *queue)
{
    return queue->block ? queue->block->items[queue->block->head] : NULL;
}

void eio_queue_pop(struct eio_queue *queue)
{
    drop_front(queue->block);
    if (queue->block->count == 0) {
        free(queue->block);
        queue->block = NULL;
    }
}

bool eio_queue_empty(const struct eio_queue *queue)
{
    return !queue->block;
}

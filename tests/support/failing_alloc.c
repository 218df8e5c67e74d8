#include "failing_alloc.h"

#include <stddef.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long countdown = -1;
static bool hit;

static bool fails(void)
{
    if (countdown < 0 || countdown-- > 0) {
        return false;
    }
    hit = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void failing_alloc_at(long n)
{
    countdown = n;
    hit = false;
}

bool failing_alloc_hit(void)
{
    bool was = hit;
    failing_alloc_at(-1);
    return was;
}

void failing_alloc_each(void (*step)(void *context), void *context)
{
    for (long n = 0;; n++) {
        failing_alloc_at(n);
        step(context);
        if (!failing_alloc_hit()) {
            return;
        }
    }
}

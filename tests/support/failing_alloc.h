/*
 * Makes an allocation fail on purpose. Link with failing_alloc_dep: malloc, calloc and realloc of
 * the whole test program then pass through here.
 */
#ifndef SUPPORT_FAILING_ALLOC_H
#define SUPPORT_FAILING_ALLOC_H

#include <stdbool.h>

/* The n-th allocation from now (0: the next) fails, once. Negative: none does. */
void failing_alloc_at(long n);
/* Whether the armed failure has happened; disarms. */
bool failing_alloc_hit(void);

/*
 * Runs `step` with each allocation failing in turn until it gets through without a failure. The
 * step checks for itself that an error was reported and nothing was half done; it returns nothing.
 */
void failing_alloc_each(void (*step)(void *context), void *context);

#endif

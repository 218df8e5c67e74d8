/* Waiting for what an event loop brings, in tests whose `world` has a `loop`. */
#ifndef SUPPORT_AWAIT_H
#define SUPPORT_AWAIT_H

#include "loop/loop.h"
#include "util/clock.h"

enum { PATIENCE_MS = 5000 };

/* Turns the loop until the condition holds; the test fails where it never does. */
#define AWAIT(world, condition)                                                                    \
    for (uint64_t until = clock_monotonic_ms() + PATIENCE_MS; !(condition);) {                     \
        assert_true(clock_monotonic_ms() < until);                                                 \
        assert_int_equal(loop_turn((world)->loop, 10), OK);                                        \
    }

#endif

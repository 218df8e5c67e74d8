/*
 * Timer wheel: any number of timers, each set, moved and cancelled in constant time, 32 bytes each.
 * Sans-I/O: time is an argument.
 */
#ifndef LOOP_WHEEL_H
#define LOOP_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"

enum {
    WHEEL_TICK_MS = 8,
    WHEEL_LEVELS = 4,
    WHEEL_SLOTS = 64, /* per level: 0.5 s, 33 s, 35 min, 37 h; what lies beyond waits in the last */
};

struct wheel_timer {
    struct list node; /* private: slot it hangs in */
    uint64_t due_ms;  /* while it is set; by the wheel's clock */
    /* Called once when due, the timer no longer set; may set, cancel or free any timer. */
    void (*fire)(struct wheel_timer *timer);
};

struct wheel {
    uint64_t tick; /* last tick that was run */
    uint64_t count;
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t occupied[WHEEL_LEVELS]; /* a bit a slot that may hold timers */
};

void wheel_timer_init(struct wheel_timer *timer, void (*fire)(struct wheel_timer *timer));
bool wheel_timer_is_set(const struct wheel_timer *timer);

void wheel_init(struct wheel *wheel, uint64_t now_ms);
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms);
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);
/* Fires all that is due at now_ms, each tick's timers in the order they were set. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
/*
 * Milliseconds until wheel_advance is wanted again: no later than the next timer is due, possibly
 * earlier. UINT64_MAX when no timer is set.
 */
uint64_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms);

#endif

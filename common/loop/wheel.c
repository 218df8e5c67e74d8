#include "loop/wheel.h"

/* Each level's slot spans 64 of the level below. A timer sinks to a lower level as its time comes.
 */
enum { LEVEL_BITS = 6 };

void wheel_timer_init(struct wheel_timer *timer, void (*fire)(struct wheel_timer *timer))
{
    list_init(&timer->node);
    timer->due_ms = 0;
    timer->fire = fire;
}

bool wheel_timer_is_set(const struct wheel_timer *timer)
{
    return list_linked(&timer->node);
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    *wheel = (struct wheel){.tick = now_ms / WHEEL_TICK_MS};
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < WHEEL_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
}

static unsigned slot_of(uint64_t tick, int level)
{
    return (unsigned)(tick >> (LEVEL_BITS * level)) % WHEEL_SLOTS;
}

/* The tick at which a timer fires: never early, so its time is rounded up. */
static uint64_t due_tick(const struct wheel_timer *timer)
{
    return timer->due_ms / WHEEL_TICK_MS + (timer->due_ms % WHEEL_TICK_MS != 0);
}

/* Hangs the timer where it will be seen in time: `earliest` is the first tick not run yet. */
static void place(struct wheel *wheel, struct wheel_timer *timer, uint64_t earliest)
{
    uint64_t tick = due_tick(timer);
    if (tick < earliest) {
        tick = earliest;
    }
    int level = 0;
    while (level < WHEEL_LEVELS - 1 &&
           (tick >> (LEVEL_BITS * level)) - (earliest >> (LEVEL_BITS * level)) >= WHEEL_SLOTS) {
        level++;
    }
    uint64_t farthest = (earliest >> (LEVEL_BITS * level)) + WHEEL_SLOTS - 1;
    uint64_t unit = tick >> (LEVEL_BITS * level);
    unsigned slot = (unsigned)((unit < farthest ? unit : farthest) % WHEEL_SLOTS);
    list_push_back(&wheel->slots[level][slot], &timer->node);
    wheel->occupied[level] |= (uint64_t)1 << slot;
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t due_ms)
{
    wheel_cancel(wheel, timer);
    timer->due_ms = due_ms;
    place(wheel, timer, wheel->tick + 1);
    wheel->count++;
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
    if (wheel_timer_is_set(timer)) {
        list_remove(&timer->node);
        wheel->count--;
    }
}

/* Takes a slot's timers off into `taken`. */
static void take_slot(struct wheel *wheel, int level, unsigned slot, struct list *taken)
{
    list_init(taken);
    list_splice_back(taken, &wheel->slots[level][slot]);
    wheel->occupied[level] &= ~((uint64_t)1 << slot);
}

/* At the start of an upper slot's span, its timers move down. */
static void cascade(struct wheel *wheel, uint64_t tick)
{
    for (int level = 1; level < WHEEL_LEVELS; level++) {
        if (tick & (((uint64_t)1 << (LEVEL_BITS * level)) - 1)) {
            return;
        }
        struct list taken;
        take_slot(wheel, level, slot_of(tick, level), &taken);
        for (struct list *node; (node = list_pop_front(&taken));) {
            place(wheel, list_entry(node, struct wheel_timer, node), tick);
        }
    }
}

static void run_tick(struct wheel *wheel, uint64_t tick)
{
    cascade(wheel, tick);
    wheel->tick = tick;
    struct list due;
    take_slot(wheel, 0, slot_of(tick, 0), &due);
    for (struct list *node; (node = list_pop_front(&due));) {
        struct wheel_timer *timer = list_entry(node, struct wheel_timer, node);
        wheel->count--;
        timer->fire(timer);
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t target = now_ms / WHEEL_TICK_MS;
    while (wheel->tick < target) {
        if (wheel->count == 0) {
            wheel->tick = target;
            return;
        }
        run_tick(wheel, wheel->tick + 1);
    }
}

/* Ticks from `from` on until the next occupied slot of the lowest level, or the next cascade. */
static uint64_t ticks_until_work(const struct wheel *wheel, uint64_t from)
{
    unsigned first = slot_of(from, 0);
    uint64_t rotated = wheel->occupied[0] >> first;
    if (first > 0) {
        rotated |= wheel->occupied[0] << (WHEEL_SLOTS - first);
    }
    uint64_t to_cascade = (WHEEL_SLOTS - first) % WHEEL_SLOTS;
    uint64_t to_slot = rotated ? (uint64_t)__builtin_ctzll(rotated) : WHEEL_SLOTS;
    return to_slot < to_cascade ? to_slot : to_cascade;
}

uint64_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms)
{
    if (wheel->count == 0) {
        return UINT64_MAX;
    }
    uint64_t from = wheel->tick + 1;
    uint64_t due_ms = (from + ticks_until_work(wheel, from)) * WHEEL_TICK_MS;
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

/*
 * An even pace: when each of a number of things is due, so that all are done by a given time. Which
 * number may shrink by itself meanwhile, and the clock may have stood still: it goes by what is
 * left and the time that is left.
 */
#ifndef OPS_PACE_H
#define OPS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace {
    uint64_t end_ms;
    double last_ms; /* private: when the last that was done was due */
    double gap_ms;  /* private: from then to the next, as of the last pace_due */
    bool begun;     /* private: the first was done */
};

/* The first is due at once, the last before `window_ms` are over by as much as they are apart. */
void pace_begin(struct pace *pace, uint64_t now_ms, uint64_t window_ms);
/* How many of the `left` are due by now; all of them when the time is over. */
size_t pace_due(struct pace *pace, uint64_t now_ms, size_t left);
/* So many of those that are due have been done. */
void pace_done(struct pace *pace, size_t count);

#endif

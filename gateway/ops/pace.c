#include "ops/pace.h"

void pace_begin(struct pace *pace, uint64_t now_ms, uint64_t window_ms)
{
    *pace = (struct pace){.end_ms = now_ms + window_ms, .last_ms = (double)now_ms};
}

size_t pace_due(struct pace *pace, uint64_t now_ms, size_t left)
{
    if (now_ms >= pace->end_ms || left == 0) {
        return left;
    }
    size_t first = pace->begun ? 0 : 1;
    /* One gap more than there are to come, for the last of them. */
    double gaps = (double)(left - first) + 1;
    pace->gap_ms = ((double)pace->end_ms - pace->last_ms) / gaps;
    size_t due = first + (size_t)(((double)now_ms - pace->last_ms) / pace->gap_ms);
    return due < left ? due : left;
}

void pace_done(struct pace *pace, size_t count)
{
    if (count > 0) {
        pace->last_ms += (double)(count - (pace->begun ? 0 : 1)) * pace->gap_ms;
        pace->begun = true;
    }
}

/* How much of a room is kept, by its kind. */
#ifndef BUS_HISTORY_H
#define BUS_HISTORY_H

struct bus_history {
    unsigned length;      /* events; 0: none, then nothing about them can be promised */
    unsigned age_seconds; /* after the last event */
};

#endif

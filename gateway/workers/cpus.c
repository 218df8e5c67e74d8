#include "workers/cpus.h"

#include <sched.h>

unsigned cpus_usable(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) {
        return 1; /* more CPUs than a set has places for: WORKERS then needs a number */
    }
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

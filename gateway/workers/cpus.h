/* How many CPUs this process may use. */
#ifndef WORKERS_CPUS_H
#define WORKERS_CPUS_H

/* By its affinity (taskset, cpusets); a share of CPU time, as containers have, is not counted. 1
 * where the kernel does not say. */
unsigned cpus_usable(void);

#endif

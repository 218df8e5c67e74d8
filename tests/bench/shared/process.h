/* What a process has used, read from the outside; and how many files it may open. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "util/attr.h"
#include "util/err.h"

struct process_usage {
    uint64_t cpu_ns;        /* of all its threads, user and system */
    uint64_t private_bytes; /* that it shares with nobody; the kernel's sockets are not in them */
    uint64_t rss_bytes;
};

/* INVALID for a process that is gone, IO. */
MUST_CHECK enum err process_usage(pid_t pid, struct process_usage *ret_usage);

/* Lets this process open as many files as the hard limit allows: a client is one. */
void process_allow_files(void);

#endif

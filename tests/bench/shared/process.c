#include "process.h"

#include <stdio.h>
#include <time.h>

#include <sys/resource.h>

enum { LINE_MAX_LEN = 256, KIB = 1024 };

static enum err cpu_time(pid_t pid, uint64_t *ret_ns)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return ERR_INVALID;
    }
    *ret_ns = (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
    return OK;
}

static void add_line(const char *line, struct process_usage *usage)
{
    unsigned long long kib;
    if (sscanf(line, "Private_Clean: %llu", &kib) == 1 ||
        sscanf(line, "Private_Dirty: %llu", &kib) == 1) {
        usage->private_bytes += kib * KIB;
    } else if (sscanf(line, "Rss: %llu", &kib) == 1) {
        usage->rss_bytes = kib * KIB;
    }
}

enum err process_usage(pid_t pid, struct process_usage *ret_usage)
{
    struct process_usage usage = {0};
    enum err err = cpu_time(pid, &usage.cpu_ns);
    if (err != OK) {
        return err;
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ERR_IO;
    }
    char line[LINE_MAX_LEN];
    while (fgets(line, sizeof(line), file) != NULL) {
        add_line(line, &usage);
    }
    fclose(file);
    if (usage.rss_bytes == 0) {
        return ERR_IO;
    }
    *ret_usage = usage;
    return OK;
}

void process_allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/*
 * The gateway's metrics for docs/metrics.md, from the tables that GET /metrics is written from.
 *
 * usage: print_metrics
 */
#include <stdio.h>
#include <stdlib.h>

#include "ops/exposition.h"

static void print_group(const char *title)
{
    printf("\n## %s\n\n| metric | type | |\n|---|---|---|\n", title);
}

static void print_metric(const char *type, const char *name, const char *label, const char *help)
{
    printf("| `" OPS_METRICS_PREFIX "%s", name);
    if (label) {
        printf("{%s}", label);
    }
    printf("` | %s | %s |\n", type, help);
}

int main(void)
{
#define GAUGE                           "gauge"
#define COUNTER                         "counter"
#define GROUP(title)                    print_group(title);
#define FAMILY(type, name, label, help) print_metric(type, name, label, help);
#define SAMPLE(value, number)
#define SAMPLES(name_of, numbers)
#define METRIC(type, name, help, number) print_metric(type, name, NULL, help);
#define SECONDS(type, name, help, ms)    print_metric(type, name, NULL, help);
#define EACH_WORKER(number)
#include "ops/metrics.def"
#include "workers/metrics.def"
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * What the publisher library does in a second: one event after the other, or as many on their way
 * as its window allows. Each event goes to a market's and a trader's room, as all trades do.
 */
#include <guesslyfe/publisher.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "shared/process.h"
#include "util/clock.h"

enum { EVENTS_MAX = 10000000, DATA_MAX = 512, ROOMS = 1000 };

struct account {
    unsigned long published;
    unsigned long failed;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "publish: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void write_data(char data[DATA_MAX], unsigned long number)
{
    snprintf(data, DATA_MAX,
             "{\"marketId\":\"%lu\",\"tradeId\":\"%010lu\","
             "\"trader\":\"0x%040lx\",\"direction\":\"buy\",\"outcome\":1,\"amount\":\"9\","
             "\"shares\":\"9\",\"price\":\"65\",\"newYesPrice\":\"65\",\"newNoPrice\":\"35\"}",
             number % ROOMS, number, number % ROOMS);
}

static void on_done(void *context, enum glyfe_error error, const struct glyfe_result *result,
                    const char *message)
{
    struct account *account = context;
    (void)result;
    if (error == GLYFE_OK) {
        account->published++;
    } else if (account->failed++ == 0) {
        fprintf(stderr, "publish: %s\n", message);
    }
}

static void publish_singly(struct glyfe_publisher *publisher, unsigned long events,
                           struct account *account)
{
    char data[DATA_MAX];
    for (unsigned long i = 0; i < events; i++) {
        write_data(data, i);
        enum glyfe_error error = glyfe_publish(publisher, "market:trade", data, NULL, NULL);
        on_done(account, error, NULL, glyfe_publisher_error(publisher));
    }
}

static void publish_in_bulk(struct glyfe_publisher *publisher, unsigned long events,
                            struct account *account)
{
    char data[DATA_MAX];
    for (unsigned long i = 0; i < events; i++) {
        write_data(data, i);
        enum glyfe_error error =
            glyfe_submit(publisher, "market:trade", data, NULL, on_done, account);
        if (error != GLYFE_OK) {
            on_done(account, error, NULL, glyfe_publisher_error(publisher));
        }
    }
    if (glyfe_flush(publisher) != GLYFE_OK) {
        die("flush", glyfe_publisher_error(publisher));
    }
}

static uint64_t cpu_ns(void)
{
    struct process_usage usage;
    if (process_usage(getpid(), &usage) != OK) {
        die("usage", "cannot be measured");
    }
    return usage.cpu_ns;
}

static bool measure(struct glyfe_publisher *publisher, bool bulk, unsigned long events)
{
    struct account account = {0};
    uint64_t cpu_before = cpu_ns();
    uint64_t begin_us = clock_monotonic_us();
    (bulk ? publish_in_bulk : publish_singly)(publisher, events, &account);
    double elapsed_us = (double)(clock_monotonic_us() - begin_us);
    double own_us = (double)(cpu_ns() - cpu_before) / 1000;
    printf("{\"work\":\"publish\",\"mode\":\"%s\",\"events\":%lu,\"published\":%lu,\"failed\":%lu,"
           "\"per_second\":%.0f,\"cpu_us_each\":%.3f,\"busy\":%.3f}\n",
           bulk ? "bulk" : "single", events, account.published, account.failed,
           (double)account.published * 1000000 / elapsed_us, own_us / (double)events,
           own_us / elapsed_us);
    return account.published == events;
}

/* publish single|bulk EVENTS; Redis by the library's own settings, REDIS_PORT and the others. */
int main(int argc, char **argv)
{
    char complaint[256];
    bool bulk = argc == 3 && strcmp(argv[1], "bulk") == 0;
    unsigned long events = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (events < 1 || events > EVENTS_MAX || (!bulk && strcmp(argv[1], "single") != 0)) {
        fputs("publish single|bulk EVENTS\nRedis: REDIS_HOST, REDIS_PORT, as guesslyfe-publish\n",
              stderr);
        return 2;
    }
    struct glyfe_publisher *publisher = glyfe_publisher_open(NULL, complaint, sizeof(complaint));
    if (publisher == NULL) {
        die("settings", complaint);
    }
    struct account warm_up = {0};
    publish_singly(publisher, 1, &warm_up);
    bool ok = warm_up.published == 1 && measure(publisher, bulk, events);
    glyfe_publisher_close(publisher);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

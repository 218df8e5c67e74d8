/*
 * Asking all gateways at once, and knowing who did not answer. What is asked goes to the channel of
 * control messages, answers come on a channel of the asker's own (docs/fleet.md).
 */
#ifndef PUBLISHER_CLI_INQUIRY_H
#define PUBLISHER_CLI_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "publisher/cli/command.h"
#include "publisher/cli/console.h"
#include "publisher/cli/roster.h"
#include "publisher/cli/verb.h"
#include "util/buf.h"
#include "util/str.h"

enum { INQUIRY_ASKER_LEN = 16 };

/* A flag of every verb that asks. */
#define INQUIRY_FLAG                                                                               \
    {                                                                                              \
        .name = "wait", .value = "MS", .help = "How long answers are waited for; 3000 by default"  \
    }

struct inquiry_reply {
    char gateway[BUS_GATEWAY_ID_MAX + 1];
    struct str object; /* {"gateway":…, …}, checked; owned */
};

struct inquiry {
    struct console *console;
    struct roster roster; /* who should answer */
    struct inquiry_reply *replies;
    size_t count;
    char asker[INQUIRY_ASKER_LEN + 1];
    struct buf channel; /* that answers come on */
    struct str heard;   /* the same, as the console borrows it */
    bool incomplete;    /* without memory for an answer */
};

/* INVALID: *complaint. */
MUST_CHECK enum err inquiry_wait(const struct arguments *arguments, uint64_t *ret_wait_ms,
                                 struct buf *complaint);
/*
 * Reads the registry, asks, and waits until all gateways that live have answered, or the time is
 * over. `members` are of the question's JSON object: `"user":"x"`, or nothing. EXIT_CONFIRMED, or
 * what was reported. To be finished in any case, before the
 * console.
 */
enum exit_code inquiry_ask(struct inquiry *inquiry, struct console *console, struct str verb,
                           struct str members, uint64_t wait_ms);
void inquiry_fini(struct inquiry *inquiry);

/* NULL where the gateway has not answered. */
const struct inquiry_reply *inquiry_find(const struct inquiry *inquiry, const char *gateway);
/* The sum of a number in all answers. */
uint64_t inquiry_sum(const struct inquiry *inquiry, struct str key);
/* Where the gateway runs, "?" where that is not known. */
const char *inquiry_host(const struct inquiry *inquiry, const struct inquiry_reply *reply);
/* Of an object; 0, or an empty text, where there is no such member. The text is borrowed by `out`.
 */
uint64_t inquiry_number(struct str object, struct str key);
const char *inquiry_text(struct str object, struct str key, struct buf *out);

/* A table with a number of each answer: what was done where. */
void inquiry_print_counts(const struct inquiry *inquiry, const char *head, struct str key);
/* ,"answers":[…],"missing":[…] */
void inquiry_print_json(const struct inquiry *inquiry);
/*
 * Says on standard error who has not answered, or could not do it: EXIT_INCOMPLETE, then.
 * `consequence` tells what that means. EXIT_NO_GATEWAY where there is none. Else EXIT_CONFIRMED.
 */
enum exit_code inquiry_judge(const struct inquiry *inquiry, const char *consequence);

#endif

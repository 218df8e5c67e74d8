/*
 * An operator's way to Redis: a connection on a loop of its own, over which one question after the
 * other is asked and waited for, and a second one that listens where a verb has to.
 */
#ifndef PUBLISHER_CLI_CONSOLE_H
#define PUBLISHER_CLI_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/keys.h"
#include "loop/loop.h"
#include "publisher/cli/answer.h"
#include "publisher/cli/arguments.h"
#include "publisher/cli/command.h"
#include "publisher/settings.h"
#include "redis/link.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum { CONSOLE_WHY_MAX = 512, CONSOLE_CHANNELS_MAX = 1023 };

/* What a second connection listens to; borrowed while it is listened to. */
struct console_ear {
    bool patterns;              /* the channels are patterns */
    const struct str *channels; /* at most CONSOLE_CHANNELS_MAX */
    size_t count;
    /* A message, borrowed. Comes from within console_turn and console_ask; must not ask. */
    void (*hear)(void *context, struct str channel, struct str message);
    void *context;
};

struct console {
    bool json;  /* errors on standard output too */
    bool quiet; /* nothing is reported: whoever asks reads `why` */
    struct publisher_settings settings;
    struct bus_keys keys;
    struct loop *loop;
    struct redis_link *link;
    struct redis_link *ear; /* NULL: nothing is listened to */
    struct console_ear hears;
    size_t confirmed;     /* of its channels, on this connection */
    unsigned long heard;  /* how often all of them were confirmed: more after a loss */
    struct answer answer; /* to the last question */
    bool answered;        /* the last question */
    bool sent;            /* it may have been carried out, answered or not */
    enum err failure;     /* of what was done last. DENIED: Redis refuses us */
    char why[CONSOLE_WHY_MAX];
};

/*
 * Settings, then the connection, for which PUBLISH_TIMEOUT is the limit. The console is zero
 * before, save `quiet`. EXIT_CONFIRMED, or what went wrong, which was reported then. To be closed
 * in any case.
 */
enum exit_code console_open(struct console *console, const struct arguments *arguments);
void console_close(struct console *console);

/*
 * Asks and waits. The answer, of kind ANSWER_ERROR where Redis refused, is borrowed until the next
 * question. NULL: there was none; `failure` and `why` say why.
 */
const struct answer *console_ask(struct console *console, const struct str *args, size_t count);
#define CONSOLE_ASK(console, ...)                                                                  \
    console_ask((console), (const struct str[]){__VA_ARGS__},                                      \
                sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))

/*
 * Listens from now on, on a connection of its own, and again after that was lost: see `heard`. To
 * one thing at a time. False: `failure` and `why` say why.
 */
MUST_CHECK bool console_listen(struct console *console, const struct console_ear *ear);
/* Idempotent. */
void console_unlisten(struct console *console);
/* Whether everything that is listened to has been confirmed. */
bool console_hears(const struct console *console);
/* Lets the loop run for no longer than that. False: the loop is broken. */
MUST_CHECK bool console_turn(struct console *console, unsigned max_wait_ms);

/* Reports that there was no answer, or what Redis refused (an answer of kind ANSWER_ERROR). */
enum exit_code console_fail(const struct console *console);
enum exit_code console_refused(struct console *console, const struct answer *answer);

/*
 * From now on SIGINT and SIGTERM set a flag, by which waiting ends and after which no failure is
 * reported, and a closed standard output is an error to write.
 */
void console_catch_signals(void);
bool console_interrupted(void);

#endif

/*
 * Publishes events of the GuessLyfe real-time gateway: checked against the event catalogue, written
 * to Redis, delivered by every gateway to the clients in the event's rooms.
 *
 *     struct glyfe_publisher *publisher = glyfe_publisher_open(NULL, complaint, sizeof complaint);
 *     const struct glyfe_system_announcement news = {
 *         .id = "1", .title = "Hello", .message = "We are back",
 *         .priority = GLYFE_SYSTEM_ANNOUNCEMENT_PRIORITY_HIGH,
 *     };
 *     if (glyfe_publish_system_announcement(publisher, &news, NULL, NULL)) {
 *         fprintf(stderr, "%s\n", glyfe_publisher_error(publisher));
 *     }
 *     glyfe_publisher_close(publisher);
 *
 * The library never ends the process, never prints and installs no signal handlers. A publisher may
 * be used by one thread at a time and not across fork(); different publishers may be used by
 * different threads at once. Everything passed in is borrowed for the time of the call.
 */
#ifndef GUESSLYFE_PUBLISHER_H
#define GUESSLYFE_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GLYFE_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

enum glyfe_error {
    GLYFE_OK = 0,               /* Redis has confirmed the event */
    GLYFE_ERROR_NO_MEMORY,      /* nothing was written */
    GLYFE_ERROR_INVALID,        /* the event is not what the catalogue wants; nothing was sent */
    GLYFE_ERROR_UNREACHABLE,    /* no connection to Redis in time; nothing was written */
    GLYFE_ERROR_REFUSED,        /* by Redis: password, rights, memory, a replica */
    GLYFE_ERROR_UNKNOWN,        /* sent, but no answer came: it may or may not be written */
    GLYFE_ERROR_MISUSE,         /* called from a callback of the same publisher */
    GLYFE_ERROR_INTERNAL,       /* the system refused something that never fails */
    GLYFE_ERROR_NOT_REPLICATED, /* the primary has written it, too few replicas in time */
};

/* "refused" for GLYFE_ERROR_REFUSED. Never NULL. */
GLYFE_API const char *glyfe_error_name(enum glyfe_error error);

enum { GLYFE_ROOMS_SIZE = 640 };

struct glyfe_result {
    uint64_t
        id; /* of the event: microseconds since 1970, unique; a duplicate has the first one's */
    uint64_t receivers; /* gateways that got it at once, summed over the rooms; 0 for a duplicate */
    bool duplicate;     /* the idempotency key was known: nothing was written now */
    unsigned replicas;  /* that confirmed it; 0 where none were waited for */
    char rooms[GLYFE_ROOMS_SIZE]; /* "market:1,user:0x…", in the order of delivery */
};

struct glyfe_publisher;

/*
 * Reads its settings from `settings` ("NAME=value" each, ended by NULL; may be NULL) and where they
 * say nothing from the environment; guesslyfe-publish --help lists the names. Does not connect yet.
 * NULL where a setting is refused or memory is short; `complaint` (may be NULL) then holds a
 * sentence.
 */
GLYFE_API struct glyfe_publisher *glyfe_publisher_open(const char *const *settings, char *complaint,
                                                       size_t complaint_size);
/* Events without an answer get their callbacks now. NULL is fine. */
GLYFE_API void glyfe_publisher_close(struct glyfe_publisher *publisher);

/* What the last call that failed has to say, for people; valid until the next call. Never NULL. */
GLYFE_API const char *glyfe_publisher_error(const struct glyfe_publisher *publisher);
/* Time limit of each event from now on, instead of PUBLISH_TIMEOUT. */
GLYFE_API void glyfe_publisher_set_timeout(struct glyfe_publisher *publisher,
                                           unsigned milliseconds);
/* How many replicas are to have each event from now on, instead of PUBLISH_WAIT_REPLICAS. */
GLYFE_API void glyfe_publisher_set_wait_replicas(struct glyfe_publisher *publisher,
                                                 unsigned replicas);

/*
 * Publishes one event and waits for the answer. `data` is the event's data as a JSON object;
 * `idempotency_key` (1 to 128 visible ASCII characters, or NULL) makes repeating it safe: a key is
 * written once, and with a key the library itself repeats an event whose connection was lost until
 * its time is over. `ret_result` may be NULL and is untouched on failure.
 */
GLYFE_API enum glyfe_error glyfe_publish(struct glyfe_publisher *publisher, const char *event,
                                         const char *data, const char *idempotency_key,
                                         struct glyfe_result *ret_result);

/*
 * Called once for each submitted event, from within a later call, in the order of the answers.
 * `result` is NULL unless error is GLYFE_OK; `message` says what went wrong. Must not call the
 * publisher.
 */
typedef void (*glyfe_done_fn)(void *context, enum glyfe_error error,
                              const struct glyfe_result *result, const char *message);

/*
 * Like glyfe_publish without waiting for the answer, so that many events share a round trip. Waits
 * only while PUBLISH_WINDOW events are on their way. On an error no callback comes. `done` may be
 * NULL.
 */
GLYFE_API enum glyfe_error glyfe_submit(struct glyfe_publisher *publisher, const char *event,
                                        const char *data, const char *idempotency_key,
                                        glyfe_done_fn done, void *context);
/* Waits until every submitted event has had its answer or its time is over. */
GLYFE_API enum glyfe_error glyfe_flush(struct glyfe_publisher *publisher);
/* Submitted events without an answer yet. */
GLYFE_API size_t glyfe_pending(const struct glyfe_publisher *publisher);

#ifdef __cplusplus
}
#endif

#include <guesslyfe/events.h>

#endif

/*
 * A redis_link with a log of what happened to it, for tests: pump the loop until something holds.
 */
#ifndef SUPPORT_REDIS_PEER_H
#define SUPPORT_REDIS_PEER_H

#include <stdbool.h>

#include "loop/loop.h"
#include "redis/link.h"
#include "redis_server.h"

struct redis_peer {
    struct loop *loop;
    struct redis_link *link;
    struct redis_link_options options;
    unsigned ups, downs, pushes;
    enum err last_err; /* of the last on_down */
    char why[512];
    char push[256];                   /* the last push, its elements joined by spaces */
    char reply[512];                  /* the last answer's text */
    unsigned answers, errors, closed; /* callbacks: OK, error replies, CLOSED */
};

/* Options with short times for a server on loopback. */
struct redis_link_options redis_peer_options(const struct redis_server *server);
/* What redis_peer_open gives to the link, whose owner is the peer. */
extern const struct redis_link_ops redis_peer_ops;
void redis_peer_open(struct redis_peer *peer, const struct redis_link_options *options);
void redis_peer_close(struct redis_peer *peer);

/* Turns the loop until the condition holds; fails the test after 30 seconds. */
#define PUMP_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        uint64_t pump_limit = clock_monotonic_ms() + 30000;                                        \
        while (!(condition)) {                                                                     \
            if (clock_monotonic_ms() > pump_limit) {                                               \
                fail_msg("still not: %s", #condition);                                             \
            }                                                                                      \
            assert_int_equal(loop_turn((loop), 20), OK);                                           \
        }                                                                                          \
    } while (0)

/* Sends a command of words separated by single spaces and waits for its answer, in peer->reply. */
void redis_peer_ask(struct redis_peer *peer, const char *command);
/* Sends without waiting; the answer counts in peer->answers. */
enum err redis_peer_tell(struct redis_peer *peer, const char *command);
enum err redis_peer_send(struct redis_peer *peer, const struct str *args, size_t count);

#endif

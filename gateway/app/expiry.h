/*
 * The ends of tokens whose clients are connected: each is told a while before, and disconnected at
 * the end unless it has renewed its token meanwhile.
 *
 * What is due is due by the wall clock, as `exp` is, and that clock may be set: it is asked four
 * times a second while anybody waits, and nothing about it is remembered. So a jump is noticed at
 * once in either direction: nobody stays longer than a new client with the same token would be let
 * in. Members stand in a heap by what is due next to them: 8 to 12 bytes each in the heap, and 12
 * in the member, where a timer of the wheel takes 40 and knows no wall clock.
 */
#ifndef APP_EXPIRY_H
#define APP_EXPIRY_H

#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"

struct app_member;

struct app_expiry {
    struct loop *loop;
    int64_t leeway_ms;
    uint32_t warn_ms; /* TOKEN_EXPIRING; 0: nobody is told */
    struct app_member **heap;
    size_t count, capacity;
    struct wheel_timer timer;
    struct loop_task rest; /* when more is due than one turn should do */
    uint64_t expired;      /* members that were disconnected, since the start */
};

/* Both times are copied. */
void app_expiry_init(struct app_expiry *expiry, struct loop *loop, uint64_t leeway_s,
                     uint64_t warn_ms);
/* Nobody is watched any more. */
void app_expiry_fini(struct app_expiry *expiry);

/* From CONNECT on the member ends with its token; 0: never. NOMEM. */
MUST_CHECK enum err app_expiry_watch(struct app_expiry *expiry, struct app_member *member,
                                     int64_t expires_s);
/* `connected` was sent: from now on it may be told of the end, at once where that is near. */
void app_expiry_announce(struct app_expiry *expiry, struct app_member *member);
/*
 * The member has another token. It is told of that one's end when half of what is left has gone at
 * the earliest: clients that renew as soon as they are told would do so without end where the
 * issuer makes tokens for less than TOKEN_EXPIRING. NOMEM, and nothing has changed.
 */
MUST_CHECK enum err app_expiry_renew(struct app_expiry *expiry, struct app_member *member,
                                     int64_t expires_s);
/* The member goes. Idempotent. */
void app_expiry_forget(struct app_expiry *expiry, struct app_member *member);

#endif

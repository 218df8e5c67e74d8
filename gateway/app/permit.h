/*
 * What a client needs beside a good token before it is let in: revocations are known and do not
 * name it, and where MAX_CONNECTIONS_PER_USER bounds them, its user has not too many connections in
 * all gateways.
 *
 * Where neither has to be waited for, that is decided at once and costs nothing. The number of a
 * user's clients here is written to Redis whenever it changes, one request a user at a time. A
 * newcomer that would be one too many is asked for again, since the connection that it replaces,
 * or the gateway of that, may have died just now.
 */
#ifndef APP_PERMIT_H
#define APP_PERMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "util/attr.h"
#include "util/err.h"
#include "util/list.h"
#include "util/map.h"

struct app;
struct app_member;
struct app_permit;

struct app_permits {
    struct app *app;
    struct list unknown; /* permits that wait until revocations are known */
    struct list again;   /* those that were refused, and will be asked for again */
    struct loop_task admit;
    struct wheel_timer timer;
    bool untold;           /* there was no memory to tell Redis something: to be tried again */
    struct map users;      /* who has clients here, or permits; empty where there is no limit */
    uint64_t over_limit;   /* clients that were turned away, since the start */
    uint64_t beat_ms;      /* from one entry in the registry to the next */
    uint64_t entry_ttl_ms; /* how long it lasts */
    uint64_t most;         /* connections of one user; 0: any number */
};

void app_permits_init(struct app_permits *permits, struct app *app);
/* All members are gone. */
void app_permits_fini(struct app_permits *permits);
/* Revocations are known. */
void app_permits_known(struct app_permits *permits);
/* Another Redis than before may not have what was written last. */
void app_permits_renew(struct app_permits *permits);

/*
 * For a member that is not let in yet: app_let_in follows (app/admission.h), or it is turned away,
 * at once where nothing has to be waited for; or the session ends.
 */
void app_permit_ask(struct app_member *member);
/*
 * For a member that was let in by another gateway and has come from there: its place comes with it,
 * also where there was none to spare. NOMEM.
 */
MUST_CHECK enum err app_permit_adopt(struct app_member *member);
/* The member goes, or another has taken its place: what it had is given back. Idempotent. */
void app_permit_return(struct app_member *member);

#endif

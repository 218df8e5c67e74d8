/*
 * Whose tokens are not good any more: all revocations, read from Redis into memory, and asked for
 * every token before its client gets anything. After each reading all members are asked again.
 */
#ifndef APP_REVOCATIONS_H
#define APP_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/walk.h"
#include "bus/keys.h"
#include "bus/revocation.h"
#include "bus/store.h"
#include "log/log.h"
#include "loop/loop.h"
#include "util/err.h"
#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

struct app_member;
struct app_revocations;

/* Private. */
struct app_revocation_table {
    struct map by_user;
    struct list all;
    uint64_t everybody; /* tokens of all users that were issued before are refused; 0: none */
};

struct app_revocations_ops {
    /* The first reading is over. */
    void (*on_known)(void *owner);
    /* The member's token is not good any more; ends it. */
    void (*on_revoked)(void *owner, struct app_member *member);
};

struct app_revocations {
    struct loop *loop;
    struct bus_store *store;
    const struct bus_keys *keys;
    struct app_walks *walks;
    const struct app_revocations_ops *ops;
    void *owner;
    bool known;                                /* false until the first reading is over */
    uint64_t failed;                           /* readings that have failed, since the start */
    struct app_revocation_table table, coming; /* coming: while it is read */
    struct bus_request *request;               /* for a page */
    struct wheel_timer retry;
    struct app_walk check;
    struct list garbage; /* entries to be freed */
    struct loop_task sweep;
    struct log_limit log;
};

/* Borrows all for its lifetime. */
void app_revocations_init(struct app_revocations *revocations, struct loop *loop,
                          struct bus_store *store, const struct bus_keys *keys,
                          struct app_walks *walks, const struct app_revocations_ops *ops,
                          void *owner);
/* All members are gone. */
void app_revocations_fini(struct app_revocations *revocations);

/* Reads all; one that is under way begins again. */
void app_revocations_read(struct app_revocations *revocations);
/*
 * What was read of one user just now, or of BUS_EVERYBODY; 0: nothing is revoked. Members are not
 * asked. NOMEM.
 */
MUST_CHECK enum err app_revocations_note(struct app_revocations *revocations, struct str user,
                                         uint64_t before);

/* Whether this token is refused. */
bool app_revocations_refuse(const struct app_revocations *revocations, struct str sub,
                            struct str address, uint64_t issued_s);
/* The same for a member's; ends it then. */
bool app_revocations_apply(struct app_revocations *revocations, struct app_member *member);
/* Entries, everybody's among them. */
size_t app_revocations_count(const struct app_revocations *revocations);

#endif

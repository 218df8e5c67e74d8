/*
 * Whose tokens are not good any more: one hash in Redis, a field a user. An operator writes it,
 * gateways hold all of it in memory. See docs/fleet.md.
 */
#ifndef BUS_REVOCATION_H
#define BUS_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/keys.h"
#include "bus/store.h"
#include "schema/room.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* The field that stands for every user. */
#define BUS_EVERYBODY STR("*")
/* As `before`: tokens of any age. */
#define BUS_REVOKED_ALWAYS UINT64_MAX

/* A user: its `sub`, or its address in lower case. `before`: tokens issued before are refused. */
struct bus_revocation {
    struct str user;
    uint64_t before; /* seconds since 1970, or BUS_REVOKED_ALWAYS */
};

/* The field's canonical spelling: that of the user's room. INVALID: no user can be called that. */
MUST_CHECK enum err bus_revocation_user(struct str user, char ret_field[ROOM_ID_MAX + 1]);
/* Appends the value. NOMEM, LIMIT. */
MUST_CHECK enum err bus_revocation_write_value(uint64_t before, struct buf *out);
/* INVALID: neither seconds nor "-". */
MUST_CHECK enum err bus_revocation_parse_value(struct str value, uint64_t *ret_before);

/* As bus_store_ask, each. */

struct bus_request *bus_revocation_set(struct bus_store *store, const struct bus_keys *keys,
                                       const struct bus_revocation *revocation, bus_answer_fn done,
                                       void *context);
/* The answer is the number of fields that were there: 0 or 1. */
struct bus_request *bus_revocation_remove(struct bus_store *store, const struct bus_keys *keys,
                                          struct str user, bus_answer_fn done, void *context);
/* Asks for one user, or for BUS_EVERYBODY. */
struct bus_request *bus_revocation_ask(struct bus_store *store, const struct bus_keys *keys,
                                       struct str user, bus_answer_fn done, void *context);
/* What that brought. *ret_before is 0 where nothing is revoked. DENIED: Redis refused. INVALID. */
MUST_CHECK enum err bus_revocation_answer(const struct redisReply *reply, uint64_t *ret_before);

/* Asks for a page of all; the first is at "0", the others where the one before ended. */
struct bus_request *bus_revocation_ask_page(struct bus_store *store, const struct bus_keys *keys,
                                            struct str cursor, bus_answer_fn done, void *context);

struct bus_revocation_page {
    struct str next;                 /* where the next page is; "0": this was the last one */
    const struct redisReply *fields; /* private, as is `at` */
    size_t at;
};
/* Views into the answer. DENIED: Redis refused. */
MUST_CHECK enum err bus_revocation_page(const struct redisReply *reply,
                                        struct bus_revocation_page *ret_page);
/*
 * Takes the next one; one may come twice. ERR_CLOSED at the end. INVALID: somebody wrote what is
 * no revocation, of which only `user` is set; go on with the next.
 */
MUST_CHECK enum err bus_revocation_next(struct bus_revocation_page *page,
                                        struct bus_revocation *ret_revocation);

#endif

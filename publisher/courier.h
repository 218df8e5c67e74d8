/*
 * Events on their way to Redis. Each is kept until Redis has answered, its time is over or there is
 * no hope for it; then its owner is told, once.
 *
 * An event that was sent on a connection that broke may be stored or not. With an idempotency key
 * it is sent again, in its old place; without one its end is GLYFE_ERROR_UNKNOWN. One that waits
 * for replicas waits for them again then.
 */
#ifndef PUBLISHER_COURIER_H
#define PUBLISHER_COURIER_H

#include <guesslyfe/publisher.h>

#include "bus/publish.h"
#include "redis/link.h"
#include "schema/catalogue.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct courier;

/* Borrows the options for its lifetime. NULL without memory. */
struct courier *courier_new(const struct redis_link_options *redis,
                            const struct bus_publish_options *bus);
/* Whatever is under way ends now. NULL is fine. */
void courier_free(struct courier *courier);

/* What the courier carries. */
struct parcel_contents {
    struct catalogue_message message;
    struct buf payload; /* the courier takes it over */
    const char *key;    /* idempotency key, copied; NULL: none */
    uint64_t timeout_ms;
    unsigned wait_replicas; /* that are to have it; 0: the primary is enough */
    glyfe_done_fn done;     /* may be NULL; never called from within courier_take */
    void *context;
};

/*
 * A turn that does not wait, before courier_take: brings the connection's state and the clock up to
 * date, and sends what has gathered. Callbacks come from here.
 */
MUST_CHECK enum err courier_wake(struct courier *courier);
/* On NOMEM the payload stays the caller's and no callback comes. */
MUST_CHECK enum err courier_take(struct courier *courier, struct parcel_contents *contents);
/*
 * One turn of the loop: sends what can be sent, waits for answers. Callbacks come from here. IO:
 * the loop is broken; everything under way has ended.
 */
MUST_CHECK enum err courier_turn(struct courier *courier);
/* Parcels whose owners wait. */
size_t courier_count(const struct courier *courier);

#endif

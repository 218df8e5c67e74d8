/*
 * A parcel is one event on its way; here is its end, the one moment when its owner is told. The
 * inside of the courier: for parcel.c and courier.c only.
 */
#ifndef PUBLISHER_PARCEL_H
#define PUBLISHER_PARCEL_H

#include <guesslyfe/publisher.h>

#include "bus/publish.h"
#include "loop/loop.h"
#include "redis/link.h"
#include "schema/catalogue.h"
#include "util/buf.h"
#include "util/list.h"

enum { PARCEL_WHY_MAX = 576 };

enum parcel_state {
    PARCEL_WAITING, /* in courier->waiting */
    PARCEL_SENT,    /* in courier->sent; the bus holds it */
    PARCEL_DROPPED, /* its owner was told; the bus still holds it */
};

struct parcel {
    struct list node;
    struct courier *courier;
    uint64_t number; /* in the order of taking */
    enum parcel_state state;
    bool risked;                       /* was sent on a connection that broke: it may be stored */
    bool written;                      /* SENT: Redis has answered, replicas are waited for */
    unsigned wait_replicas, confirmed; /* how many are to have it, and have it so far */
    uint64_t until_ms;                 /* when the timer is due */
    struct wheel_timer timer;
    struct catalogue_message message;
    struct buf payload;
    char *key;
    glyfe_done_fn done;
    void *context;
};

struct courier {
    struct loop *loop;
    struct redis_link *link;
    struct bus_publisher *bus;
    struct list waiting, sent; /* by number */
    size_t count;              /* in waiting and sent */
    size_t waiting_count;
    uint64_t next_number;
    bool was_up;              /* a connection stood once: its loss is no wrong address */
    bool draining;            /* nothing is sent any more */
    char why[PARCEL_WHY_MAX]; /* the link is not up */
};

/* Removes it from wherever it is; tells nobody. */
void parcel_free(struct parcel *parcel);
/*
 * Each tells the owner; the parcel lives on where the bus holds it. `published` is NULL unless
 * error is GLYFE_OK.
 */
void parcel_finish(struct parcel *parcel, enum glyfe_error error,
                   const struct bus_published *published, const char *message);
/* Sent, and nobody knows. */
void parcel_finish_unknown(struct parcel *parcel, const char *what);
/* Written on this connection, but fewer replicas than wanted have it. */
void parcel_finish_unreplicated(struct parcel *parcel);
/* Not sent on this connection: nothing was written, unless an earlier one broke over it. */
void parcel_finish_unsent(struct parcel *parcel, enum glyfe_error error);
/* Its time is over: the timer's callback. */
void parcel_on_timer(struct wheel_timer *timer);

#endif

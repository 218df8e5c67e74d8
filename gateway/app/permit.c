#include "app/permit.h"

#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "app/app.h"
#include "bus/lease.h"
#include "bus/registry.h"

enum {
    ADMITTED_A_TURN = 200,
    SOON_MS = 250,      /* for a connection that was replaced to end */
    TRIES_AT_LEAST = 3, /* then one too many is one too many, if all gateways are alive */
    TRIES_AT_MOST = 10, /* after which a dead gateway's entry is gone */
    TICK_MS = 50,       /* permits are asked for again as late as that */
};

struct permit_user {
    struct map_node by_sub;
    struct app_permits *permits;
    struct list asking;          /* permits to be asked for, in the order of coming */
    uint32_t waiting;            /* those, and the ones to be asked for again */
    struct app_permit *asked;    /* whose question is under way; NULL: none, or it has gone */
    struct bus_request *request; /* a question, or a notice of `told` */
    uint32_t held;               /* clients here that were let in */
    uint32_t told;               /* what Redis knows of that */
    uint32_t asking_for;         /* in the question under way; 0: it is a notice */
    bool stale;                  /* Redis may know something else */
    bool busy;                   /* its answer is being worked on, and it may not go */
    unsigned char len;
    char sub[];
};

/* While a member waits for it. */
struct app_permit {
    struct list node; /* of unknown, again, or the user's asking */
    struct app_member *member;
    struct permit_user *user; /* NULL before it is known to have one */
    unsigned tries;
    uint64_t due_ms; /* in again */
};

static struct str key_of(const struct map_node *node)
{
    const struct permit_user *user = container_of(node, struct permit_user, by_sub);
    return str_range(user->sub, user->len);
}

/* --- Decided --- */

static void drop(struct app_member *member)
{
    struct app_permit *permit = member->transit->permit;
    list_remove(&permit->node);
    if (permit->user) {
        permit->user->waiting--;
    }
    free(permit);
    member->transit->permit = NULL;
    app_member_tidy(member);
}

static void grant(struct app_member *member)
{
    if (app_member_permit(member)) {
        drop(member);
    }
    member->permitted = true;
    app_let_in(member);
}

static void give_up(struct app_member *member)
{
    eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
}

/* --- What a user has --- */

static struct permit_user *user_of(struct app_permits *permits, struct str sub)
{
    struct map_node *node = map_find(&permits->users, sub);
    if (node) {
        return container_of(node, struct permit_user, by_sub);
    }
    struct permit_user *user = calloc(1, sizeof *user + sub.len);
    if (!user) {
        return NULL;
    }
    user->permits = permits;
    list_init(&user->asking);
    user->len = (unsigned char)sub.len;
    memcpy(user->sub, sub.ptr, sub.len);
    if (map_insert(&permits->users, &user->by_sub)) {
        free(user);
        return NULL;
    }
    return user;
}

static void on_leased(void *context, const struct redisReply *reply);

static void ask(struct permit_user *user, uint32_t count, uint64_t most)
{
    struct app *app = user->permits->app;
    const struct bus_lease lease = {
        .gateway = str_from(app->options->bus.gateway_id),
        .count = count,
        .most = most,
        .fresh_ms = user->permits->entry_ttl_ms - user->permits->beat_ms * 5 / 4,
    };
    user->request = bus_lease_ask(bus_subscriber_store(app->subscriber), &app->options->bus.keys,
                                  key_of(&user->by_sub), &lease, on_leased, user);
}

static void tick(struct app_permits *permits)
{
    if (!wheel_timer_is_set(&permits->timer)) {
        loop_timer_set(permits->app->loop, &permits->timer, TICK_MS);
    }
}

/*
 * The next question, or else a notice where Redis knows another number. A user of whom there is
 * nothing to tell is forgotten.
 */
static void step(struct permit_user *user)
{
    struct app_permits *permits = user->permits;
    if (user->request || user->busy) {
        return;
    }
    struct list *first = user->asking.next;
    if (first != &user->asking) {
        user->asked = list_entry(first, struct app_permit, node);
        user->asking_for = user->held + 1;
        ask(user, user->asking_for, permits->most);
        if (!user->request) {
            give_up(user->asked->member); /* which takes it from the list, later */
        }
    } else if (user->stale || user->told != user->held) {
        user->asking_for = 0;
        user->stale = false;
        user->told = user->held;
        ask(user, user->held, 0);
        if (!user->request) {
            user->stale = permits->untold = true;
            tick(permits);
        }
    } else if (user->held == 0 && user->waiting == 0) {
        map_remove(&permits->users, &user->by_sub);
        free(user);
    }
}

/* --- One too many --- */

static void refuse(struct app_permit *permit)
{
    struct app_member *member = permit->member;
    permit->user->permits->over_limit++;
    log_debug("too many connections", LOG_STR("user", app_member_sub(member)));
    app_dismiss(member, STR("{\"message\":\"Too many connections\"}"));
}

static uint64_t delay_ms(const struct app_permit *permit)
{
    uint64_t beat = permit->user->permits->beat_ms;
    return permit->tries == 1 ? SOON_MS : permit->tries == 2 ? beat * 5 / 4 : beat;
}

static void try_again(struct app_permit *permit, bool may_be_dead)
{
    struct app_permits *permits = permit->user->permits;
    permit->tries++;
    if (permit->tries >= TRIES_AT_MOST || (permit->tries >= TRIES_AT_LEAST && !may_be_dead)) {
        refuse(permit);
        return;
    }
    permit->due_ms = loop_now(permits->app->loop) + delay_ms(permit);
    list_remove(&permit->node);
    list_push_back(&permits->again, &permit->node);
    tick(permits);
}

/* Those of whom Redis may know something else. */
static void step_stale(struct app_permits *permits, bool all)
{
    struct map_node *next;
    for (struct map_node *node = map_next(&permits->users, NULL); node; node = next) {
        next = map_next(&permits->users, node);
        struct permit_user *user = container_of(node, struct permit_user, by_sub);
        user->stale |= all;
        if (user->stale) {
            step(user);
        }
    }
}

static void on_timer(struct wheel_timer *timer)
{
    struct app_permits *permits = container_of(timer, struct app_permits, timer);
    uint64_t now = loop_now(permits->app->loop);
    LIST_FOR_EACH (node, next, &permits->again) {
        struct app_permit *permit = list_entry(node, struct app_permit, node);
        if (permit->due_ms <= now) {
            list_remove(node);
            list_push_back(&permit->user->asking, node);
            step(permit->user);
        }
    }
    if (permits->untold) {
        permits->untold = false;
        step_stale(permits, false);
    }
    if (!list_empty(&permits->again)) {
        tick(permits);
    }
}

/* --- Answers --- */

static void on_question(struct permit_user *user, enum bus_leased leased)
{
    struct app_permit *permit = user->asked;
    user->asked = NULL;
    bool good = leased == BUS_LEASED || leased == BUS_LEASE_REFUSED; /* a limit is no lock */
    if (leased == BUS_LEASED) {
        user->told = user->asking_for;
    }
    if (permit && good) {
        user->held++;
        grant(permit->member);
    } else if (permit) {
        try_again(permit, leased == BUS_LEASE_TOO_MANY_YET);
    }
}

static void on_leased(void *context, const struct redisReply *reply)
{
    struct permit_user *user = context;
    user->request = NULL;
    if (user->asking_for > 0) {
        user->busy = true;
        on_question(user, bus_leased(reply));
        user->busy = false;
    }
    step(user);
}

/* --- Members --- */

static void ask_user(struct app_permit *permit)
{
    struct app_member *member = permit->member;
    permit->user = user_of(&member->app->permits, app_member_sub(member));
    if (!permit->user) {
        give_up(member);
        return;
    }
    permit->user->waiting++;
    list_push_back(&permit->user->asking, &permit->node);
    step(permit->user);
}

/* Revocations are known. True: nothing more was to wait for, or the member is gone. */
static bool decide(struct app_member *member)
{
    struct app *app = member->app;
    if (app_revocations_apply(&app->revocations, member)) {
        return true;
    }
    if (app->permits.most == 0) {
        grant(member);
        return true;
    }
    return false;
}

void app_permit_ask(struct app_member *member)
{
    struct app_permits *permits = &member->app->permits;
    bool known = member->app->revocations.known;
    if (known && decide(member)) {
        return;
    }
    struct app_permit *permit = app_member_need_transit(member) ? NULL : calloc(1, sizeof *permit);
    if (!permit) {
        give_up(member);
        return;
    }
    permit->member = member;
    list_init(&permit->node);
    member->transit->permit = permit;
    if (known) {
        ask_user(permit);
    } else {
        list_push_back(&permits->unknown, &permit->node);
    }
}

static void on_admit(struct loop_task *task)
{
    struct app_permits *permits = container_of(task, struct app_permits, admit);
    for (unsigned n = 0; n < ADMITTED_A_TURN; n++) {
        struct list *node = list_pop_front(&permits->unknown);
        if (!node) {
            return;
        }
        struct app_permit *permit = list_entry(node, struct app_permit, node);
        if (!decide(permit->member)) {
            ask_user(permit);
        }
    }
    loop_defer(permits->app->loop, task);
}

void app_permits_known(struct app_permits *permits)
{
    loop_defer(permits->app->loop, &permits->admit);
}

enum err app_permit_adopt(struct app_member *member)
{
    struct app_permits *permits = &member->app->permits;
    if (permits->most > 0) {
        struct permit_user *user = user_of(permits, app_member_sub(member));
        if (!user) {
            return ERR_NOMEM;
        }
        user->held++;
        step(user);
    }
    member->permitted = true;
    return OK;
}

void app_permit_return(struct app_member *member)
{
    struct app_permits *permits = &member->app->permits;
    struct permit_user *user = NULL;
    struct app_permit *permit = app_member_permit(member);
    if (permit) {
        user = permit->user;
        if (user && user->asked == permit) {
            user->asked = NULL;
        }
        drop(member);
    } else if (member->permitted && permits->most > 0) {
        user = user_of(permits, app_member_sub(member));
        user->held--;
        member->permitted = false;
    }
    if (user) {
        step(user);
    }
}

void app_permits_renew(struct app_permits *permits)
{
    step_stale(permits, true);
}

void app_permits_init(struct app_permits *permits, struct app *app)
{
    *permits = (struct app_permits){
        .app = app,
        .most = app->options->max_connections_per_user,
        .beat_ms = app->options->heartbeat_ms,
        .entry_ttl_ms = app->options->heartbeat_ms * BUS_BEATS_MISSED,
    };
    list_init(&permits->unknown);
    list_init(&permits->again);
    loop_task_init(&permits->admit, on_admit);
    wheel_timer_init(&permits->timer, on_timer);
    map_init(&permits->users, key_of);
}

/* What Redis was not told yet is known there by the gateway's end. */
void app_permits_fini(struct app_permits *permits)
{
    loop_task_cancel(&permits->admit);
    loop_timer_cancel(permits->app->loop, &permits->timer);
    struct map_node *next;
    for (struct map_node *node = map_next(&permits->users, NULL); node; node = next) {
        next = map_next(&permits->users, node);
        struct permit_user *user = container_of(node, struct permit_user, by_sub);
        bus_store_cancel(user->request);
        free(user);
    }
    map_fini(&permits->users);
}

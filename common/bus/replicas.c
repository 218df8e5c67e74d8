#include "bus/replicas.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "util/buf.h"
#include "util/clock.h"

enum {
    SHORTEST_MS = 50, /* one WAIT, the first time */
    LONGEST_MS = 1000,
    ANSWER_MS = 10, /* for its answer to reach us while there is time */
    DIGITS_MAX = 20,
};

struct bus_replicas {
    struct redis_link *link;
    bus_waited_fn waited;
    struct list waiters;
    uint64_t longest_ms;
    uint64_t round_ms; /* the next WAIT */
    unsigned asked;    /* of the last */
    bool in_flight;    /* the last of them has no answer yet */
    bool freed;        /* but for that answer, which comes in any case */
};

/* --- Sending --- */

/*
 * What one WAIT asks for everybody. With the smallest number it would return at once, again and
 * again, while the others still wait.
 */
static unsigned most_wanted(const struct bus_replicas *replicas)
{
    unsigned wanted = 0;
    LIST_FOR_EACH (node, following, &replicas->waiters) {
        const struct bus_waiter *waiter = list_entry(node, struct bus_waiter, node);
        wanted = waiter->wanted > wanted ? waiter->wanted : wanted;
    }
    return wanted;
}

/* Never 0, which for WAIT is forever. */
static uint64_t time_for_all(const struct bus_replicas *replicas)
{
    uint64_t soon = clock_monotonic_ms() + ANSWER_MS;
    uint64_t time = replicas->round_ms > 0 ? replicas->round_ms : 1;
    LIST_FOR_EACH (node, following, &replicas->waiters) {
        const struct bus_waiter *waiter = list_entry(node, struct bus_waiter, node);
        uint64_t left = waiter->until_ms > soon ? waiter->until_ms - soon : 1;
        time = left < time ? left : time;
    }
    return time;
}

/*
 * A short WAIT holds up little where a replica hangs. But with some servers each of a row speaks of
 * more than the one before, of what others wrote meanwhile: a replica that lags or is far away
 * needs a WAIT that is longer than its lag.
 */
static void choose_next_round(struct bus_replicas *replicas, bool enough)
{
    uint64_t next = enough ? SHORTEST_MS : replicas->round_ms * 2;
    replicas->round_ms = next < replicas->longest_ms ? next : replicas->longest_ms;
}

static void on_reply(void *context, enum err err, const struct redisReply *reply);

static enum err send_wait(struct bus_replicas *replicas)
{
    char digits[2][DIGITS_MAX];
    struct buf wanted = {.data = digits[0], .cap = DIGITS_MAX, .limit = DIGITS_MAX};
    struct buf ms = {.data = digits[1], .cap = DIGITS_MAX, .limit = DIGITS_MAX};
    replicas->asked = most_wanted(replicas);
    enum err err = buf_append_u64(&wanted, replicas->asked);
    if (!err) {
        err = buf_append_u64(&ms, time_for_all(replicas));
    }
    if (!err) {
        struct str args[] = {STR("WAIT"), buf_str(&wanted), buf_str(&ms)};
        err = redis_link_send(replicas->link, args, ARRAY_LEN(args), on_reply, replicas);
    }
    if (!err) {
        replicas->in_flight = true;
    }
    return err;
}

/* --- Answers --- */

static struct str text_of(const redisReply *reply)
{
    return (struct str){reply->str, reply->len};
}

/*
 * UNBLOCKED comes where the primary became a replica under the WAIT, before it closes the
 * connection: whether the new primary has the writes is as unknown as after any other loss.
 */
static enum err judge_reply(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return str_starts(text_of(reply), STR("UNBLOCKED")) ? ERR_CLOSED : ERR_DENIED;
    }
    return reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 ? OK : ERR_PROTO;
}

/*
 * Of a WAIT that covers it and was answered. A later one may have been too short for a replica that
 * had confirmed before.
 */
static enum err judge(struct bus_waiter *waiter, unsigned confirmed)
{
    waiter->confirmed = confirmed > waiter->confirmed ? confirmed : waiter->confirmed;
    if (waiter->confirmed >= waiter->wanted) {
        return OK;
    }
    return clock_monotonic_ms() + ANSWER_MS >= waiter->until_ms ? ERR_TIMEOUT : ERR_AGAIN;
}

/* One that is told its last word has left before. */
static void tell(struct bus_replicas *replicas, struct bus_waiter *waiter, enum err err,
                 struct str refusal)
{
    if (err != ERR_AGAIN) {
        bus_replicas_leave(waiter);
    }
    replicas->waited(waiter, err, refusal);
}

/*
 * Answers come in the order of sending: whose writes are answered by now has sent them before the
 * WAIT, which covers them. The others wait for the next one.
 */
static void tell_written(struct bus_replicas *replicas, enum err err, unsigned confirmed,
                         struct str refusal)
{
    LIST_FOR_EACH (node, following, &replicas->waiters) {
        struct bus_waiter *waiter = list_entry(node, struct bus_waiter, node);
        if (waiter->written) {
            tell(replicas, waiter, err ? err : judge(waiter, confirmed), refusal);
        }
        if (replicas->freed) {
            return; /* and `following` with all the others is somebody else's */
        }
    }
}

static void take_reply(struct bus_replicas *replicas, const redisReply *reply)
{
    enum err err = judge_reply(reply);
    unsigned confirmed = err ? 0 : (unsigned)reply->integer;
    struct str refusal = err == ERR_DENIED ? text_of(reply) : STR("");
    choose_next_round(replicas, confirmed >= replicas->asked);
    tell_written(replicas, err, confirmed, refusal);
}

/* The next WAIT, for those who still wait; false where none went. */
static bool go_on(struct bus_replicas *replicas)
{
    if (list_empty(&replicas->waiters)) {
        return false;
    }
    enum err err = send_wait(replicas);
    if (err) {
        tell_written(replicas, err, 0, STR(""));
    }
    return err == OK;
}

static void on_reply(void *context, enum err err, const struct redisReply *reply)
{
    struct bus_replicas *replicas = context;
    if (!replicas->freed && err) {
        choose_next_round(replicas, true);
        tell_written(replicas, err, 0, STR(""));
    } else if (!replicas->freed) {
        take_reply(replicas, reply);
    }
    bool sent = !replicas->freed && !err && go_on(replicas);
    /* Until here in_flight has kept the replicas, whoever freed them. */
    if (replicas->freed) {
        free(replicas);
    } else {
        replicas->in_flight = sent;
    }
}

/* --- Waiters --- */

void bus_replicas_join(struct bus_replicas *replicas, struct bus_waiter *waiter)
{
    waiter->written = false;
    waiter->confirmed = 0;
    list_push_back(&replicas->waiters, &waiter->node);
}

void bus_replicas_ask(struct bus_replicas *replicas)
{
    if (!replicas->in_flight && !list_empty(&replicas->waiters)) {
        /* Without memory for it bus_replicas_written tries again. */
        enum err err = send_wait(replicas);
        (void)err;
    }
}

enum err bus_replicas_written(struct bus_replicas *replicas, struct bus_waiter *waiter)
{
    enum err err = replicas->in_flight ? OK : send_wait(replicas);
    if (err) {
        bus_replicas_leave(waiter);
    } else {
        waiter->written = true;
    }
    return err;
}

void bus_replicas_leave(struct bus_waiter *waiter)
{
    list_remove(&waiter->node);
}

/* --- Birth and death --- */

struct bus_replicas *bus_replicas_new(struct redis_link *link, uint64_t longest_ms,
                                      bus_waited_fn waited)
{
    struct bus_replicas *replicas = calloc(1, sizeof *replicas);
    if (replicas) {
        replicas->link = link;
        replicas->longest_ms = longest_ms < LONGEST_MS ? longest_ms : LONGEST_MS;
        replicas->waited = waited;
        choose_next_round(replicas, true);
        list_init(&replicas->waiters);
    }
    return replicas;
}

void bus_replicas_free(struct bus_replicas *replicas)
{
    if (!replicas) {
        return;
    }
    while (list_pop_front(&replicas->waiters)) {
    }
    replicas->freed = true;
    if (!replicas->in_flight) {
        free(replicas);
    }
}

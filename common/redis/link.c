#include "redis/link.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/link_private.h"
#include "redis/push.h"
#include "stream/tls.h"
#include "util/rand.h"

enum { CHECK_MAX_MS = 1000 }; /* between two looks at the silence of a link that is up */

/* --- Going down --- */

static void release(struct redis_link *link)
{
    redis_topology_cancel(&link->topology);
    redis_dial_cancel(&link->dial);
    if (link->phase >= LINK_HANDSHAKE && link->phase <= LINK_UP) {
        event_del(&link->readable);
        event_del(&link->writable);
        stream_close(&link->stream);
    }
    loop_task_cancel(&link->flush);
    loop_task_cancel(&link->read_more);
    loop_timer_cancel(link->loop, &link->timer);
    redis_outbox_fini(&link->outbox);
}

/* A callback may free the link, which then has called the rest of them itself. */
static void close_pending(struct redis_link *link)
{
    for (struct redis_waiter waiter; redis_pending_pop(&link->pending, &waiter);) {
        if (waiter.reply) {
            waiter.reply(waiter.context, ERR_CLOSED, NULL);
        }
    }
}

void link_schedule_retry(struct redis_link *link)
{
    if (!link->options->reconnect) {
        return;
    }
    uint64_t least = link->backoff_ms / 2;
    loop_timer_set(link->loop, &link->timer, least + rand_below(link->backoff_ms - least + 1));
    uint64_t next = link->backoff_ms * 2;
    link->backoff_ms = next < link->options->backoff_max_ms ? next : link->options->backoff_max_ms;
}

/* Where the address is not a setting, the words must name it. */
static void name_address(struct redis_link *link)
{
    char name[REDIS_ENDPOINT_TEXT_MAX], words[LINK_WHY_MAX];
    redis_endpoint_print(&link->topology.primary, name);
    if (!strstr(link->why, name)) {
        snprintf(words, sizeof words, "%s: %.*s", name, LINK_WHY_MAX - (int)sizeof name - 3,
                 link->why);
        snprintf(link->why, sizeof link->why, "%s", words);
    }
}

/*
 * A server that Sentinel named and that cannot be used may be one that a failover is just
 * replacing. The sentinel may be behind the times: the next attempt begins with another one.
 */
static enum err judge_attempt(struct redis_link *link, enum err err)
{
    redis_topology_distrust(&link->topology);
    redis_topology_watch(&link->topology);
    return err == ERR_IO || err == ERR_CLOSED || err == ERR_TIMEOUT ? ERR_AGAIN : err;
}

static enum err judge_end(struct redis_link *link, enum err err)
{
    bool moves = redis_topology_moves(&link->topology);
    if (link->phase < LINK_DIALING || !(moves || link->options->to_sentinel)) {
        return err;
    }
    name_address(link);
    return moves && link->phase < LINK_UP ? judge_attempt(link, err) : err;
}

void link_go_down(struct redis_link *link, enum err err)
{
    err = judge_end(link, err);
    release(link);
    link->phase = LINK_DOWN;
    close_pending(link);
    if (link->phase == LINK_FREED) {
        return;
    }
    if (!wheel_timer_is_set(&link->timer)) {
        link_schedule_retry(link);
    }
    link->ops->on_down(link->owner, err, link->why);
}

void link_fail(struct redis_link *link, enum err err, const char *why)
{
    if (why != link->why) {
        snprintf(link->why, sizeof link->why, "%s", why);
    }
    link_go_down(link, err);
}

void link_fail_tls(struct redis_link *link, enum err err)
{
    snprintf(link->why, sizeof link->why, "TLS: %s", stream_tls_why(&link->stream));
    link_go_down(link, err);
}

/* What ended a read or a write. */
void link_fail_stream(struct redis_link *link, enum err err)
{
    if (err == ERR_IO && errno == EPROTO && link->options->tls) {
        link_fail_tls(link, err);
        return;
    }
    link_fail(link, err, err == ERR_CLOSED ? "Redis closed the connection" : strerror(errno));
}

/* --- Time --- */

void link_schedule_check(struct redis_link *link)
{
    uint64_t every = link->options->reply_timeout_ms / 4;
    loop_timer_set(link->loop, &link->timer, every < CHECK_MAX_MS ? every : CHECK_MAX_MS);
}

static void on_pong(void *context, enum err err, const redisReply *reply)
{
    (void)context; /* that something came is all we wanted */
    (void)err;
    (void)reply;
}

static bool silent_for(const struct redis_link *link, uint64_t since_ms, uint64_t limit_ms)
{
    uint64_t last = since_ms > link->heard_ms ? since_ms : link->heard_ms;
    return loop_now(link->loop) >= last + limit_ms;
}

static bool reply_overdue(const struct redis_link *link)
{
    return link->phase == LINK_UP && link->awaiting && !link->paused &&
           silent_for(link, link->waiting_ms, link->options->reply_timeout_ms);
}

static void check_silence(struct redis_link *link)
{
    uint64_t limit = link->options->reply_timeout_ms;
    if (reply_overdue(link)) {
        /* We may be the late ones: a program that lends its thread can be away for long. */
        link_read_all(link);
    }
    if (reply_overdue(link)) {
        snprintf(link->why, sizeof link->why, "no answer from Redis for %llu ms",
                 (unsigned long long)limit);
        link_go_down(link, ERR_TIMEOUT);
        return;
    }
    if (link->phase != LINK_UP) {
        return;
    }
    link->backoff_ms = link->options->backoff_min_ms;
    link_schedule_check(link);
    redis_topology_watch(&link->topology); /* not before: most commands of a shell end sooner */
    if (!link->awaiting && !link->paused && silent_for(link, 0, limit / 2)) {
        struct str ping = STR("PING");
        /* Without memory for it the next look tries again. */
        enum err err = link_enqueue(link, &ping, 1, on_pong, link, true);
        (void)err;
    }
}

static void on_timer(struct wheel_timer *timer)
{
    struct redis_link *link = container_of(timer, struct redis_link, timer);
    if (link->phase == LINK_DOWN) {
        link_attempt(link);
    } else if (link->phase == LINK_UP) {
        check_silence(link);
    } else {
        link_time_out(link);
    }
}

/* --- Birth and death --- */

struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_options *options,
                                  const struct redis_link_ops *ops, void *owner)
{
    struct redis_link *link = malloc(sizeof *link);
    if (!link) {
        return NULL;
    }
    memset(link, 0, offsetof(struct redis_link, bytes));
    link->loop = loop;
    link->options = options;
    link->ops = ops;
    link->owner = owner;
    link->backoff_ms = options->backoff_min_ms;
    link_io_init(link);
    link_open_init(link);
    wheel_timer_init(&link->timer, on_timer);
    loop_timer_set(loop, &link->timer, 0);
    return link;
}

static void reap(struct loop_reap *entry)
{
    struct redis_link *link = container_of(entry, struct redis_link, reap);
    redis_replies_fini(&link->replies);
    redis_pending_fini(&link->pending);
    free(link);
}

void redis_link_free(struct redis_link *link)
{
    if (!link || link->phase == LINK_FREED) {
        return;
    }
    release(link);
    redis_topology_fini(&link->topology);
    link->phase = LINK_FREED;
    close_pending(link);
    loop_reap(link->loop, &link->reap, reap);
}

enum redis_link_state redis_link_state(const struct redis_link *link)
{
    if (link->phase == LINK_UP) {
        return REDIS_LINK_UP;
    }
    return link->phase == LINK_DOWN || link->phase == LINK_FREED ? REDIS_LINK_DOWN
                                                                 : REDIS_LINK_CONNECTING;
}

uint64_t redis_link_epoch(const struct redis_link *link)
{
    return link->epoch;
}

void redis_link_retry_now(struct redis_link *link)
{
    if (link->phase == LINK_DOWN) {
        loop_timer_set(link->loop, &link->timer, 0);
    }
}

void redis_link_renew(struct redis_link *link, const char *why)
{
    if (link->phase != LINK_DOWN && link->phase != LINK_FREED) {
        link_fail(link, ERR_CLOSED, why);
    }
}

enum err redis_link_send(struct redis_link *link, const struct str *args, size_t count,
                         redis_reply_fn reply, void *context)
{
    if (link->phase != LINK_UP) {
        return ERR_CLOSED;
    }
    bool subscribes = redis_push_command(args[0]);
    enum err err = link_enqueue(link, args, count, reply, context, !subscribes);
    if (!err && subscribes) {
        link->pushes = true;
    }
    return err;
}

size_t redis_link_pending(const struct redis_link *link)
{
    return link->pending.count;
}

size_t redis_link_queued_bytes(const struct redis_link *link)
{
    return redis_outbox_len(&link->outbox);
}

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "redis/link_private.h"
#include "redis/push.h"

enum { READ_TURN_MAX = 256 * 1024 }; /* all reads of one turn; the rest waits for the next */

/* --- Writing --- */

static void note_waiting(struct redis_link *link)
{
    if (!link->awaiting && link->pending.count > 0) {
        link->awaiting = true;
        link->waiting_ms = loop_now(link->loop);
    }
}

void link_watch_writable(struct redis_link *link)
{
    link->full = link->stream.wants_write;
    if (link->full && event_add(&link->writable, NULL) != 0) {
        link_fail(link, ERR_NOMEM, "no memory to watch the socket");
    }
}

/* Queues in any phase that has a stream. Reserve first: a command is never without its waiter. */
enum err link_enqueue(struct redis_link *link, const struct str *args, size_t count,
                      redis_reply_fn reply, void *context, bool answered)
{
    enum err err = answered ? redis_pending_reserve(&link->pending) : OK;
    if (!err) {
        err = redis_outbox_add(&link->outbox, args, count);
    }
    if (err) {
        return err;
    }
    if (answered) {
        redis_pending_push(&link->pending, reply, context);
    }
    loop_defer(link->loop, &link->flush);
    return OK;
}

/* --- Reading --- */

static void deliver_answer(struct redis_link *link, const redisReply *reply)
{
    struct redis_waiter waiter;
    if (!redis_pending_pop(&link->pending, &waiter)) {
        link_fail(link, ERR_PROTO, "Redis answered what was not asked");
        return;
    }
    link->awaiting = link->pending.count > 0;
    link->waiting_ms = link->heard_ms;
    if (waiter.reply) {
        waiter.reply(waiter.context, OK, reply);
    }
}

/* A callback may have ended the connection, or the link; it never begins another one by itself. */
static bool open_for_replies(const struct redis_link *link)
{
    return link->phase == LINK_HELLO || link->phase == LINK_UP;
}

static bool take_reply(void *context, const redisReply *reply)
{
    struct redis_link *link = context;
    if (link->pushes && redis_push_is(reply)) {
        if (link->ops->on_push) {
            link->ops->on_push(link->owner, reply);
        }
    } else if (link->pushes && reply->type == REDIS_REPLY_ERROR) {
        /* SUBSCRIBE has no waiter: without its channels the connection is of no use. */
        snprintf(link->why, sizeof link->why, "subscription refused: %s", reply->str);
        link_go_down(link, ERR_DENIED);
    } else {
        deliver_answer(link, reply);
    }
    return open_for_replies(link);
}

/* Whether to read on. */
static bool read_once(struct redis_link *link, size_t *total)
{
    size_t n = 0;
    enum err err = stream_recv(&link->stream, link->bytes, sizeof link->bytes, &n);
    if (err == ERR_AGAIN) {
        if (link->stream.wants_write) {
            link_watch_writable(link);
        }
        return false;
    }
    if (err) {
        link_fail_stream(link, err);
        return false;
    }
    *total += n;
    link->heard_ms = loop_now(link->loop);
    const char *why = "";
    err = redis_replies_feed(&link->replies, (struct str){link->bytes, n}, take_reply, link, &why);
    if (err && open_for_replies(link)) {
        snprintf(link->why, sizeof link->why, "not a Redis we understand: %s", why);
        link_go_down(link, err);
    }
    return open_for_replies(link) && !link->paused && !link->stream.drained;
}

void link_read_all(struct redis_link *link)
{
    if (link->paused) {
        return;
    }
    size_t total = 0;
    bool more = true;
    while (more && total < READ_TURN_MAX) {
        more = read_once(link, &total);
    }
    if (more) {
        loop_defer(link->loop, &link->read_more);
    }
    if (link->ops->on_rest && open_for_replies(link)) {
        link->ops->on_rest(link->owner);
    }
}

/* A server that refuses us says why before it closes: "max number of clients", a TLS alert. */
static void fail_writing(struct redis_link *link, enum err err)
{
    int error = errno;
    link_read_all(link);
    if (open_for_replies(link)) {
        errno = error;
        link_fail_stream(link, err);
    }
}

static void flush(struct redis_link *link)
{
    note_waiting(link);
    if (link->full) {
        return;
    }
    enum err err = redis_outbox_flush(&link->outbox, &link->stream);
    if (err == ERR_AGAIN) {
        link_watch_writable(link);
    } else if (err) {
        fail_writing(link, err);
    }
}

static void on_flush(struct loop_task *task)
{
    flush(container_of(task, struct redis_link, flush));
}

static void on_read_more(struct loop_task *task)
{
    link_read_all(container_of(task, struct redis_link, read_more));
}

/* --- Pausing --- */

void redis_link_pause(struct redis_link *link)
{
    if (link->phase == LINK_UP && !link->paused) {
        link->paused = true;
        event_del(&link->readable);
        loop_task_cancel(&link->read_more);
    }
}

void redis_link_resume(struct redis_link *link)
{
    if (!link->paused) {
        return;
    }
    link->paused = false;
    if (link->phase != LINK_UP) {
        return;
    }
    link->heard_ms = loop_now(link->loop); /* an answer may have come, we did not look */
    if (event_add(&link->readable, NULL) != 0) {
        link_fail(link, ERR_NOMEM, "no memory to watch the socket");
        return;
    }
    loop_defer(link->loop, &link->read_more); /* TLS may hold what the descriptor shows no more */
}

/* --- The descriptor --- */

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct redis_link *link = context;
    (void)fd;
    (void)what;
    if (link->phase == LINK_HANDSHAKE) {
        link_go_on_with_handshake(link);
        return;
    }
    link_read_all(link);
    /* TLS may have waited for these bytes in order to write. */
    if (open_for_replies(link) && redis_outbox_len(&link->outbox) > 0) {
        loop_defer(link->loop, &link->flush);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct redis_link *link = context;
    (void)fd;
    (void)what;
    link->full = false;
    if (link->phase == LINK_HANDSHAKE) {
        link_go_on_with_handshake(link);
    } else {
        flush(link);
    }
}

void link_io_init(struct redis_link *link)
{
    link->stream.fd = -1;
    redis_outbox_init(&link->outbox);
    loop_task_init(&link->flush, on_flush);
    loop_task_init(&link->read_more, on_read_more);
}

enum err link_io_start(struct redis_link *link)
{
    struct event_base *base = loop_base(link->loop);
    int fd = link->stream.fd;
    event_assign(&link->readable, base, fd, EV_READ | EV_PERSIST, on_readable, link);
    event_assign(&link->writable, base, fd, EV_WRITE, on_writable, link);
    return event_add(&link->readable, NULL) == 0 ? OK : ERR_NOMEM;
}

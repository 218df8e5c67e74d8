#include "redis/link.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/dial.h"
#include "redis/hello.h"
#include "redis/outbox.h"
#include "redis/pending.h"
#include "redis/push.h"
#include "redis/replies.h"
#include "stream/stream.h"
#include "stream/tls.h"
#include "util/clock.h"
#include "util/rand.h"

enum {
    READ_CAP = 64 * 1024,       /* one read */
    READ_TURN_MAX = 256 * 1024, /* all reads of one turn; the rest waits for the next */
    CHECK_MAX_MS = 1000,        /* between two looks at the silence of a link that is up */
    WHY_MAX = 256,
};

enum phase {
    PHASE_DOWN,      /* nothing stands; the timer, if set, starts the next attempt */
    PHASE_DIALING,   /* name look-up and TCP */
    PHASE_HANDSHAKE, /* TLS */
    PHASE_HELLO,     /* AUTH and so on are under way */
    PHASE_UP,
    PHASE_FREED, /* the owner is gone; the memory goes at the end of the turn */
};

struct redis_link {
    struct loop *loop;
    const struct redis_link_options *options;
    const struct redis_link_ops *ops;
    void *owner;
    enum phase phase;
    struct redis_dial dial;
    struct stream stream;
    struct event readable, writable; /* of the stream, from HANDSHAKE on */
    bool full;                       /* the socket takes no more until it is writable */
    struct redis_replies replies;
    struct redis_outbox outbox;
    struct redis_pending pending;
    struct loop_task flush;     /* what this turn queued */
    struct loop_task read_more; /* what the bound of the last turn left */
    struct wheel_timer
        timer; /* DOWN: next attempt. Until UP: time limit. UP: look at the silence */
    enum redis_hello_step hello; /* HELLO: the step whose answer is due */
    bool pushes;                 /* SUBSCRIBE was sent */
    bool awaiting;               /* an answer is due since waiting_ms */
    uint64_t waiting_ms;
    uint64_t heard_ms;   /* when the last byte came */
    uint64_t backoff_ms; /* the next, before jitter */
    uint64_t epoch;
    char why[WHY_MAX];
    struct loop_reap reap;
    char bytes[READ_CAP];
};

/* loop_now() is as old as the turn's wait. */
static uint64_t now(void)
{
    return clock_monotonic_ms();
}

/* --- Going down --- */

static void release(struct redis_link *link)
{
    redis_dial_cancel(&link->dial);
    if (link->phase >= PHASE_HANDSHAKE && link->phase <= PHASE_UP) {
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

static void schedule_retry(struct redis_link *link)
{
    if (!link->options->reconnect) {
        return;
    }
    uint64_t least = link->backoff_ms / 2;
    loop_timer_set(link->loop, &link->timer, least + rand_below(link->backoff_ms - least + 1));
    uint64_t next = link->backoff_ms * 2;
    link->backoff_ms = next < link->options->backoff_max_ms ? next : link->options->backoff_max_ms;
}

static void go_down(struct redis_link *link, enum err err)
{
    release(link);
    link->phase = PHASE_DOWN;
    close_pending(link);
    if (link->phase == PHASE_FREED) {
        return;
    }
    if (!wheel_timer_is_set(&link->timer)) {
        schedule_retry(link);
    }
    link->ops->on_down(link->owner, err, link->why);
}

static void fail(struct redis_link *link, enum err err, const char *why)
{
    if (why != link->why) {
        snprintf(link->why, sizeof link->why, "%s", why);
    }
    go_down(link, err);
}

static void fail_tls(struct redis_link *link, enum err err)
{
    snprintf(link->why, sizeof link->why, "TLS: %s", stream_tls_why(&link->stream));
    go_down(link, err);
}

/* What ended a read or a write. */
static void fail_stream(struct redis_link *link, enum err err)
{
    if (err == ERR_IO && errno == EPROTO && link->options->tls) {
        fail_tls(link, err);
        return;
    }
    fail(link, err, err == ERR_CLOSED ? "Redis closed the connection" : strerror(errno));
}

/* --- Writing --- */

static void note_waiting(struct redis_link *link)
{
    if (!link->awaiting && link->pending.count > 0) {
        link->awaiting = true;
        link->waiting_ms = now();
    }
}

static void watch_writable(struct redis_link *link)
{
    link->full = link->stream.wants_write;
    if (link->full && event_add(&link->writable, NULL) != 0) {
        fail(link, ERR_NOMEM, "no memory to watch the socket");
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
        watch_writable(link);
    } else if (err) {
        fail_stream(link, err);
    }
}

static void on_flush(struct loop_task *task)
{
    flush(container_of(task, struct redis_link, flush));
}

/* Queues in any phase that has a stream. Reserve first: a command is never without its waiter. */
static enum err enqueue(struct redis_link *link, const struct str *args, size_t count,
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
        fail(link, ERR_PROTO, "Redis answered what was not asked");
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
    return link->phase == PHASE_HELLO || link->phase == PHASE_UP;
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
        go_down(link, ERR_DENIED);
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
            watch_writable(link);
        }
        return false;
    }
    if (err) {
        fail_stream(link, err);
        return false;
    }
    *total += n;
    link->heard_ms = now();
    const char *why = "";
    err = redis_replies_feed(&link->replies, (struct str){link->bytes, n}, take_reply, link, &why);
    if (err && open_for_replies(link)) {
        snprintf(link->why, sizeof link->why, "not a Redis we understand: %s", why);
        go_down(link, err);
    }
    return open_for_replies(link);
}

static void read_all(struct redis_link *link)
{
    for (size_t total = 0; total < READ_TURN_MAX;) {
        if (!read_once(link, &total)) {
            return;
        }
    }
    loop_defer(link->loop, &link->read_more);
}

static void on_read_more(struct loop_task *task)
{
    read_all(container_of(task, struct redis_link, read_more));
}

/* --- Coming up --- */

static void schedule_check(struct redis_link *link)
{
    uint64_t every = link->options->reply_timeout_ms / 4;
    loop_timer_set(link->loop, &link->timer, every < CHECK_MAX_MS ? every : CHECK_MAX_MS);
}

static void come_up(struct redis_link *link)
{
    link->phase = PHASE_UP;
    link->epoch++;
    schedule_check(link);
    link->ops->on_up(link->owner);
}

static void on_hello(void *context, enum err err, const redisReply *reply)
{
    struct redis_link *link = context;
    if (err) {
        return;
    }
    struct redis_hello_command command;
    do {
        redis_hello_command(link->hello, link->options, &command);
        link->hello++;
    } while (command.count == 0);
    err = redis_hello_judge(link->hello - 1, reply, link->why, sizeof link->why);
    if (err) {
        go_down(link, err);
    } else if (link->hello == REDIS_HELLO_STEPS) {
        come_up(link);
    }
}

static void say_hello(struct redis_link *link)
{
    link->phase = PHASE_HELLO;
    link->hello = 0;
    for (enum redis_hello_step step = 0; step < REDIS_HELLO_STEPS; step++) {
        struct redis_hello_command command;
        redis_hello_command(step, link->options, &command);
        if (command.count == 0) {
            continue;
        }
        enum err err = enqueue(link, command.args, command.count, on_hello, link, true);
        if (err) {
            fail(link, err, err_name(err));
            return;
        }
    }
}

static void go_on_with_handshake(struct redis_link *link)
{
    enum err err = stream_handshake(&link->stream);
    if (err == ERR_AGAIN) {
        watch_writable(link);
    } else if (err == ERR_IO) {
        fail_stream(link, err);
    } else if (err) {
        fail_tls(link, err);
    } else {
        say_hello(link);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct redis_link *link = context;
    (void)fd;
    (void)what;
    if (link->phase == PHASE_HANDSHAKE) {
        go_on_with_handshake(link);
        return;
    }
    read_all(link);
    if (link->phase == PHASE_UP && redis_outbox_len(&link->outbox) > 0) {
        loop_defer(link->loop,
                   &link->flush); /* TLS may have waited for these bytes in order to write */
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct redis_link *link = context;
    (void)fd;
    (void)what;
    link->full = false;
    if (link->phase == PHASE_HANDSHAKE) {
        go_on_with_handshake(link);
    } else {
        flush(link);
    }
}

static enum err open_tls(struct redis_link *link, int fd, struct buf *complaint)
{
    const struct redis_link_options *options = link->options;
    struct tls_options files = {options->tls_ca, options->tls_cert, options->tls_key, false};
    struct tls_context *context = NULL;
    /* Made anew for each connection, so that renewed certificates are read. */
    enum err err = tls_context_new(&files, &context, complaint);
    if (err) {
        evutil_closesocket(fd);
        return err;
    }
    const char *name = options->tls_server_name ? options->tls_server_name : options->host;
    err = stream_init_tls_client(&link->stream, fd, context, name);
    tls_context_unref(context);
    return err;
}

static bool open_stream(struct redis_link *link, int fd)
{
    if (!link->options->tls) {
        stream_init_plain(&link->stream, fd);
        return true;
    }
    struct buf complaint;
    buf_init(&complaint, WHY_MAX - 1);
    enum err err = open_tls(link, fd, &complaint);
    if (err) {
        snprintf(link->why, sizeof link->why, STR_FMT, STR_ARG(buf_str(&complaint)));
        fail(link, err, complaint.len > 0 ? link->why : "TLS: cannot start");
    }
    buf_fini(&complaint);
    return !err;
}

static void on_dialed(void *context, int fd, const char *why)
{
    struct redis_link *link = context;
    if (fd < 0) {
        snprintf(link->why, sizeof link->why, "connect to %.120s:%u: %.100s", link->options->host,
                 (unsigned)link->options->port, why);
        go_down(link, ERR_IO);
        return;
    }
    if (!open_stream(link, fd)) {
        return;
    }
    struct event_base *base = loop_base(link->loop);
    event_assign(&link->readable, base, fd, EV_READ | EV_PERSIST, on_readable, link);
    event_assign(&link->writable, base, fd, EV_WRITE, on_writable, link);
    link->phase = PHASE_HANDSHAKE;
    if (event_add(&link->readable, NULL) != 0) {
        fail(link, ERR_NOMEM, "no memory to watch the socket");
        return;
    }
    go_on_with_handshake(link);
}

static void attempt(struct redis_link *link)
{
    link->phase = PHASE_DIALING;
    link->full = link->pushes = link->awaiting = false;
    link->heard_ms = now();
    redis_replies_fini(&link->replies);
    redis_outbox_init(&link->outbox);
    enum err err = redis_replies_init(&link->replies);
    if (err) {
        fail(link, err, err_name(err));
        return;
    }
    loop_timer_set(link->loop, &link->timer, link->options->connect_timeout_ms);
    redis_dial_start(&link->dial, link->options->host, link->options->port,
                     link->options->connect_timeout_ms);
}

/* --- Time --- */

static void on_pong(void *context, enum err err, const redisReply *reply)
{
    (void)context; /* that something came is all we wanted */
    (void)err;
    (void)reply;
}

static bool silent_for(const struct redis_link *link, uint64_t since_ms, uint64_t limit_ms)
{
    uint64_t last = since_ms > link->heard_ms ? since_ms : link->heard_ms;
    return now() >= last + limit_ms;
}

static bool reply_overdue(const struct redis_link *link)
{
    return link->phase == PHASE_UP && link->awaiting &&
           silent_for(link, link->waiting_ms, link->options->reply_timeout_ms);
}

static void check_silence(struct redis_link *link)
{
    uint64_t limit = link->options->reply_timeout_ms;
    if (reply_overdue(link)) {
        /* We may be the late ones: a program that lends its thread can be away for long. */
        read_all(link);
    }
    if (reply_overdue(link)) {
        snprintf(link->why, sizeof link->why, "no answer from Redis for %llu ms",
                 (unsigned long long)limit);
        go_down(link, ERR_TIMEOUT);
        return;
    }
    if (link->phase != PHASE_UP) {
        return;
    }
    link->backoff_ms = link->options->backoff_min_ms;
    schedule_check(link);
    if (!link->awaiting && silent_for(link, 0, limit / 2)) {
        struct str ping = STR("PING");
        /* Without memory for it the next look tries again. */
        enum err err = enqueue(link, &ping, 1, on_pong, link, true);
        (void)err;
    }
}

static void on_timer(struct wheel_timer *timer)
{
    struct redis_link *link = container_of(timer, struct redis_link, timer);
    if (link->phase == PHASE_DOWN) {
        attempt(link);
    } else if (link->phase == PHASE_UP) {
        check_silence(link);
    } else {
        snprintf(link->why, sizeof link->why, "connect to %.120s:%u: timed out",
                 link->options->host, (unsigned)link->options->port);
        go_down(link, ERR_TIMEOUT);
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
    link->stream.fd = -1;
    redis_outbox_init(&link->outbox);
    redis_dial_init(&link->dial, loop, on_dialed, link);
    loop_task_init(&link->flush, on_flush);
    loop_task_init(&link->read_more, on_read_more);
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
    if (!link || link->phase == PHASE_FREED) {
        return;
    }
    release(link);
    link->phase = PHASE_FREED;
    close_pending(link);
    loop_reap(link->loop, &link->reap, reap);
}

enum redis_link_state redis_link_state(const struct redis_link *link)
{
    if (link->phase == PHASE_UP) {
        return REDIS_LINK_UP;
    }
    return link->phase == PHASE_DOWN || link->phase == PHASE_FREED ? REDIS_LINK_DOWN
                                                                   : REDIS_LINK_CONNECTING;
}

uint64_t redis_link_epoch(const struct redis_link *link)
{
    return link->epoch;
}

void redis_link_retry_now(struct redis_link *link)
{
    if (link->phase == PHASE_DOWN) {
        loop_timer_set(link->loop, &link->timer, 0);
    }
}

enum err redis_link_send(struct redis_link *link, const struct str *args, size_t count,
                         redis_reply_fn reply, void *context)
{
    if (link->phase != PHASE_UP) {
        return ERR_CLOSED;
    }
    bool subscribes = redis_push_command(args[0]);
    enum err err = enqueue(link, args, count, reply, context, !subscribes);
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

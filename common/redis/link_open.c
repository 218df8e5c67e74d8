#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "redis/link_private.h"
#include "stream/tls.h"

enum { TOLD_MAX_MS = 250 }; /* so long what sentinels told is taken for true */

/*
 * A server that was stopped, and has been replaced, takes itself for the primary for a moment when
 * it goes on. Who is slow each time is believed the second time.
 */
static bool too_late(struct redis_link *link)
{
    bool late = redis_topology_moves(&link->topology) &&
                loop_now(link->loop) - link->located_ms > TOLD_MAX_MS;
    link->slow = late && !link->slow;
    return link->slow;
}

static void come_up(struct redis_link *link)
{
    if (too_late(link)) {
        link_fail(link, ERR_AGAIN, "answered late; there may be another primary by now");
        return;
    }
    link->phase = LINK_UP;
    link->epoch++;
    link_schedule_check(link);
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
    err = redis_hello_judge(link->hello - 1, link->options, reply, link->why, sizeof link->why);
    if (err) {
        link_go_down(link, err);
    } else if (link->hello == REDIS_HELLO_STEPS) {
        come_up(link);
    }
}

static void say_hello(struct redis_link *link)
{
    link->phase = LINK_HELLO;
    link->hello = 0;
    for (enum redis_hello_step step = 0; step < REDIS_HELLO_STEPS; step++) {
        struct redis_hello_command command;
        redis_hello_command(step, link->options, &command);
        if (command.count == 0) {
            continue;
        }
        enum err err = link_enqueue(link, command.args, command.count, on_hello, link, true);
        if (err) {
            link_fail(link, err, err_name(err));
            return;
        }
    }
}

void link_go_on_with_handshake(struct redis_link *link)
{
    enum err err = stream_handshake(&link->stream);
    if (err == ERR_AGAIN) {
        link_watch_writable(link);
    } else if (err == ERR_IO) {
        link_fail_stream(link, err);
    } else if (err) {
        link_fail_tls(link, err);
    } else {
        say_hello(link);
    }
}

static enum err open_tls(struct redis_link *link, int fd, struct buf *complaint)
{
    const struct redis_link_options *options = link->options;
    struct tls_options files = {
        .ca_file = options->tls_ca, .cert_file = options->tls_cert, .key_file = options->tls_key};
    struct tls_context *context = NULL;
    /* Made anew for each connection, so that renewed certificates are read. */
    enum err err = tls_context_new(&files, &context, complaint);
    if (err) {
        close(fd);
        return err;
    }
    const char *name =
        options->tls_server_name ? options->tls_server_name : link->topology.primary.host;
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
    buf_init(&complaint, LINK_WHY_MAX - 1);
    enum err err = open_tls(link, fd, &complaint);
    if (err) {
        snprintf(link->why, sizeof link->why, STR_FMT, STR_ARG(buf_str(&complaint)));
        link_fail(link, err, complaint.len > 0 ? link->why : "TLS: cannot start");
    }
    buf_fini(&complaint);
    return !err;
}

static void fail_connecting(struct redis_link *link, enum err err, const char *why)
{
    char name[REDIS_ENDPOINT_TEXT_MAX];
    redis_endpoint_print(&link->topology.primary, name);
    snprintf(link->why, sizeof link->why, "connect to %s: %.100s", name, why);
    link_go_down(link, err);
}

static void on_dialed(void *context, int fd, const char *why)
{
    struct redis_link *link = context;
    if (fd < 0) {
        fail_connecting(link, ERR_IO, why);
        return;
    }
    if (!open_stream(link, fd)) {
        return;
    }
    link->phase = LINK_HANDSHAKE;
    if (link_io_start(link)) {
        link_fail(link, ERR_NOMEM, "no memory to watch the socket");
        return;
    }
    link_go_on_with_handshake(link);
}

void link_time_out(struct redis_link *link)
{
    switch (link->phase) {
    case LINK_LOCATING:
        link_fail(link, ERR_TIMEOUT, "asking the sentinels: timed out");
        break;
    case LINK_HANDSHAKE: /* a Redis without TLS waits for the end of what is no command */
        fail_connecting(link, ERR_TIMEOUT, "timed out in the TLS handshake");
        break;
    default:
        fail_connecting(link, ERR_TIMEOUT, "timed out");
        break;
    }
}

static void on_located(void *owner, enum err err, const char *why)
{
    struct redis_link *link = owner;
    uint64_t now = loop_now(link->loop);
    if (err) {
        link_fail(link, err, why);
        return;
    }
    link->phase = LINK_DIALING;
    link->located_ms = now;
    redis_dial_start(&link->dial, link->topology.primary.host, link->topology.primary.port,
                     link->deadline_ms > now ? link->deadline_ms - now : 0);
}

/* The hint is right or not: what counts is what the next attempt finds. */
static void leave(struct redis_link *link, const struct redis_endpoint *primary)
{
    char from[REDIS_ENDPOINT_TEXT_MAX], to[REDIS_ENDPOINT_TEXT_MAX];
    redis_endpoint_print(&link->topology.primary, from);
    redis_endpoint_print(primary, to);
    snprintf(link->why, sizeof link->why, "%.200s: the primary is at %.200s now, says Sentinel",
             from, to);
    link_go_down(link, ERR_CLOSED);
}

static void on_switched(void *owner, const struct redis_endpoint *primary)
{
    struct redis_link *link = owner;
    if (link->phase == LINK_LOCATING ||
        (link->phase != LINK_DOWN && redis_endpoint_eq(primary, &link->topology.primary))) {
        return;
    }
    link->backoff_ms = link->options->backoff_min_ms;
    if (link->phase == LINK_DOWN) {
        link_schedule_retry(link);
    } else {
        leave(link, primary);
    }
}

void link_attempt(struct redis_link *link)
{
    link->phase = LINK_LOCATING;
    link->full = link->paused = link->pushes = link->awaiting = false;
    link->heard_ms = loop_now(link->loop);
    redis_replies_fini(&link->replies);
    redis_outbox_init(&link->outbox);
    enum err err = redis_replies_init(&link->replies);
    if (err) {
        link_fail(link, err, err_name(err));
        return;
    }
    loop_timer_set(link->loop, &link->timer, link->options->connect_timeout_ms);
    link->deadline_ms = loop_now(link->loop) + link->options->connect_timeout_ms;
    redis_topology_locate(&link->topology, link->options->connect_timeout_ms);
}

void link_open_init(struct redis_link *link)
{
    static const struct redis_topology_ops ops = {on_located, on_switched};
    redis_topology_init(&link->topology, link->loop, link->options, &ops, link);
    redis_dial_init(&link->dial, link->loop, on_dialed, link);
}

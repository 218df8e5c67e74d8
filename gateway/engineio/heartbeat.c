/* Pings and the patience for their pongs: one timer a session, two phases in turn. */
#include "engineio/internal.h"

static void on_timer(struct wheel_timer *timer);

/*
 * The wheel is late by up to a tick, the ping before this was too: patience ends early rather than
 * late, so that a client that adds interval and timeout up for itself finds the session gone.
 */
static uint64_t patience(uint64_t timeout_ms)
{
    const uint64_t late = 2 * WHEEL_TICK_MS;
    return timeout_ms > 4 * late ? timeout_ms - late : timeout_ms;
}

static void arm(struct eio_session *session, enum eio_heartbeat phase)
{
    const struct eio_server_options *options = session->server->options;
    session->heartbeat = (uint8_t)phase;
    loop_timer_set(session->server->loop, &session->timer,
                   phase == EIO_HEARTBEAT_IDLE ? options->ping_interval_ms
                                               : patience(options->ping_timeout_ms));
}

/* The patience begins when the ping is queued, whether or not a poll is there to take it. */
static void ping(struct eio_session *session)
{
    arm(session, EIO_HEARTBEAT_PONG);
    eio_session_on(session)->ping(session);
}

static void on_timer(struct wheel_timer *timer)
{
    struct eio_session *session = container_of(timer, struct eio_session, timer);
    if (session->heartbeat == EIO_HEARTBEAT_PONG) {
        eio_session_end(session, EIO_CLOSE_PING_TIMEOUT);
    } else if (eio_upgrade_probed(session)) {
        session->heartbeat = EIO_HEARTBEAT_HELD;
    } else {
        ping(session);
    }
}

void eio_heartbeat_start(struct eio_session *session)
{
    wheel_timer_init(&session->timer, on_timer);
    arm(session, EIO_HEARTBEAT_IDLE);
}

/* One that nobody asked for changes nothing. */
void eio_heartbeat_pong(struct eio_session *session)
{
    if (session->heartbeat == EIO_HEARTBEAT_PONG) {
        session->ping_due = false;
        arm(session, EIO_HEARTBEAT_IDLE);
    }
}

/* A ping that no poll has taken yet is called back; one that is on its way stays pending. */
void eio_heartbeat_hold(struct eio_session *session)
{
    if (session->ping_due) {
        session->ping_due = false;
        session->heartbeat = EIO_HEARTBEAT_HELD;
        loop_timer_cancel(session->server->loop, &session->timer);
    }
}

void eio_heartbeat_release(struct eio_session *session)
{
    if (session->heartbeat == EIO_HEARTBEAT_HELD) {
        ping(session);
    }
}

uint64_t eio_heartbeat_stop(struct eio_session *session)
{
    struct loop *loop = session->server->loop;
    uint64_t now = loop_now(loop), due = session->timer.due_ms;
    bool runs = wheel_timer_is_set(&session->timer);
    loop_timer_cancel(loop, &session->timer);
    return runs && due > now ? due - now : 0;
}

/* A session that another gateway has had: its client counts on from the last ping. */
void eio_heartbeat_resume(struct eio_session *session, unsigned phase, uint64_t left_ms)
{
    const struct eio_server_options *options = session->server->options;
    if (session->state != EIO_OPEN) {
        return;
    }
    if (phase == EIO_HEARTBEAT_HELD) {
        ping(session);
    } else if (phase == EIO_HEARTBEAT_PONG && left_ms <= options->ping_timeout_ms) {
        session->heartbeat = EIO_HEARTBEAT_PONG;
        loop_timer_set(session->server->loop, &session->timer, left_ms);
    } else if (phase == EIO_HEARTBEAT_IDLE && left_ms <= options->ping_interval_ms) {
        loop_timer_set(session->server->loop, &session->timer, left_ms);
    }
}

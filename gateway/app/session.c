#include "app/session.h"

#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "app/app.h"
#include "app/handlers.h"
#include "util/rand.h"

enum { SWEEP_MS_MAX = 1000 };

static struct str pid_of(const struct map_node *node)
{
    return app_session_pid(container_of(node, struct app_session, by_pid));
}

struct str app_session_pid(const struct app_session *session)
{
    return str_range(session->pid, BUS_PID_LEN);
}

/* --- What is written --- */

static enum err write_rooms(const struct app_member *member, struct buf *out)
{
    enum err err = OK;
    for (unsigned i = 0; i < member->count && !err; i++) {
        const struct app_membership *membership = &member->memberships[i];
        struct bus_session_room room = {app_room_name(membership->room), membership->since,
                                        membership->visible};
        err = bus_session_write_room(&room, out);
    }
    return err;
}

/* The present one when it is first kept; if Redis loses its data later, that is another. */
static struct str epoch_of(struct app_session *session)
{
    struct str present = bus_subscriber_epoch(session->sessions->subscriber);
    if (!session->epoch_known && present.len == BUS_EPOCH_LEN) {
        memcpy(session->epoch, present.ptr, BUS_EPOCH_LEN);
        session->epoch_known = true;
    }
    return str_range(session->epoch, session->epoch_known ? BUS_EPOCH_LEN : 0);
}

enum err app_session_describe(const struct app_member *member, struct str epoch, struct buf *out)
{
    struct bus_session text = {
        .gateway = str_from(member->app->options->bus.gateway_id),
        .epoch = epoch,
        .sid = sio_socket_id(member->socket),
        .sub = app_member_sub(member),
        .address = app_member_address(member),
        .last_id = member->last_id,
        .as_of = bus_subscriber_passed(member->app->subscriber, 0).time,
    };
    enum err err = bus_session_write(&text, out);
    return err ? err : write_rooms(member, out);
}

static struct bus_request *send(struct app_session *session, uint64_t ttl_ms, bus_answer_fn done)
{
    struct app_sessions *sessions = session->sessions;
    struct buf text = {0};
    struct bus_request *request = NULL;
    if (!app_session_describe(session->member, epoch_of(session), &text)) {
        request = bus_session_keep(bus_subscriber_store(sessions->subscriber), &sessions->bus->keys,
                                   app_session_pid(session), str_from(sessions->bus->gateway_id),
                                   !session->claimed, buf_str(&text), ttl_ms, done, session);
    }
    buf_fini(&text);
    return request;
}

/* --- Promises --- */

struct app_promise *app_promise_new(bool greeting)
{
    struct app_promise *promise = calloc(1, sizeof *promise);
    if (promise) {
        promise->greeting = greeting;
        list_init(&promise->node);
        buf_init(&promise->answer, 0);
    }
    return promise;
}

static void promise_free(struct app_promise *promise)
{
    list_remove(&promise->node);
    buf_fini(&promise->answer);
    free(promise);
}

/* Telling may close the client's session, but that ends the member only later. */
static void tell(struct app_session *session)
{
    for (struct list *node; (node = list_pop_front(&session->promised));) {
        struct app_promise *promise = list_entry(node, struct app_promise, node);
        if (promise->greeting) {
            app_greet(session->member);
        } else {
            app_send_ack(session->member->socket, promise->ack_id, buf_str(&promise->answer));
        }
        promise_free(promise);
    }
}

static void forget(struct list *promises)
{
    for (struct list *node; (node = list_pop_front(promises));) {
        promise_free(list_entry(node, struct app_promise, node));
    }
}

/* --- Keeping --- */

static void start(struct app_session *session);

static void note_kept(struct app_session *session)
{
    session->claimed = true;
    session->kept_ms = loop_now(session->sessions->loop);
    list_remove(&session->by_age);
    list_push_back(&session->sessions->by_age, &session->by_age);
}

static void on_kept(void *context, const struct redisReply *reply)
{
    struct app_session *session = context;
    enum bus_session_kept kept = bus_session_kept(reply);
    session->request = NULL;
    if (kept == BUS_SESSION_TAKEN) {
        app_session_take(session);
        return;
    }
    session->sessions->refused += kept == BUS_SESSION_REFUSED;
    session->sessions->kept += kept == BUS_SESSION_KEPT;
    note_kept(session);
    tell(session);
    if (session->stale) {
        start(session);
    }
}

static uint64_t sweep_ms(const struct app_sessions *sessions)
{
    uint64_t part = sessions->window_ms / 8 + 1;
    return part < SWEEP_MS_MAX ? part : SWEEP_MS_MAX;
}

/* The window still, when it is kept again: after half of it, and the next sweep. */
static uint64_t ttl_ms(const struct app_sessions *sessions)
{
    return sessions->window_ms + sessions->window_ms / 2 + sweep_ms(sessions);
}

static void start(struct app_session *session)
{
    session->stale = false;
    list_splice_back(&session->promised, &session->next);
    session->request = send(session, ttl_ms(session->sessions), on_kept);
    if (!session->request) {
        eio_session_close(sio_socket_session(session->member->socket), EIO_CLOSE_SERVER);
    }
}

void app_session_keep(struct app_session *session, struct app_promise *promise)
{
    if (promise) {
        list_push_back(&session->next, &promise->node);
    }
    session->stale = true;
    if (!session->request && !session->taken) {
        start(session);
    }
}

/* Those that were kept half a window ago. */
static void on_sweep(struct wheel_timer *timer)
{
    struct app_sessions *sessions = container_of(timer, struct app_sessions, timer);
    uint64_t now = loop_now(sessions->loop);
    loop_timer_set(sessions->loop, timer, sweep_ms(sessions));
    LIST_FOR_EACH (node, next, &sessions->by_age) {
        struct app_session *session = list_entry(node, struct app_session, by_age);
        if (session->kept_ms + sessions->window_ms / 2 > now) {
            return;
        }
        if (!session->request && session->claimed) {
            app_session_keep(session, NULL);
        }
    }
}

void app_sessions_renew(struct app_sessions *sessions)
{
    LIST_FOR_EACH (node, next, &sessions->by_age) {
        struct app_session *session = list_entry(node, struct app_session, by_age);
        if (!session->request) {
            app_session_keep(session, NULL);
        }
    }
}

/* --- Lives --- */

struct app_session *app_session_new(struct app_sessions *sessions, struct app_member *member,
                                    struct str pid)
{
    struct app_session *session = calloc(1, sizeof *session);
    if (!session) {
        return NULL;
    }
    session->sessions = sessions;
    session->member = member;
    list_init(&session->by_age);
    list_init(&session->promised);
    list_init(&session->next);
    if (pid.len == BUS_PID_LEN) {
        memcpy(session->pid, pid.ptr, BUS_PID_LEN);
    } else {
        rand_id(session->pid, BUS_PID_LEN);
    }
    if (map_insert(&sessions->by_pid, &session->by_pid)) {
        free(session);
        return NULL;
    }
    if (!wheel_timer_is_set(&sessions->timer)) {
        loop_timer_set(sessions->loop, &sessions->timer, sweep_ms(sessions));
    }
    return session;
}

static void leave_map(struct app_session *session)
{
    if (!session->taken) {
        map_remove(&session->sessions->by_pid, &session->by_pid);
    }
}

void app_session_take(struct app_session *session)
{
    if (session->taken) {
        return;
    }
    leave_map(session);
    session->taken = true;
    session->sessions->taken_over++;
    list_remove(&session->by_age);
    bus_store_cancel(session->request);
    session->request = NULL;
    app_permit_return(session->member); /* its place is the other connection's */
    eio_session_close(sio_socket_session(session->member->socket), EIO_CLOSE_SERVER);
}

void app_session_end(struct app_session *session, bool comes_back)
{
    if (!session) {
        return;
    }
    struct app_sessions *sessions = session->sessions;
    bool may_be_kept = session->claimed || session->request;
    bus_store_cancel(session->request);
    if (!session->taken && session->claimed && comes_back) {
        send(session, sessions->window_ms, NULL);
    } else if (!session->taken && may_be_kept && !comes_back) {
        bus_session_drop(bus_subscriber_store(sessions->subscriber), &sessions->bus->keys,
                         app_session_pid(session));
    }
    leave_map(session);
    list_remove(&session->by_age);
    forget(&session->promised);
    forget(&session->next);
    free(session);
}

void app_session_forget(struct app_session *session)
{
    if (session) {
        leave_map(session);
        session->taken = true;
        app_session_end(session, true);
    }
}

bool app_session_is_quiet(const struct app_session *session)
{
    return !session->request && list_empty(&session->promised) && list_empty(&session->next);
}

bool app_sessions_enabled(const struct app_sessions *sessions)
{
    return sessions->window_ms > 0 && sessions->bus->keys.partitions == 1;
}

struct app_session *app_sessions_find(const struct app_sessions *sessions, struct str pid)
{
    struct map_node *node = map_find(&sessions->by_pid, pid);
    return node ? container_of(node, struct app_session, by_pid) : NULL;
}

void app_sessions_init(struct app_sessions *sessions, struct loop *loop,
                       struct bus_subscriber *subscriber, const struct bus_subscriber_options *bus,
                       uint64_t window_ms)
{
    *sessions = (struct app_sessions){
        .loop = loop, .subscriber = subscriber, .bus = bus, .window_ms = window_ms};
    map_init(&sessions->by_pid, pid_of);
    list_init(&sessions->by_age);
    wheel_timer_init(&sessions->timer, on_sweep);
}

void app_sessions_fini(struct app_sessions *sessions)
{
    loop_timer_cancel(sessions->loop, &sessions->timer);
    map_fini(&sessions->by_pid);
}

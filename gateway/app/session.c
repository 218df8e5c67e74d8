#include "app/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "app/app.h"
#include "app/handlers.h"
#include "util/clock.h"
#include "util/rand.h"

enum {
    SWEEP_MS_MAX = 1000,
    SLICE_US = 1000, /* of one turn for renewing */
};

/* While the session is being kept; owned by the member's transit. */
struct app_keeping {
    struct list promised; /* what waits for the request under way */
    struct list next;     /* what waits for the one after it */
    struct bus_request *request;
    bool stale; /* the member has changed since the request was made */
};

static struct app_member *member_of(const struct app_session *session)
{
    return container_of(session, struct app_member, session);
}

static struct app_sessions *sessions_of(const struct app_session *session)
{
    return &member_of(session)->app->sessions;
}

static struct app_keeping *keeping_of(const struct app_session *session)
{
    return app_member_keeping(member_of(session));
}

static bool is_asked(const struct app_session *session)
{
    const struct app_keeping *keeping = keeping_of(session);
    return keeping && keeping->request;
}

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
        const struct app_membership *membership = &app_member_memberships(member)[i];
        struct bus_session_room room = {app_room_name(membership->room), membership->since,
                                        membership->visible};
        err = bus_session_write_room(&room, out);
    }
    return err;
}

/* The present one when it is first kept; if Redis loses its data later, that is another. */
static enum err note_epoch(struct app_session *session)
{
    struct app_sessions *sessions = sessions_of(session);
    struct str present = bus_subscriber_epoch(sessions->subscriber);
    if (session->epoch || present.len == 0) {
        return OK;
    }
    if (!sessions->epoch || !str_eq(rcbuf_str(sessions->epoch), present)) {
        struct rcbuf *copy = rcbuf_copy(present);
        if (!copy) {
            return ERR_NOMEM;
        }
        rcbuf_unref(&sessions->epoch);
        sessions->epoch = copy;
    }
    session->epoch = rcbuf_ref(sessions->epoch);
    return OK;
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
    struct app_sessions *sessions = sessions_of(session);
    struct bus_store *store = bus_subscriber_store(sessions->subscriber);
    const struct bus_keys *keys = &sessions->bus->keys;
    struct str pid = app_session_pid(session);
    struct buf text = {0};
    struct bus_request *request = NULL;
    enum err err = note_epoch(session);
    struct str epoch = session->epoch ? rcbuf_str(session->epoch) : STR("");
    err = err ? err : app_session_describe(member_of(session), epoch, &text);
    if (!err && session->claimed) {
        request = bus_session_keep(store, keys, pid, str_from(sessions->bus->gateway_id),
                                   buf_str(&text), ttl_ms, done, session);
    } else if (!err) {
        request = bus_session_claim(store, keys, pid, buf_str(&text), ttl_ms, done, session);
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

static void forget(struct list *promises)
{
    for (struct list *node; (node = list_pop_front(promises));) {
        promise_free(list_entry(node, struct app_promise, node));
    }
}

/* --- Keeping --- */

static struct app_keeping *keeping_begin(struct app_session *session)
{
    struct app_member *member = member_of(session);
    struct app_keeping *keeping = app_member_keeping(member);
    if (keeping || app_member_need_transit(member)) {
        return keeping;
    }
    keeping = calloc(1, sizeof *keeping);
    if (keeping) {
        list_init(&keeping->promised);
        list_init(&keeping->next);
        member->transit->keeping = keeping;
    } else {
        app_member_tidy(member);
    }
    return keeping;
}

/* Idempotent. What was promised is not told. */
static void keeping_end(struct app_session *session)
{
    struct app_member *member = member_of(session);
    struct app_keeping *keeping = app_member_keeping(member);
    if (keeping) {
        bus_store_cancel(keeping->request);
        forget(&keeping->promised);
        forget(&keeping->next);
        free(keeping);
        member->transit->keeping = NULL;
        app_member_tidy(member);
    }
}

/* Telling may close the client's session, but that ends the member only later. */
static void tell(struct app_session *session)
{
    struct app_member *member = member_of(session);
    struct app_keeping *keeping = keeping_of(session);
    for (struct list *node; (node = list_pop_front(&keeping->promised));) {
        struct app_promise *promise = list_entry(node, struct app_promise, node);
        if (promise->greeting) {
            app_greet(member);
        } else {
            app_send_ack(member->socket, promise->ack_id, buf_str(&promise->answer));
        }
        promise_free(promise);
    }
}

static void start(struct app_session *session);

static void on_kept(void *context, const struct redisReply *reply)
{
    struct app_session *session = context;
    struct app_sessions *sessions = sessions_of(session);
    struct app_keeping *keeping = keeping_of(session);
    enum bus_session_kept kept = bus_session_kept(reply);
    keeping->request = NULL;
    if (kept == BUS_SESSION_TAKEN) {
        app_session_take(session);
        return;
    }
    sessions->refused += kept == BUS_SESSION_REFUSED;
    sessions->kept += kept == BUS_SESSION_KEPT;
    session->claimed = true;
    tell(session);
    if (keeping->stale) {
        start(session);
    } else if (!keeping->request) {
        keeping_end(session);
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

static void give_up(const struct app_session *session)
{
    eio_session_close(sio_socket_session(member_of(session)->socket), EIO_CLOSE_SERVER);
}

/* It has half a window from now on. */
static void put_last(struct app_session *session)
{
    struct app_sessions *sessions = sessions_of(session);
    session->asked_ms = (uint32_t)loop_now(sessions->loop);
    session->round = sessions->round;
    list_remove(&session->by_age);
    list_push_back(&sessions->by_age, &session->by_age);
}

static void start(struct app_session *session)
{
    struct app_keeping *keeping = keeping_of(session);
    keeping->stale = false;
    put_last(session);
    list_splice_back(&keeping->promised, &keeping->next);
    keeping->request = send(session, ttl_ms(sessions_of(session)), on_kept);
    if (!keeping->request) {
        give_up(session);
    }
}

void app_session_keep(struct app_session *session, struct app_promise *promise)
{
    struct app_keeping *keeping = session->taken ? NULL : keeping_begin(session);
    if (!keeping) { /* in the first case it is closed already */
        give_up(session);
        if (promise) {
            promise_free(promise);
        }
        return;
    }
    if (promise) {
        list_push_back(&keeping->next, &promise->node);
    }
    keeping->stale = true;
    if (!keeping->request) {
        start(session);
    }
}

static bool is_due(const struct app_sessions *sessions, const struct app_session *session)
{
    uint32_t age_ms = (uint32_t)loop_now(sessions->loop) - session->asked_ms;
    return session->round != sessions->round || age_ms >= sessions->window_ms / 2;
}

static struct app_session *first_due(const struct app_sessions *sessions)
{
    if (list_empty(&sessions->by_age)) {
        return NULL;
    }
    struct app_session *first = list_entry(sessions->by_age.next, struct app_session, by_age);
    return is_due(sessions, first) ? first : NULL;
}

static void on_renewal(struct loop_task *task)
{
    struct app_sessions *sessions = container_of(task, struct app_sessions, renewal);
    uint64_t until = clock_monotonic_us() + SLICE_US;
    struct app_session *session;
    while ((session = first_due(sessions))) {
        if (is_asked(session)) { /* Redis has been away, and gets the request when it is back */
            put_last(session);
        } else {
            app_session_keep(session, NULL);
        }
        if (clock_monotonic_us() >= until) {
            loop_go_on(sessions->loop, task);
            return;
        }
    }
}

static void on_sweep(struct wheel_timer *timer)
{
    struct app_sessions *sessions = container_of(timer, struct app_sessions, timer);
    loop_timer_set(sessions->loop, timer, sweep_ms(sessions));
    loop_defer(sessions->loop, &sessions->renewal);
}

void app_sessions_renew(struct app_sessions *sessions)
{
    sessions->round++;
    loop_defer(sessions->loop, &sessions->renewal);
}

/* --- Lives --- */

enum err app_session_begin(struct app_member *member, struct str pid)
{
    struct app_sessions *sessions = &member->app->sessions;
    struct app_session *session = member->session;
    assert(member->recovers && !member->has_session);
    *session = (struct app_session){0};
    list_init(&session->by_age);
    if (pid.len == BUS_PID_LEN) {
        memcpy(session->pid, pid.ptr, BUS_PID_LEN);
    } else {
        rand_id(session->pid, BUS_PID_LEN);
    }
    if (map_insert(&sessions->by_pid, &session->by_pid)) {
        return ERR_NOMEM;
    }
    member->has_session = true;
    if (!wheel_timer_is_set(&sessions->timer)) {
        loop_timer_set(sessions->loop, &sessions->timer, sweep_ms(sessions));
    }
    return OK;
}

static void leave_map(struct app_session *session)
{
    if (!session->taken) {
        map_remove(&sessions_of(session)->by_pid, &session->by_pid);
    }
}

void app_session_take(struct app_session *session)
{
    if (session->taken) {
        return;
    }
    leave_map(session);
    session->taken = true;
    sessions_of(session)->taken_over++;
    list_remove(&session->by_age);
    keeping_end(session);
    struct app_member *member = member_of(session);
    app_permit_return(member); /* its place is the other connection's */
    eio_session_close(sio_socket_session(member->socket), EIO_CLOSE_SERVER);
}

void app_session_end(struct app_member *member, bool comes_back)
{
    struct app_session *session = app_member_session(member);
    if (!session) {
        return;
    }
    struct app_sessions *sessions = sessions_of(session);
    bool may_be_kept = session->claimed || is_asked(session);
    keeping_end(session);
    if (!session->taken && session->claimed && comes_back) {
        send(session, sessions->window_ms, NULL);
    } else if (!session->taken && may_be_kept && !comes_back) {
        bus_session_drop(bus_subscriber_store(sessions->subscriber), &sessions->bus->keys,
                         app_session_pid(session));
    }
    leave_map(session);
    list_remove(&session->by_age);
    rcbuf_unref(&session->epoch);
    member->has_session = false;
}

void app_session_forget(struct app_member *member)
{
    struct app_session *session = app_member_session(member);
    if (session) {
        leave_map(session);
        session->taken = true;
        app_session_end(member, true);
    }
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
    loop_task_init(&sessions->renewal, on_renewal);
}

void app_sessions_fini(struct app_sessions *sessions)
{
    loop_timer_cancel(sessions->loop, &sessions->timer);
    loop_task_cancel(&sessions->renewal);
    map_fini(&sessions->by_pid);
    rcbuf_unref(&sessions->epoch);
}

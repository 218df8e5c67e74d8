#include "net/flusher.h"

#include <errno.h>

#include "net/internal.h"
#include "util/clock.h"

/* Linux copies up to 8 descriptions on its stack and more from the heap; 64 are still cheap. */
enum { PARTS = 64, LINGER_MS = 1000 };

static struct net_conn *first_of(const struct list *head)
{
    return list_empty(head) ? NULL : list_entry(head->next, struct net_conn, place);
}

/* Milliseconds until the first of the list has waited for `limit`. */
static uint64_t wait_of(const struct list *head, uint64_t limit, uint64_t now)
{
    const struct net_conn *conn = first_of(head);
    if (!conn || limit == 0) {
        return UINT64_MAX;
    }
    uint32_t waited = (uint32_t)now - conn->since_ms;
    return waited < limit ? limit - waited : 0;
}

static void set_timer(struct net_flusher *flusher)
{
    uint64_t now = loop_now(flusher->loop);
    uint64_t stalled = wait_of(&flusher->stalled, flusher->stall_ms, now);
    uint64_t lingering = wait_of(&flusher->lingering, LINGER_MS, now);
    uint64_t wait = stalled < lingering ? stalled : lingering;
    if (wait == UINT64_MAX) {
        loop_timer_cancel(flusher->loop, &flusher->timer);
    } else {
        loop_timer_set(flusher->loop, &flusher->timer, wait);
    }
}

static void close_overdue(struct net_flusher *flusher, struct list *head, uint64_t limit,
                          enum net_close_reason reason)
{
    while (wait_of(head, limit, loop_now(flusher->loop)) == 0) {
        net_conn_close(first_of(head), reason);
    }
}

static void check_waiting(struct wheel_timer *timer)
{
    struct net_flusher *flusher = container_of(timer, struct net_flusher, timer);
    close_overdue(flusher, &flusher->stalled, flusher->stall_ms, NET_CLOSED_SLOW);
    close_overdue(flusher, &flusher->lingering, LINGER_MS, NET_CLOSED_BY_US);
    set_timer(flusher);
}

static void put_waiting(struct net_flusher *flusher, struct list *head, struct net_conn *conn)
{
    bool first = list_empty(head);
    conn->since_ms = (uint32_t)loop_now(flusher->loop);
    list_push_back(head, &conn->place);
    if (first) {
        set_timer(flusher);
    }
}

/* TLS may have to read before it can write. */
static void block(struct net_flusher *flusher, struct net_conn *conn)
{
    conn->blocked_on = conn->stream.wants_write ? LOOP_WRITABLE : LOOP_READABLE;
    if (conn->blocked_on == LOOP_READABLE || net_conn_await_writable(conn)) {
        put_waiting(flusher, &flusher->stalled, conn);
    }
}

/* All was written. */
static void drained(struct net_flusher *flusher, struct net_conn *conn)
{
    if (conn->state != NET_FINISHING) {
        return;
    }
    net_conn_linger(conn);
    if (conn->state == NET_LINGERING) {
        put_waiting(flusher, &flusher->lingering, conn);
    }
}

static enum net_close_reason reason_of(enum err err)
{
    if (err == ERR_CLOSED) {
        return NET_CLOSED_BY_PEER;
    }
    return errno == ETIMEDOUT ? NET_CLOSED_SLOW : NET_CLOSED_ERROR;
}

static void took(struct net_conn *conn, size_t n)
{
    struct net_server_stats *stats = &conn->server->stats;
    stats->bytes_out += n;
    stats->queued_bytes -= n;
    net_queue_advance(&conn->queue, n);
}

static size_t total(const struct iovec *parts, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        sum += parts[i].iov_len;
    }
    return sum;
}

static void flush(struct net_flusher *flusher, struct net_conn *conn)
{
    struct iovec parts[PARTS];
    int count = net_queue_parts(&conn->queue, parts, PARTS);
    if (count == 0) {
        drained(flusher, conn);
        return;
    }
    size_t asked = total(parts, count);
    size_t n = 0;
    conn->server->stats.sends++;
    enum err err = stream_send(&conn->stream, parts, count, &n);
    if (err == ERR_AGAIN) {
        block(flusher, conn);
        return;
    }
    if (err) {
        net_conn_close(conn, reason_of(err));
        return;
    }
    took(conn, n);
    if (n < asked) {
        block(flusher, conn);
    } else if (conn->queue.bytes > 0) {
        list_push_back(&flusher->pass, &conn->place); /* more than one call takes */
    } else {
        drained(flusher, conn);
    }
}

static void tell(const struct net_flusher *flusher, bool ended)
{
    if (flusher->on_pass) {
        flusher->on_pass(flusher->pass_owner, ended);
    }
}

/* The last may have been visited, or have closed before its turn came. */
static void end_pass(struct net_flusher *flusher)
{
    if (flusher->passing) {
        flusher->passing = false;
        tell(flusher, true);
    }
}

/* The next to be visited, where need be of a new pass. NULL: nobody is left. */
static struct net_conn *next_conn(struct net_flusher *flusher)
{
    if (list_empty(&flusher->pass)) {
        end_pass(flusher);
        list_splice_back(&flusher->pass, &flusher->dirty);
    }
    struct list *place = list_pop_front(&flusher->pass);
    flusher->passing = place;
    return place ? list_entry(place, struct net_conn, place) : NULL;
}

/* Brings the next one near while the kernel has this one's bytes: with many of them, each is far
 * away in memory when its turn comes. */
static void look_ahead(const struct net_flusher *flusher)
{
    if (!list_empty(&flusher->pass)) {
        net_conn_fetch(list_entry(flusher->pass.next, struct net_conn, place));
    }
}

static void flush_slice(struct loop_task *task)
{
    struct net_flusher *flusher = container_of(task, struct net_flusher, task);
    uint64_t start = clock_monotonic_us();
    struct net_conn *conn;
    /* Where all who were due have closed that ends a pass, too, which is waited for. */
    flusher->passing |= !net_flusher_due(flusher);
    while ((conn = next_conn(flusher))) {
        look_ahead(flusher);
        flush(flusher, conn);
        if (clock_monotonic_us() - start >= flusher->slice_us) {
            break;
        }
    }
    if (list_empty(&flusher->pass)) {
        end_pass(flusher);
    } else {
        tell(flusher, false);
    }
    if (net_flusher_due(flusher)) {
        loop_go_on(flusher->loop, task);
    }
}

void net_flusher_init(struct net_flusher *flusher, struct loop *loop, uint64_t slice_us,
                      uint64_t stall_ms)
{
    *flusher = (struct net_flusher){.loop = loop, .slice_us = slice_us, .stall_ms = stall_ms};
    list_init(&flusher->pass);
    list_init(&flusher->dirty);
    list_init(&flusher->stalled);
    list_init(&flusher->lingering);
    loop_task_init(&flusher->task, flush_slice);
    wheel_timer_init(&flusher->timer, check_waiting);
}

void net_flusher_fini(struct net_flusher *flusher)
{
    loop_task_cancel(&flusher->task);
    loop_timer_cancel(flusher->loop, &flusher->timer);
}

void net_flusher_mark(struct net_flusher *flusher, struct net_conn *conn)
{
    if (!list_linked(&conn->place)) {
        list_push_back(&flusher->dirty, &conn->place);
        loop_defer(flusher->loop, &flusher->task);
    }
}

void net_flusher_flush_now(struct net_flusher *flusher, struct net_conn *conn)
{
    while (conn->queue.bytes > 0 && !conn->blocked_on && conn->state != NET_CLOSING) {
        list_remove(&conn->place);
        flush(flusher, conn);
    }
}

void net_flusher_unblock(struct net_flusher *flusher, struct net_conn *conn)
{
    conn->blocked_on = 0;
    list_remove(&conn->place);
    net_flusher_mark(flusher, conn);
}

bool net_flusher_due(const struct net_flusher *flusher)
{
    return !list_empty(&flusher->pass) || !list_empty(&flusher->dirty);
}

bool net_flusher_quiet(const struct net_flusher *flusher)
{
    return !net_flusher_due(flusher) && list_empty(&flusher->stalled) &&
           list_empty(&flusher->lingering);
}

bool net_flusher_stalled_within(const struct net_flusher *flusher, uint64_t ms)
{
    const struct list *newest = flusher->stalled.prev;
    uint32_t now = (uint32_t)loop_now(flusher->loop);
    return newest != &flusher->stalled &&
           now - list_entry(newest, struct net_conn, place)->since_ms < ms;
}

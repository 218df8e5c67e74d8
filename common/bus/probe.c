/*
 * Whether what is published arrives. Two connections that stand prove nothing: one may lead to a
 * primary that was, or both to a host that is cut off. So every gateway publishes to itself and
 * looks whether it comes back. What was published before it has come before it.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "bus/subscriber_private.h"
#include "util/clock.h"
#include "util/rand.h"

enum {
    EPOCH_TIME_LEN = 16, /* digits: microseconds since 1970 */
    MISSED_MAX = 2,      /* in a row: then both connections are made anew */
    READY_INTERVALS = 3,
};

/* --- What Redis holds --- */

/* The one that is there now, whoever set it. */
static void on_epoch(void *context, const struct redisReply *reply)
{
    struct bus_subscriber *subscriber = context;
    if (reply->type != REDIS_REPLY_STRING || reply->len != BUS_EPOCH_LEN) {
        return;
    }
    bool changed =
        subscriber->epoch_known && memcmp(subscriber->epoch, reply->str, BUS_EPOCH_LEN) != 0;
    memcpy(subscriber->epoch, reply->str, BUS_EPOCH_LEN);
    subscriber->epoch_known = true;
    if (changed) {
        bus_catch_up_start_over(subscriber, "Redis has lost what it held");
    }
}

/* When it begins, by our clock, and some characters that tell it from others. */
static void make_epoch(char epoch[BUS_EPOCH_LEN + 1])
{
    int len = snprintf(epoch, BUS_EPOCH_LEN + 1, "%0*llu", EPOCH_TIME_LEN,
                       (unsigned long long)clock_wall_ms() * 1000);
    rand_id(epoch + len, BUS_EPOCH_LEN - (size_t)len);
}

/* Without memory the next probe asks again. */
void bus_probe_store_up(struct bus_subscriber *subscriber)
{
    char fresh[BUS_EPOCH_LEN + 1];
    struct buf key = {0};
    make_epoch(fresh);
    if (!bus_epoch_key(&subscriber->keys, &key)) {
        const struct str set[] = {STR("SET"), buf_str(&key), {fresh, BUS_EPOCH_LEN}, STR("NX")};
        const struct str get[] = {STR("GET"), buf_str(&key)};
        if (bus_store_ask(subscriber->store, set, ARRAY_LEN(set), NULL, NULL)) {
            bus_store_ask(subscriber->store, get, ARRAY_LEN(get), on_epoch, subscriber);
        }
    }
    buf_fini(&key);
}

struct str bus_subscriber_epoch(const struct bus_subscriber *subscriber)
{
    return str_range(subscriber->epoch, subscriber->epoch_known ? BUS_EPOCH_LEN : 0);
}

uint64_t bus_subscriber_epoch_began(const struct bus_subscriber *subscriber)
{
    uint64_t began;
    struct str time = str_range(subscriber->epoch, EPOCH_TIME_LEN);
    return subscriber->epoch_known && !str_to_u64(time, &began) ? began : 0;
}

/* --- Probes --- */

static void on_published(void *context, const struct redisReply *reply)
{
    struct bus_subscriber *subscriber = context;
    subscriber->probe_refused = reply->type == REDIS_REPLY_ERROR;
    if (subscriber->probe_refused && subscriber->barrier > 0) {
        bus_catch_up_go_on(subscriber); /* it will never come */
    }
}

static enum err publish(struct bus_subscriber *subscriber, unsigned partition, struct str text)
{
    struct buf clock = {0};
    enum err err = bus_clock_key(&subscriber->keys, partition, &clock);
    if (!err) {
        const struct str args[] = {buf_str(&clock), buf_str(&subscriber->inbox), text};
        err = bus_store_call(subscriber->store, &bus_probe_script, 1, args, ARRAY_LEN(args),
                             on_published, subscriber)
                  ? OK
                  : ERR_NOMEM;
    }
    buf_fini(&clock);
    return err;
}

enum err bus_probe_send(struct bus_subscriber *subscriber, unsigned partition)
{
    struct buf payload = {0};
    uint64_t number = ++subscriber->probe_sent;
    enum err err = buf_printf(&payload, "%u %llu", partition, (unsigned long long)number);
    err = err ? err : publish(subscriber, partition, buf_str(&payload));
    buf_fini(&payload);
    subscriber->stats.probes++;
    return err;
}

void bus_subscriber_probe(struct bus_subscriber *subscriber)
{
    enum err err = OK;
    for (unsigned i = 0; i < subscriber->keys.partitions && !err; i++) {
        err = bus_probe_send(subscriber, i);
    }
    (void)err; /* those that are sent regularly will do, too */
}

struct probe {
    uint64_t partition, number;
    struct bus_place place; /* everything up to it has come before the probe */
};

static bool read_probe(struct str text, struct probe *probe)
{
    uint64_t *const numbers[] = {&probe->partition, &probe->number, &probe->place.time,
                                 &probe->place.id};
    struct str word;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!str_split(&text, ' ', &word) || str_to_u64(word, numbers[i])) {
            return false;
        }
    }
    return !text.ptr;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void bus_probe_take(struct bus_subscriber *subscriber, struct str text)
{
    struct probe probe;
    if (!read_probe(text, &probe) || probe.partition >= subscriber->keys.partitions) {
        return;
    }
    struct bus_place *seen = &subscriber->seen[probe.partition];
    *seen =
        (struct bus_place){larger(seen->id, probe.place.id), larger(seen->time, probe.place.time)};
    subscriber->probe_seen_ms = loop_now(subscriber->loop);
    subscriber->probe_seen = larger(subscriber->probe_seen, probe.number);
    if (subscriber->barrier > 0 && probe.number >= subscriber->barrier) {
        bus_catch_up_go_on(subscriber);
    } else if (!bus_catch_up_holding(subscriber)) {
        subscriber->passed[probe.partition] = *seen;
        subscriber->ops->on_passed(subscriber->owner);
    }
}

/* --- Health --- */

static void send_all(struct bus_subscriber *subscriber)
{
    enum err err = OK;
    for (unsigned i = 0; i < subscriber->keys.partitions; i++) {
        err = bus_probe_send(subscriber, i);
    }
    (void)err; /* one that was not sent does not come back, which is noticed */
    subscriber->probe_round = subscriber->probe_sent;
}

static void give_up_connections(struct bus_subscriber *subscriber, const char *why)
{
    subscriber->probes_missed = 0;
    bus_store_renew(subscriber->store, why);
    redis_link_renew(subscriber->link, why);
}

/* A replica passes on what its primary is told, until it is cut off: it is left before that. */
static void on_role(void *context, const struct redisReply *reply)
{
    struct bus_subscriber *subscriber = context;
    const redisReply *role =
        reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0] : NULL;
    if (role && role->type == REDIS_REPLY_STRING &&
        !str_eq((struct str){role->str, role->len}, STR("master"))) {
        give_up_connections(subscriber, "Redis has become a replica");
    }
}

static void ask_role(struct bus_subscriber *subscriber)
{
    const struct str role = STR("ROLE");
    bus_store_ask(subscriber->store, &role, 1, on_role, subscriber); /* or in the next round */
}

/* The last round of probes had an interval's time. */
static void judge(struct bus_subscriber *subscriber)
{
    if (subscriber->probe_seen >= subscriber->probe_round || subscriber->probe_refused) {
        subscriber->probes_missed = 0;
        return;
    }
    subscriber->stats.probes_missed++;
    if (++subscriber->probes_missed >= MISSED_MAX) {
        give_up_connections(subscriber, "what is published does not come back");
    }
}

static void schedule(struct bus_subscriber *subscriber)
{
    if (subscriber->options->probe_interval_ms > 0) {
        loop_timer_set(subscriber->loop, &subscriber->probe_timer,
                       subscriber->options->probe_interval_ms);
    }
}

/* While we read nothing ourselves, nothing can be said. */
static void on_tick(struct wheel_timer *timer)
{
    struct bus_subscriber *subscriber = container_of(timer, struct bus_subscriber, probe_timer);
    if (bus_subscriber_connected(subscriber) && !subscriber->paused) {
        judge(subscriber);
    }
    if (bus_subscriber_connected(subscriber)) {
        ask_role(subscriber);
        bus_probe_store_up(subscriber);
        send_all(subscriber);
    }
    schedule(subscriber);
}

void bus_probe_distrust(struct bus_subscriber *subscriber)
{
    subscriber->probes_missed = 0;
    subscriber->probe_before = subscriber->probe_sent;
}

void bus_probe_begin(struct bus_subscriber *subscriber)
{
    bus_probe_distrust(subscriber);
    send_all(subscriber);
    schedule(subscriber);
}

static bool is_overdue(const struct bus_subscriber *subscriber)
{
    uint64_t limit = READY_INTERVALS * subscriber->options->probe_interval_ms;
    return limit > 0 && bus_subscriber_probe_age_ms(subscriber) >= limit;
}

enum bus_readiness bus_subscriber_readiness(const struct bus_subscriber *subscriber)
{
    if (!bus_subscriber_connected(subscriber)) {
        return BUS_NOT_CONNECTED;
    }
    if (subscriber->probe_refused) {
        return BUS_PROBES_REFUSED;
    }
    if (subscriber->probe_seen <= subscriber->probe_before) {
        return BUS_NO_PROBE_YET;
    }
    if (subscriber->probes_missed > 0) {
        return BUS_PROBES_MISSED;
    }
    return is_overdue(subscriber) ? BUS_PROBE_OVERDUE : BUS_READY;
}

bool bus_subscriber_ready(const struct bus_subscriber *subscriber)
{
    return bus_subscriber_readiness(subscriber) == BUS_READY;
}

uint64_t bus_subscriber_probe_age_ms(const struct bus_subscriber *subscriber)
{
    return subscriber->probe_seen_ms > 0 ? loop_now(subscriber->loop) - subscriber->probe_seen_ms
                                         : UINT64_MAX;
}

/* --- Birth and death --- */

void bus_probe_init(struct bus_subscriber *subscriber)
{
    wheel_timer_init(&subscriber->probe_timer, on_tick);
}

void bus_probe_fini(struct bus_subscriber *subscriber)
{
    loop_timer_cancel(subscriber->loop, &subscriber->probe_timer);
}

#include "redis/switch_watch.h"

#include "redis/sentinel.h"

static void listen_to(struct redis_switch_watch *watch, size_t sentinel)
{
    watch->at = sentinel;
    watch->options = redis_sentinel_options(watch->redis, &watch->sentinels[sentinel]);
    watch->options.reconnect = true;
}

static void on_up(void *owner)
{
    struct redis_switch_watch *watch = owner;
    const struct str subscribe[] = {STR("SUBSCRIBE"), STR("+switch-master")};
    if (redis_link_send(watch->link, subscribe, ARRAY_LEN(subscribe), NULL, NULL) != OK) {
        redis_switch_watch_stop(watch); /* without memory; to be started again */
    }
}

/* The link reads its options anew for each attempt. */
static void on_down(void *owner, enum err err, const char *why)
{
    struct redis_switch_watch *watch = owner;
    (void)err;
    (void)why;
    listen_to(watch, (watch->at + 1) % watch->count);
}

static void on_push(void *owner, const struct redisReply *reply)
{
    struct redis_switch_watch *watch = owner;
    struct redis_endpoint primary;
    if (redis_sentinel_read_switch(reply, watch->redis->sentinel_master, &primary) == OK) {
        watch->switched(watch->context, watch->at, &primary);
    }
}

void redis_switch_watch_init(struct redis_switch_watch *watch, struct loop *loop,
                             const struct redis_link_options *redis,
                             const struct redis_endpoint *sentinels, size_t count,
                             redis_switched_fn switched, void *context)
{
    *watch = (struct redis_switch_watch){
        .loop = loop,
        .redis = redis,
        .sentinels = sentinels,
        .count = count,
        .switched = switched,
        .context = context,
    };
}

void redis_switch_watch_start(struct redis_switch_watch *watch, size_t sentinel)
{
    static const struct redis_link_ops ops = {on_up, on_down, on_push};
    if (!watch->link) {
        listen_to(watch, sentinel);
        watch->link = redis_link_new(watch->loop, &watch->options, &ops, watch);
    }
}

void redis_switch_watch_stop(struct redis_switch_watch *watch)
{
    redis_link_free(watch->link);
    watch->link = NULL;
}

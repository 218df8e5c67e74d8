#include "redis/topology.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>

static void ask_next(struct redis_topology *topology);

static size_t asked_index(const struct redis_topology *topology)
{
    return (topology->first + topology->asked) % topology->count;
}

/* --- What each said --- */

static PRINTF_LIKE(2, 3) void add_why(struct redis_topology *topology, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof topology->why - topology->why_len;
    int n = vsnprintf(topology->why + topology->why_len, room, format, args);
    va_end(args);
    topology->why_len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

/* --- Asking one --- */

static void hang_up(struct redis_topology *topology)
{
    loop_timer_cancel(topology->loop, &topology->patience);
    redis_link_free(topology->link);
    topology->link = NULL;
}

static void give_up(struct redis_topology *topology, const char *why)
{
    add_why(topology, "%s%s", topology->asked > 0 ? "; " : "", why);
    hang_up(topology);
    topology->asked++;
    ask_next(topology);
}

/* In words of ours, which need its address; those of its link have it. */
static void give_up_naming(struct redis_topology *topology, const char *why)
{
    enum { WHY_MAX = 160 };
    char name[REDIS_ENDPOINT_TEXT_MAX], words[sizeof name + WHY_MAX];
    redis_endpoint_print(&topology->sentinels[asked_index(topology)], name);
    snprintf(words, sizeof words, "%s: %.*s", name, WHY_MAX - 3, why);
    give_up(topology, words);
}

static void on_address(void *context, enum err err, const redisReply *reply)
{
    struct redis_topology *topology = context;
    if (err) {
        return; /* on_down follows, or we have hung up */
    }
    const char *why = "";
    if (redis_sentinel_read_address(reply, &topology->primary, &why) != OK) {
        give_up_naming(topology, why);
        return;
    }
    topology->first = asked_index(topology);
    topology->hinted = false;
    hang_up(topology);
    topology->ops->on_located(topology->owner, OK, "");
}

static void on_up(void *owner)
{
    struct redis_topology *topology = owner;
    const struct str question[] = {STR("SENTINEL"), STR("get-master-addr-by-name"),
                                   str_from(topology->options->sentinel_master)};
    enum err err =
        redis_link_send(topology->link, question, ARRAY_LEN(question), on_address, topology);
    if (err) {
        give_up_naming(topology, err_name(err));
    }
}

static void on_down(void *owner, enum err err, const char *why)
{
    (void)err;
    give_up(owner, why);
}

static void on_patience_over(struct wheel_timer *timer)
{
    struct redis_topology *topology = container_of(timer, struct redis_topology, patience);
    char why[64];
    snprintf(why, sizeof why, "no answer for %llu ms", (unsigned long long)topology->share_ms);
    give_up_naming(topology, why);
}

/* False: there is no memory for it. */
static bool ask(struct redis_topology *topology)
{
    static const struct redis_link_ops ops = {.on_up = on_up, .on_down = on_down};
    const struct redis_endpoint *sentinel = &topology->sentinels[asked_index(topology)];
    topology->link_options = redis_sentinel_options(topology->options, sentinel);
    topology->link_options.reconnect = false;
    topology->link = redis_link_new(topology->loop, &topology->link_options, &ops, topology);
    if (!topology->link) {
        return false;
    }
    loop_timer_set(topology->loop, &topology->patience, topology->share_ms);
    return true;
}

/* --- Asking all --- */

static void ask_next(struct redis_topology *topology)
{
    if (topology->asked == topology->count) {
        topology->ops->on_located(topology->owner, ERR_IO, topology->why);
    } else if (!ask(topology)) {
        topology->ops->on_located(topology->owner, ERR_NOMEM, err_name(ERR_NOMEM));
    }
}

static void locate_by_setting(struct redis_topology *topology)
{
    const struct redis_link_options *options = topology->options;
    enum err err = redis_endpoint_set(&topology->primary, str_from(options->host), options->port);
    topology->ops->on_located(topology->owner, err, "the host or port is wrong");
}

void redis_topology_locate(struct redis_topology *topology, uint64_t timeout_ms)
{
    if (!redis_topology_moves(topology)) {
        locate_by_setting(topology);
        return;
    }
    if (topology->count == 0 || !topology->options->sentinel_master) {
        topology->ops->on_located(topology->owner, ERR_INVALID, "the list of sentinels is wrong");
        return;
    }
    topology->asked = 0;
    topology->share_ms = timeout_ms / (topology->count + 1);
    topology->why_len = 0;
    add_why(topology, "no sentinel told where %.64s is: ", topology->options->sentinel_master);
    ask_next(topology);
}

void redis_topology_distrust(struct redis_topology *topology)
{
    if (topology->count > 0 && !topology->hinted) {
        topology->first = (topology->first + 1) % topology->count;
    }
}

/* --- Hints --- */

/* Who knows of the new primary is asked first. */
static void on_switched(void *context, size_t sentinel, const struct redis_endpoint *primary)
{
    struct redis_topology *topology = context;
    if (!topology->link) { /* or the count of those that were asked would go wrong */
        topology->first = sentinel;
        topology->hinted = true;
    }
    topology->ops->on_switched(topology->owner, primary);
}

void redis_topology_watch(struct redis_topology *topology)
{
    if (topology->count > 0 && topology->options->reconnect) {
        redis_switch_watch_start(&topology->watch, topology->first);
    }
}

/* --- Birth and death --- */

/* What redis_options_check refuses is refused again by the first locate. */
void redis_topology_init(struct redis_topology *topology, struct loop *loop,
                         const struct redis_link_options *options,
                         const struct redis_topology_ops *ops, void *owner)
{
    *topology = (struct redis_topology){
        .loop = loop,
        .options = options,
        .ops = ops,
        .owner = owner,
    };
    wheel_timer_init(&topology->patience, on_patience_over);
    if (redis_topology_moves(topology) &&
        redis_sentinels_parse(options->sentinels, topology->sentinels, &topology->count)) {
        topology->count = 0;
    }
    redis_switch_watch_init(&topology->watch, loop, options, topology->sentinels, topology->count,
                            on_switched, topology);
}

void redis_topology_cancel(struct redis_topology *topology)
{
    hang_up(topology);
}

void redis_topology_fini(struct redis_topology *topology)
{
    hang_up(topology);
    redis_switch_watch_stop(&topology->watch);
}

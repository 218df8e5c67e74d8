#include "fanout.h"

#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

enum { TURN_US = 20000 };

static unsigned group_of(const struct fanout *fanout, uint32_t seq)
{
    return (seq - 1) % fanout->groups;
}

static void advance(struct fanout *fanout)
{
    while (fanout->completed < fanout->published &&
           fanout->window[(fanout->completed + 1) % FANOUT_WINDOW_MAX].missing == 0) {
        fanout->completed++;
    }
}

/* The client will not get the events from the one it expects up to `last`. */
static void write_off(struct fanout *fanout, struct client *client, uint32_t last)
{
    for (; client->next_event <= last; client->next_event += fanout->groups) {
        fanout->window[client->next_event % FANOUT_WINDOW_MAX].missing--;
        fanout->result.lost++;
    }
}

static void on_event(void *arg, struct client *client, const char *packet, size_t len,
                     uint64_t now_us)
{
    struct fanout *fanout = arg;
    struct fanout_result *result = &fanout->result;
    uint32_t seq;
    if (event_parse(packet, len, &seq) != OK || seq > fanout->published ||
        group_of(fanout, seq) != fleet_group(fanout->fleet, client)) {
        result->malformed++;
        return;
    }
    if (seq < client->next_event) {
        result->duplicates++;
        return;
    }
    write_off(fanout, client, seq - 1);
    client->next_event = seq + fanout->groups;
    fanout->window[seq % FANOUT_WINDOW_MAX].missing--;
    fanout->progress_us = now_us;
    result->delivered++;
    uint64_t due_us = fanout->window[seq % FANOUT_WINDOW_MAX].due_us;
    histogram_add(&result->latency, now_us > due_us ? now_us - due_us : 0);
    advance(fanout);
}

static void on_broken(void *arg, struct client *client)
{
    struct fanout *fanout = arg;
    write_off(fanout, client, fanout->published);
    fanout->members[fleet_group(fanout->fleet, client)]--;
    advance(fanout);
}

static const struct fleet_ops ops = {.on_event = on_event, .on_broken = on_broken};

enum err fanout_init(struct fanout *fanout, struct fleet *fleet, struct publisher *publisher,
                     enum event_form form)
{
    *fanout = (struct fanout){
        .fleet = fleet, .publisher = publisher, .form = form, .groups = fleet_groups(fleet)};
    fanout->members = calloc(fanout->groups, sizeof(*fanout->members));
    fleet->ops = &ops;
    fleet->ops_arg = fanout;
    return fanout->members == NULL ? ERR_NOMEM : OK;
}

void fanout_fini(struct fanout *fanout)
{
    free(fanout->members);
    fanout->members = NULL;
}

static enum err hand_over(struct fanout *fanout, uint32_t seq, bool keep)
{
    char message[EVENT_MAX];
    char channel[EVENT_CHANNEL_MAX];
    unsigned room = (seq - 1) % fanout->fleet->options->rooms + 1;
    size_t len = event_encode(fanout->form, room, seq, message);
    if (keep && fanout->publisher->script[0] != '\0') {
        const char *payload = (const char *)memchr(message, '\n', len) + 1;
        size_t payload_len = len - (size_t)(payload - message);
        return publisher_keep(fanout->publisher, room, (struct str){payload, payload_len});
    }
    event_channel(fanout->form, room, channel);
    return publisher_add(fanout->publisher, channel, (struct str){message, len});
}

static enum err publish(struct fanout *fanout, uint64_t due_us, bool keep)
{
    uint32_t seq = fanout->published + 1;
    enum err err = hand_over(fanout, seq, keep);
    if (err != OK) {
        return err;
    }
    uint32_t members = fanout->members[group_of(fanout, seq)];
    fanout->window[seq % FANOUT_WINDOW_MAX].due_us = due_us;
    fanout->window[seq % FANOUT_WINDOW_MAX].missing = members;
    fanout->published = seq;
    fanout->result.published++;
    fanout->result.expected += members;
    return OK;
}

enum err fanout_publish(struct fanout *fanout, uint32_t count, bool keep)
{
    uint64_t now_us = clock_monotonic_us();
    enum err err = OK;
    for (uint32_t i = 0; i < count && err == OK; i++) {
        err = publish(fanout, now_us, keep);
    }
    return err == OK ? publisher_flush(fanout->publisher) : err;
}

/* Publishes what is due at `now_us` and fits into the window. */
static enum err publish_due(struct fanout *fanout, const struct fanout_plan *plan,
                            uint64_t begin_us, uint64_t now_us)
{
    uint32_t in_flight_max = plan->in_flight > 0 ? plan->in_flight : FANOUT_WINDOW_MAX - 1;
    while (fanout->result.published < plan->events && now_us < begin_us + plan->publish_us &&
           fanout->published - fanout->completed < in_flight_max) {
        uint64_t due_us = begin_us + fanout->result.published * plan->interval_us;
        if (due_us > now_us) {
            break;
        }
        enum err err = publish(fanout, plan->interval_us > 0 ? due_us : now_us, plan->keep);
        if (err != OK) {
            return err;
        }
    }
    return publisher_flush(fanout->publisher);
}

bool fanout_has_arrived(const struct fanout *fanout)
{
    return fanout->completed == fanout->published && fanout->publisher->pending == 0;
}

static bool is_over(const struct fanout *fanout, const struct fanout_plan *plan, uint64_t begin_us,
                    uint64_t now_us)
{
    bool all_published =
        fanout->result.published == plan->events || now_us >= begin_us + plan->publish_us;
    bool all_arrived = fanout_has_arrived(fanout);
    return (all_published && all_arrived) || fanout->fleet->in_state[CLIENT_SUBSCRIBED] == 0 ||
           (!all_arrived && now_us > fanout->progress_us + plan->patience_us);
}

/* How long the loop may wait until the next event of a pace is due. */
static uint64_t turn_us(const struct fanout *fanout, const struct fanout_plan *plan,
                        uint64_t begin_us, uint64_t now_us)
{
    if (plan->interval_us == 0 || fanout->result.published == plan->events) {
        return TURN_US;
    }
    uint64_t due_us = begin_us + fanout->result.published * plan->interval_us;
    uint64_t wait_us = due_us > now_us ? due_us - now_us : 0;
    return wait_us < TURN_US ? wait_us : TURN_US;
}

void fanout_begin(struct fanout *fanout)
{
    const struct fleet *fleet = fanout->fleet;
    memset(fanout->members, 0, fanout->groups * sizeof(*fanout->members));
    for (unsigned i = 0; i < fleet->count; i++) {
        if (fleet->clients[i].state == CLIENT_SUBSCRIBED) {
            fanout->members[fleet_group(fleet, &fleet->clients[i])]++;
        }
    }
    fanout->result = (struct fanout_result){0};
    fanout->progress_us = clock_monotonic_us();
}

void fanout_end(struct fanout *fanout)
{
    for (unsigned i = 0; i < fanout->fleet->count; i++) {
        struct client *client = &fanout->fleet->clients[i];
        if (client->state == CLIENT_SUBSCRIBED) {
            write_off(fanout, client, fanout->published);
        }
    }
    advance(fanout);
}

enum err fanout_run(struct fanout *fanout, const struct fanout_plan *plan)
{
    fanout_begin(fanout);
    uint64_t begin_us = clock_monotonic_us();
    uint64_t now_us = begin_us;
    while (!is_over(fanout, plan, begin_us, now_us)) {
        enum err err = publish_due(fanout, plan, begin_us, now_us);
        if (err == OK) {
            fleet_turn(fanout->fleet, turn_us(fanout, plan, begin_us, now_us));
            err = publisher_poll(fanout->publisher);
        }
        if (err != OK) {
            return err;
        }
        now_us = clock_monotonic_us();
    }
    fanout->result.elapsed_us = fanout->progress_us - begin_us;
    fanout_end(fanout);
    return OK;
}

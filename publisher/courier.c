#include "publisher/courier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/parcel.h"

enum {
    TURN_MAX_MS = 1000,
    BATCH = 64, /* waiting parcels that courier_wake sends off together */
};

/* --- Sending --- */

/* Back to its old place among the waiting, which are few or younger. */
static void put_back(struct parcel *parcel)
{
    struct courier *courier = parcel->courier;
    struct list *place = courier->waiting.next;
    while (place != &courier->waiting &&
           list_entry(place, struct parcel, node)->number < parcel->number) {
        place = place->next;
    }
    list_remove(&parcel->node);
    list_push_back(place, &parcel->node);
    courier->waiting_count++;
    parcel->state = PARCEL_WAITING;
    parcel->risked = true;
    parcel->written = false;
}

static void on_lost(struct parcel *parcel)
{
    if (parcel->key && !parcel->courier->draining) {
        put_back(parcel);
    } else {
        parcel_finish_unknown(
            parcel, parcel->written ? "the connection to Redis broke before replicas confirmed"
                                    : "the connection to Redis broke before it answered");
    }
}

/* A refusal of WAIT comes when the event is written. */
static void tell_refusal(struct parcel *parcel, struct str refusal)
{
    char message[PARCEL_WHY_MAX];
    snprintf(message, sizeof message, "Redis refused %s: " STR_FMT,
             parcel->written ? "to wait for replicas, the event is written" : "the event",
             STR_ARG(refusal));
    parcel_finish(parcel, GLYFE_ERROR_REFUSED, NULL, message);
}

static void tell_answer(struct parcel *parcel, enum err err, const struct bus_published *published,
                        struct str refusal)
{
    switch (err) {
    case OK:
        parcel_finish(parcel, GLYFE_OK, published, "");
        break;
    case ERR_DENIED:
        tell_refusal(parcel, refusal);
        break;
    case ERR_TIMEOUT:
        parcel->confirmed = published->replicas;
        parcel_finish_unreplicated(parcel);
        break;
    default:
        on_lost(parcel);
        break;
    }
}

static void on_published(void *context, enum err err, const struct bus_published *published,
                         struct str refusal)
{
    struct parcel *parcel = context;
    if (err == ERR_AGAIN) {
        parcel->written = true;
        parcel->confirmed = published->replicas;
        return;
    }
    if (parcel->state == PARCEL_SENT) {
        tell_answer(parcel, err, published, refusal);
        if (parcel->state == PARCEL_WAITING) {
            return;
        }
    }
    parcel_free(parcel);
}

static enum err hand_to_bus(struct parcel *parcel)
{
    const struct bus_event event = {
        .name = str_from(parcel->message.event->name),
        .rooms = parcel->message.rooms,
        .room_count = (unsigned)parcel->message.room_count,
        .payload = buf_str(&parcel->payload),
        .once = str_from(parcel->key),
        .replicas = parcel->wait_replicas,
        .until_ms = parcel->until_ms,
    };
    return bus_publish(parcel->courier->bus, &event, on_published, parcel);
}

/* False when no more can be sent now. */
static bool send_one(struct parcel *parcel)
{
    struct courier *courier = parcel->courier;
    enum err err = hand_to_bus(parcel);
    if (err == OK) {
        list_remove(&parcel->node);
        list_push_back(&courier->sent, &parcel->node);
        courier->waiting_count--;
        parcel->state = PARCEL_SENT;
        return true;
    }
    if (err == ERR_NOMEM) {
        parcel_finish(parcel, GLYFE_ERROR_NO_MEMORY, NULL, "no memory");
        return true;
    }
    if (err == ERR_LIMIT && list_empty(&courier->sent)) {
        parcel_finish(parcel, GLYFE_ERROR_INVALID, NULL, "the event is too large");
        return true;
    }
    return false;
}

static void send_waiting(struct courier *courier)
{
    while (!list_empty(&courier->waiting) && redis_link_state(courier->link) == REDIS_LINK_UP) {
        if (!send_one(list_entry(courier->waiting.next, struct parcel, node))) {
            return;
        }
    }
}

/* --- The connection --- */

static void on_up(void *owner)
{
    struct courier *courier = owner;
    courier->was_up = true;
    courier->why[0] = '\0';
}

/*
 * Before the first connection a failed attempt means a wrong address or password, so that waiting
 * on is no use. Later it means a restart or failover, which may be over before the events' time is;
 * so does AGAIN, at any time.
 */
static void on_down(void *owner, enum err err, const char *why)
{
    struct courier *courier = owner;
    snprintf(courier->why, sizeof courier->why, "%s", why);
    if (err == ERR_AGAIN || (courier->was_up && err != ERR_DENIED)) {
        return;
    }
    enum glyfe_error error = err == ERR_DENIED ? GLYFE_ERROR_REFUSED : GLYFE_ERROR_UNREACHABLE;
    LIST_FOR_EACH (node, following, &courier->waiting) {
        parcel_finish_unsent(list_entry(node, struct parcel, node), error);
    }
}

/* --- The courier --- */

struct courier *courier_new(const struct redis_link_options *redis,
                            const struct bus_publish_options *bus)
{
    static const struct redis_link_ops ops = {.on_up = on_up, .on_down = on_down};
    struct courier *courier = calloc(1, sizeof *courier);
    if (!courier) {
        return NULL;
    }
    list_init(&courier->waiting);
    list_init(&courier->sent);
    courier->loop = loop_new();
    courier->link = courier->loop ? redis_link_new(courier->loop, redis, &ops, courier) : NULL;
    courier->bus = courier->link ? bus_publisher_new(courier->link, bus) : NULL;
    if (!courier->bus) {
        courier_free(courier);
        return NULL;
    }
    return courier;
}

/* The bus lets go of its parcels when the link ends, and must live until then. */
void courier_free(struct courier *courier)
{
    if (!courier) {
        return;
    }
    courier->draining = true;
    LIST_FOR_EACH (node, following, &courier->waiting) {
        parcel_finish_unsent(list_entry(node, struct parcel, node), GLYFE_ERROR_UNREACHABLE);
    }
    redis_link_free(courier->link);
    bus_publisher_free(courier->bus);
    loop_free(courier->loop);
    free(courier);
}

static void end_all(struct courier *courier)
{
    courier->draining = true;
    LIST_FOR_EACH (node, following, &courier->waiting) {
        parcel_finish_unsent(list_entry(node, struct parcel, node), GLYFE_ERROR_INTERNAL);
    }
    LIST_FOR_EACH (sent, after, &courier->sent) {
        parcel_finish_unknown(list_entry(sent, struct parcel, node), "the event loop failed");
    }
}

/*
 * After a rest the first turn sees the time and hears of the old connection's end, the second acts
 * on it: so that no event is sent on a connection that is known to be dead.
 */
enum err courier_wake(struct courier *courier)
{
    bool rested = courier->count == 0;
    if (courier->waiting_count >= BATCH) {
        send_waiting(courier);
    }
    enum err err = loop_turn(courier->loop, 0);
    if (!err && rested) {
        err = loop_turn(courier->loop, 0);
    }
    if (!err && rested && redis_link_state(courier->link) == REDIS_LINK_DOWN) {
        redis_link_retry_now(courier->link);
    }
    if (err) {
        end_all(courier);
    }
    return err;
}

enum err courier_take(struct courier *courier, struct parcel_contents *contents)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    char *key = contents->key ? str_dup(str_from(contents->key)) : NULL;
    if (!parcel || (contents->key && !key)) {
        free(parcel);
        free(key);
        return ERR_NOMEM;
    }
    *parcel = (struct parcel){
        .courier = courier,
        .number = courier->next_number++,
        .message = contents->message,
        .payload = contents->payload,
        .key = key,
        .wait_replicas = contents->wait_replicas,
        .until_ms = loop_now(courier->loop) + contents->timeout_ms,
        .done = contents->done,
        .context = contents->context,
    };
    buf_init(&contents->payload, 0);
    list_init(&parcel->node);
    list_push_back(&courier->waiting, &parcel->node);
    courier->count++;
    courier->waiting_count++;
    wheel_timer_init(&parcel->timer, parcel_on_timer);
    loop_timer_set(courier->loop, &parcel->timer, contents->timeout_ms);
    return OK;
}

enum err courier_turn(struct courier *courier)
{
    send_waiting(courier);
    enum err err = loop_turn(courier->loop, TURN_MAX_MS);
    if (err) {
        end_all(courier);
    }
    return err;
}

size_t courier_count(const struct courier *courier)
{
    return courier->count;
}

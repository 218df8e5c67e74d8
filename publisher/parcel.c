#include "publisher/parcel.h"

#include <stdio.h>
#include <stdlib.h>

void parcel_free(struct parcel *parcel)
{
    loop_timer_cancel(parcel->courier->loop, &parcel->timer);
    list_remove(&parcel->node);
    buf_fini(&parcel->payload);
    free(parcel->key);
    free(parcel);
}

static void describe(const struct parcel *parcel, const struct bus_published *published,
                     struct glyfe_result *result)
{
    *result = (struct glyfe_result){
        .id = published->id,
        .receivers = published->receivers,
        .duplicate = published->duplicate,
        .replicas = published->replicas,
    };
    size_t len = 0;
    for (size_t i = 0; i < parcel->message.room_count; i++) {
        len += (size_t)snprintf(result->rooms + len, sizeof result->rooms - len, "%s%s",
                                i > 0 ? "," : "", parcel->message.rooms[i].text);
    }
}

void parcel_finish(struct parcel *parcel, enum glyfe_error error,
                   const struct bus_published *published, const char *message)
{
    glyfe_done_fn done = parcel->done;
    void *context = parcel->context;
    struct glyfe_result result;
    if (published) {
        describe(parcel, published, &result);
    }
    parcel->courier->count--;
    if (parcel->state == PARCEL_SENT) {
        parcel->state = PARCEL_DROPPED;
        list_remove(&parcel->node);
        loop_timer_cancel(parcel->courier->loop, &parcel->timer);
    } else {
        parcel->courier->waiting_count--;
        parcel_free(parcel);
    }
    if (done) {
        done(context, error, published ? &result : NULL, message);
    }
}

void parcel_finish_unknown(struct parcel *parcel, const char *what)
{
    char message[PARCEL_WHY_MAX];
    snprintf(message, sizeof message,
             "%s; the event may be written or not: repeat it with %s idempotency key", what,
             parcel->key ? "the same" : "an");
    parcel_finish(parcel, GLYFE_ERROR_UNKNOWN, NULL, message);
}

void parcel_finish_unreplicated(struct parcel *parcel)
{
    char message[PARCEL_WHY_MAX];
    snprintf(
        message, sizeof message,
        "the event is written to the primary, but only %u of %u replicas confirmed it in time; "
        "repeat it with %s idempotency key",
        parcel->confirmed, parcel->wait_replicas, parcel->key ? "the same" : "an");
    parcel_finish(parcel, GLYFE_ERROR_NOT_REPLICATED, NULL, message);
}

void parcel_finish_unsent(struct parcel *parcel, enum glyfe_error error)
{
    struct courier *courier = parcel->courier;
    char message[PARCEL_WHY_MAX + 64];
    if (parcel->risked) {
        parcel_finish_unknown(parcel, "the connection to Redis broke");
        return;
    }
    const char *why = courier->why[0] ? courier->why : "no answer in time";
    snprintf(message, sizeof message, "%s: %s; nothing was written",
             error == GLYFE_ERROR_REFUSED ? "Redis refused us" : "Redis cannot be reached", why);
    parcel_finish(parcel, error, NULL, message);
}

void parcel_on_timer(struct wheel_timer *timer)
{
    struct parcel *parcel = container_of(timer, struct parcel, timer);
    if (parcel->state == PARCEL_SENT && parcel->written) {
        parcel_finish_unreplicated(parcel);
    } else if (parcel->state == PARCEL_SENT) {
        parcel_finish_unknown(parcel, "Redis did not answer in time");
    } else {
        parcel_finish_unsent(parcel, GLYFE_ERROR_UNREACHABLE);
    }
}

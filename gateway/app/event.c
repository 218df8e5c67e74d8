#include "app/event.h"

#include <stdlib.h>
#include <string.h>

#include "schema/catalogue.h"
#include "socketio/server.h"
#include "util/buf.h"
#include "util/jtext.h"

static const char *objection(const struct bus_envelope *envelope)
{
    if (!catalogue_find(envelope->event)) {
        return "no event of the catalogue";
    }
    if (jtext_check(envelope->payload, CATALOGUE_DEPTH_MAX)) {
        return "payload is not well-formed JSON in UTF-8";
    }
    if (jtext_kind(envelope->payload) != JTEXT_OBJECT) {
        return "payload is not a JSON object";
    }
    return NULL;
}

enum err app_event_new(const struct bus_envelope *envelope, struct app_event **ret_event,
                       const char **ret_why)
{
    const char *why = objection(envelope);
    if (why) {
        *ret_why = why;
        return ERR_INVALID;
    }
    struct str payload = jtext_trim(envelope->payload);
    struct app_event *event = malloc(sizeof *event + payload.len);
    if (!event) {
        *ret_why = "no memory";
        return ERR_NOMEM;
    }
    *event = (struct app_event){.id = envelope->id,
                                .name = catalogue_find(envelope->event)->name,
                                .refs = 1,
                                .payload_len = (uint32_t)payload.len};
    memcpy(event->payload, payload.ptr, payload.len);
    *ret_event = event;
    return OK;
}

void app_event_unref(struct app_event **event)
{
    struct app_event *mine = *event;
    *event = NULL;
    if (mine && --mine->refs == 0) {
        rcbuf_unref(&mine->plain);
        rcbuf_unref(&mine->with_id);
        free(mine);
    }
}

static struct rcbuf *encode_with_id(const struct app_event *event)
{
    struct buf args;
    buf_init(&args, 0);
    enum err err = buf_append(&args, app_event_payload(event));
    err = err ? err : buf_printf(&args, ",\"%llu\"", (unsigned long long)event->id);
    struct rcbuf *packet =
        err ? NULL : sio_encode_event(STR("/"), str_from(event->name), buf_str(&args));
    buf_fini(&args);
    return packet;
}

struct rcbuf *app_event_packet(struct app_event *event, bool with_id)
{
    if (with_id && event->id != 0) {
        event->with_id = event->with_id ? event->with_id : encode_with_id(event);
        return event->with_id;
    }
    if (!event->plain) {
        event->plain = sio_encode_event(STR("/"), str_from(event->name), app_event_payload(event));
    }
    return event->plain;
}

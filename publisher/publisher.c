#include <guesslyfe/publisher.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/envelope.h"
#include "publisher/courier.h"
#include "publisher/settings.h"
#include "publisher/typed.h"
#include "util/clock.h"

enum { KEY_MAX = 128, ERROR_MAX = 1024 };

struct glyfe_publisher {
    struct publisher_settings settings;
    struct bus_publish_options bus;
    struct courier *courier;
    bool calling_back;
    char error[ERROR_MAX];
};

const char *glyfe_error_name(enum glyfe_error error)
{
    switch (error) {
    case GLYFE_OK:
        return "ok";
    case GLYFE_ERROR_NO_MEMORY:
        return "no memory";
    case GLYFE_ERROR_INVALID:
        return "invalid";
    case GLYFE_ERROR_UNREACHABLE:
        return "unreachable";
    case GLYFE_ERROR_REFUSED:
        return "refused";
    case GLYFE_ERROR_UNKNOWN:
        return "unknown whether written";
    case GLYFE_ERROR_MISUSE:
        return "misuse";
    case GLYFE_ERROR_NOT_REPLICATED:
        return "not replicated";
    case GLYFE_ERROR_INTERNAL:
        break;
    }
    return "internal error";
}

/* --- Birth and death --- */

static void complain(char *complaint, size_t size, struct buf *text, enum err err)
{
    if (complaint && size > 0) {
        const char *words = text->len > 0 ? buf_cstr(text) : NULL;
        snprintf(complaint, size, "%s", words ? words : err_name(err));
    }
}

struct glyfe_publisher *glyfe_publisher_open(const char *const *settings, char *complaint,
                                             size_t complaint_size)
{
    struct buf text = {0};
    struct glyfe_publisher *publisher = calloc(1, sizeof *publisher);
    enum err err =
        publisher ? publisher_settings_load(settings, &publisher->settings, &text) : ERR_NOMEM;
    if (!err) {
        publisher->bus = bus_settings_publish(&publisher->settings.bus);
        publisher->bus.wait_max_ms = publisher->settings.redis.reply_timeout_ms / 2;
        publisher->courier = courier_new(&publisher->settings.redis, &publisher->bus);
        err = publisher->courier ? OK : ERR_NOMEM;
    }
    if (err) {
        complain(complaint, complaint_size, &text, err);
        glyfe_publisher_close(publisher);
        publisher = NULL;
    }
    buf_fini(&text);
    return publisher;
}

void glyfe_publisher_close(struct glyfe_publisher *publisher)
{
    if (!publisher) {
        return;
    }
    courier_free(publisher->courier);
    publisher_settings_fini(&publisher->settings);
    free(publisher);
}

const char *glyfe_publisher_error(const struct glyfe_publisher *publisher)
{
    return publisher->error;
}

void glyfe_publisher_set_timeout(struct glyfe_publisher *publisher, unsigned milliseconds)
{
    publisher->settings.timeout_ms = milliseconds;
}

void glyfe_publisher_set_wait_replicas(struct glyfe_publisher *publisher, unsigned replicas)
{
    publisher->settings.wait_replicas = replicas;
}

/* --- Checking --- */

static enum glyfe_error fail(struct glyfe_publisher *publisher, enum glyfe_error error,
                             const char *message)
{
    snprintf(publisher->error, sizeof publisher->error, "%s", message);
    return error;
}

static enum glyfe_error fail_err(struct glyfe_publisher *publisher, enum err err,
                                 struct buf *complaint)
{
    const char *words = complaint->len > 0 ? buf_cstr(complaint) : NULL;
    switch (err) {
    case ERR_INVALID:
    case ERR_LIMIT:
        return fail(publisher, GLYFE_ERROR_INVALID, words ? words : "the event is too large");
    case ERR_NOMEM:
        return fail(publisher, GLYFE_ERROR_NO_MEMORY, "no memory");
    default:
        return fail(publisher, GLYFE_ERROR_INTERNAL, "the event loop failed");
    }
}

static bool key_valid(const char *key)
{
    size_t len = 0;
    for (; key[len] && len <= KEY_MAX; len++) {
        if (key[len] < 0x21 || key[len] > 0x7e) {
            return false;
        }
    }
    return len > 0 && len <= KEY_MAX;
}

static enum glyfe_error begin(struct glyfe_publisher *publisher)
{
    if (publisher->calling_back) {
        return fail(publisher, GLYFE_ERROR_MISUSE, "called from a callback");
    }
    publisher->error[0] = '\0';
    return GLYFE_OK;
}

static enum glyfe_error find_event(struct glyfe_publisher *publisher, const char *name,
                                   const struct catalogue_event **ret_event)
{
    const struct catalogue_event *event = catalogue_find(str_from(name));
    if (!event) {
        snprintf(publisher->error, sizeof publisher->error, "there is no event \"%.64s\"", name);
        return GLYFE_ERROR_INVALID;
    }
    *ret_event = event;
    return GLYFE_OK;
}

/* --- Sending --- */

static enum glyfe_error turn(struct glyfe_publisher *publisher)
{
    publisher->calling_back = true;
    enum err err = courier_turn(publisher->courier);
    publisher->calling_back = false;
    return err ? fail(publisher, GLYFE_ERROR_INTERNAL, "the event loop failed") : GLYFE_OK;
}

/* Encodes, and hands over to the courier. */
static enum err take(struct glyfe_publisher *publisher, const struct catalogue_event *event,
                     struct str data, struct parcel_contents *contents, struct buf *complaint)
{
    buf_init(&contents->payload, BUS_PAYLOAD_MAX);
    enum err err = catalogue_encode(event, data, clock_wall_ms(), &contents->message,
                                    &contents->payload, complaint);
    publisher->calling_back = true;
    if (!err) {
        err = courier_wake(publisher->courier);
    }
    publisher->calling_back = false;
    if (!err) {
        err = courier_take(publisher->courier, contents);
    }
    buf_fini(&contents->payload);
    return err;
}

static enum glyfe_error submit(struct glyfe_publisher *publisher,
                               const struct catalogue_event *event, struct str data,
                               const char *key, glyfe_done_fn done, void *context)
{
    if (key && !key_valid(key)) {
        return fail(publisher, GLYFE_ERROR_INVALID,
                    "idempotency key: expected 1 to 128 visible ASCII characters");
    }
    struct parcel_contents contents = {
        .key = key,
        .timeout_ms = publisher->settings.timeout_ms,
        .wait_replicas = (unsigned)publisher->settings.wait_replicas,
        .done = done,
        .context = context,
    };
    struct buf complaint = {0};
    enum err err = take(publisher, event, data, &contents, &complaint);
    enum glyfe_error error = err ? fail_err(publisher, err, &complaint) : GLYFE_OK;
    buf_fini(&complaint);
    return error;
}

/* Submitting waits here while as many events as the window allows are on their way. */
static enum glyfe_error wait_for_room(struct glyfe_publisher *publisher)
{
    enum glyfe_error error = GLYFE_OK;
    while (!error && courier_count(publisher->courier) >= publisher->settings.window) {
        error = turn(publisher);
    }
    return error;
}

enum glyfe_error glyfe_submit(struct glyfe_publisher *publisher, const char *name, const char *data,
                              const char *idempotency_key, glyfe_done_fn done, void *context)
{
    const struct catalogue_event *event;
    enum glyfe_error error = begin(publisher);
    if (!error) {
        error = find_event(publisher, name, &event);
    }
    if (!error) {
        error = wait_for_room(publisher);
    }
    return error ? error : submit(publisher, event, str_from(data), idempotency_key, done, context);
}

enum glyfe_error glyfe_flush(struct glyfe_publisher *publisher)
{
    enum glyfe_error error = begin(publisher);
    while (!error && courier_count(publisher->courier) > 0) {
        error = turn(publisher);
    }
    return error;
}

size_t glyfe_pending(const struct glyfe_publisher *publisher)
{
    return courier_count(publisher->courier);
}

/* --- One at a time --- */

struct answer {
    struct glyfe_publisher *publisher;
    bool done;
    enum glyfe_error error;
    struct glyfe_result result;
};

static void on_answer(void *context, enum glyfe_error error, const struct glyfe_result *result,
                      const char *message)
{
    struct answer *answer = context;
    answer->done = true;
    answer->error = error ? fail(answer->publisher, error, message) : GLYFE_OK;
    if (result) {
        answer->result = *result;
    }
}

static enum glyfe_error publish(struct glyfe_publisher *publisher,
                                const struct catalogue_event *event, struct str data,
                                const char *key, struct glyfe_result *ret_result)
{
    struct answer answer = {.publisher = publisher};
    enum glyfe_error error = submit(publisher, event, data, key, on_answer, &answer);
    while (!error && !answer.done) {
        error = turn(publisher);
    }
    error = error ? error : answer.error;
    if (!error && ret_result) {
        *ret_result = answer.result;
    }
    return error;
}

enum glyfe_error glyfe_publish(struct glyfe_publisher *publisher, const char *name,
                               const char *data, const char *idempotency_key,
                               struct glyfe_result *ret_result)
{
    const struct catalogue_event *event;
    enum glyfe_error error = begin(publisher);
    if (!error) {
        error = find_event(publisher, name, &event);
    }
    return error ? error : publish(publisher, event, str_from(data), idempotency_key, ret_result);
}

enum glyfe_error typed_publish(struct glyfe_publisher *publisher, const char *name,
                               const size_t *offsets, const void *values,
                               const char *idempotency_key, struct glyfe_result *ret_result)
{
    enum glyfe_error error = begin(publisher);
    if (error) {
        return error;
    }
    const struct catalogue_event *event = catalogue_find(str_from(name));
    struct buf json = {0}, complaint = {0};
    enum err err = typed_to_json(event, offsets, values, &json, &complaint);
    error = err ? fail_err(publisher, err, &complaint)
                : publish(publisher, event, buf_str(&json), idempotency_key, ret_result);
    buf_fini(&json);
    buf_fini(&complaint);
    return error;
}

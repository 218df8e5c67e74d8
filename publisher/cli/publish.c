/* One event: its data from --data, from a flag a field, or from standard input. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "publisher/cli/command.h"
#include "publisher/cli/fields.h"
#include "publisher/cli/input.h"
#include "publisher/cli/report.h"
#include "util/clock.h"

static bool has_field(const struct catalogue_event *event, const char *name)
{
    for (size_t i = 0; i < event->field_count; i++) {
        if (strcmp(event->fields[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Beside other field flags, --data is the field of that name. */
static enum err fields_with_data(const struct catalogue_event *event,
                                 const struct arguments *arguments, struct buf *data,
                                 struct buf *complaint)
{
    struct field_flag own = {"data", 4, arguments->data};
    enum err err =
        fields_to_json(event, arguments->fields, arguments->field_count, data, complaint);
    if (err || !arguments->data) {
        return err;
    }
    struct buf more = {0};
    err = fields_to_json(event, &own, 1, &more, complaint);
    if (!err) {
        data->len--; /* the closing brace */
        err = buf_printf(data, ",%.*s", (int)more.len - 1, more.data + 1);
    }
    buf_fini(&more);
    return err;
}

static enum err gather(const struct catalogue_event *event, const struct arguments *arguments,
                       struct buf *data, struct buf *complaint)
{
    if (arguments->field_count > 0) {
        return fields_with_data(event, arguments, data, complaint);
    }
    if (arguments->data) {
        return buf_append(data, str_from(arguments->data));
    }
    if (isatty(STDIN_FILENO)) {
        fputs("guesslyfe-publish: reading the data object from standard input\n", stderr);
    }
    return input_read_all(STDIN_FILENO, CATALOGUE_DATA_MAX + 1, data, complaint);
}

static enum exit_code dry_run(const struct report_place *place, const struct catalogue_event *event,
                              struct str data)
{
    struct catalogue_message message;
    struct buf payload = {0}, complaint = {0};
    enum err err = catalogue_encode(event, data, clock_wall_ms(), &message, &payload, &complaint);
    enum exit_code code = EXIT_CONFIRMED;
    if (err == ERR_INVALID) {
        const char *words = buf_cstr(&complaint);
        code = report_error(place, EXIT_DATA, words ? words : err_name(err));
    } else if (err) {
        code = report_error(place, EXIT_INTERNAL, err_name(err));
    } else {
        report_dry_run(place, &message, buf_str(&payload));
    }
    buf_fini(&payload);
    buf_fini(&complaint);
    return code;
}

static enum exit_code send(const struct report_place *place, const struct arguments *arguments,
                           const char *data)
{
    char complaint[512];
    struct glyfe_publisher *publisher =
        glyfe_publisher_open((const char *const *)arguments->settings, complaint, sizeof complaint);
    if (!publisher) {
        return report_usage(complaint);
    }
    struct glyfe_result result;
    enum glyfe_error error = glyfe_publish(publisher, place->event, data, arguments->key, &result);
    enum exit_code code = exit_code_of(error);
    if (error) {
        report_error(place, code, glyfe_publisher_error(publisher));
    } else {
        report_result(place, &result);
    }
    glyfe_publisher_close(publisher);
    return code;
}

static enum exit_code send_or_show(const struct report_place *place,
                                   const struct catalogue_event *event,
                                   const struct arguments *arguments, struct buf *data)
{
    if (arguments->dry_run) {
        return dry_run(place, event, buf_str(data));
    }
    if (memchr(data->data ? data->data : "", '\0', data->len)) {
        return report_error(place, EXIT_DATA, "data: expected a JSON object, got a zero byte");
    }
    const char *text = buf_cstr(data);
    return text ? send(place, arguments, text)
                : report_error(place, EXIT_INTERNAL, err_name(ERR_NOMEM));
}

/* The data object may also stand behind the event's name. */
static enum exit_code unify(struct arguments *arguments)
{
    const char *operand = arguments->operands[1];
    if (!operand) {
        return EXIT_CONFIRMED;
    }
    if (arguments->data || arguments->field_count > 0 || *operand != '{') {
        return report_usage("behind the event stands nothing but its data object; see --bulk");
    }
    arguments->data = operand;
    return EXIT_CONFIRMED;
}

static enum exit_code publish(const struct arguments *arguments)
{
    const char *name = arguments->operands[0];
    const struct catalogue_event *event = catalogue_find(str_from(name));
    if (!event) {
        char message[160];
        snprintf(message, sizeof message,
                 "there is no event \"%.64s\"; guesslyfe-publish events lists them", name);
        return report_usage(message);
    }
    if (arguments->data && arguments->field_count > 0 && !has_field(event, "data")) {
        return report_usage("--data holds the whole data object: give no field flags beside it");
    }
    struct report_place place = {.json = arguments->json, .event = event->name};
    struct buf data = {0}, complaint = {0};
    enum err err = gather(event, arguments, &data, &complaint);
    enum exit_code code;
    if (err) {
        const char *words = complaint.len > 0 ? buf_cstr(&complaint) : NULL;
        code = report_error(&place, err == ERR_INVALID ? EXIT_DATA : EXIT_INTERNAL,
                            words ? words : err_name(err));
    } else {
        code = send_or_show(&place, event, arguments, &data);
    }
    buf_fini(&data);
    buf_fini(&complaint);
    return code;
}

enum exit_code command_publish(const struct arguments *arguments)
{
    struct arguments own = *arguments;
    enum exit_code code = unify(&own);
    return code ? code : publish(&own);
}

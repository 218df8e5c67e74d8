/* The catalogue, for people and for shell completion. */
#include <stdio.h>

#include "publisher/cli/command.h"
#include "publisher/cli/fields.h"
#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"
#include "schema/catalogue.h"
#include "schema/check.h"
#include "util/buf.h"

static void print_rooms(const struct catalogue_event *event)
{
    for (size_t i = 0; i < event->room_count; i++) {
        const struct catalogue_room *room = &event->rooms[i];
        struct str kind = room_kind_name(room->kind);
        printf("%s" STR_FMT ":%s%s%s", i > 0 ? ", " : "", STR_ARG(kind), room->field ? "{" : "",
               room->field ? room->field : "all", room->field ? "}" : "");
    }
}

static enum exit_code list(const struct arguments *arguments)
{
    (void)arguments;
    size_t count;
    const struct catalogue_event *events = catalogue_events(&count);
    for (size_t i = 0; i < count; i++) {
        printf("%-22s %s\n", events[i].name, events[i].help);
    }
    return EXIT_CONFIRMED;
}

const struct verb verb_events = {
    .name = "events",
    .operands = "",
    .summary = "list the events",
    .details = "Lists the events that can be published, each with what it tells.",
    .run = list,
};

static const char *presence(const struct catalogue_field *field)
{
    return field->defaults_to_now ? "default: now" : field->required ? "required" : "optional";
}

static enum err print_field(const struct catalogue_field *field)
{
    struct buf flag = {0}, takes = {0};
    enum err err = fields_flag_name(field->name, &flag);
    if (!err) {
        err = check_describe(field, &takes);
    }
    if (!err) {
        printf("  --" STR_FMT "  (%s; %s)\n      %s. Takes " STR_FMT "\n", STR_ARG(buf_str(&flag)),
               field->name, presence(field), field->help, STR_ARG(buf_str(&takes)));
    }
    buf_fini(&flag);
    buf_fini(&takes);
    return err;
}

static enum exit_code describe(const struct arguments *arguments)
{
    const char *name = arguments->operands[1];
    if (!name) {
        return report_usage("describe needs the name of an event");
    }
    const struct catalogue_event *event = catalogue_find(str_from(name));
    if (!event) {
        return report_usage("there is no such event; guesslyfe-publish events lists them");
    }
    printf("%s: %s\nRooms: ", event->name, event->help);
    print_rooms(event);
    printf("\n\nFields:\n");
    for (size_t i = 0; i < event->field_count; i++) {
        if (print_field(&event->fields[i])) {
            return EXIT_INTERNAL;
        }
    }
    printf("\nExample:\n  guesslyfe-publish %s --data '%s'\n", event->name, event->example);
    return EXIT_CONFIRMED;
}

const struct verb verb_describe = {
    .name = "describe",
    .operands = "EVENT",
    .operands_most = 1,
    .summary = "its fields, rooms and an example",
    .details =
        "Prints what an event's fields are, with their flags, which rooms it goes to, and an "
        "example.",
    .run = describe,
};

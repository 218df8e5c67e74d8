#include "publisher/cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/jtext.h"

enum exit_code exit_code_of(enum glyfe_error error)
{
    switch (error) {
    case GLYFE_OK:
        return EXIT_CONFIRMED;
    case GLYFE_ERROR_INVALID:
        return EXIT_DATA;
    case GLYFE_ERROR_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case GLYFE_ERROR_REFUSED:
        return EXIT_REFUSED;
    case GLYFE_ERROR_UNKNOWN:
        return EXIT_UNKNOWN;
    case GLYFE_ERROR_NOT_REPLICATED:
        return EXIT_NOT_REPLICATED;
    case GLYFE_ERROR_NO_MEMORY:
    case GLYFE_ERROR_MISUSE:
    case GLYFE_ERROR_INTERNAL:
        break;
    }
    return EXIT_INTERNAL;
}

/* Text may hold anything; what cannot be quoted for want of memory becomes null. */
static void print_quoted(const char *text)
{
    struct buf quoted = {0};
    if (text && jtext_quote(str_from(text), &quoted) == OK) {
        fwrite(quoted.data, 1, quoted.len, stdout);
    } else {
        fputs("null", stdout);
    }
    buf_fini(&quoted);
}

static void print_place(const struct report_place *place)
{
    fputs("{\"event\":", stdout);
    print_quoted(place->event);
    if (place->line > 0) {
        printf(",\"line\":%lu", place->line);
    }
}

static void print_rooms(struct str rooms)
{
    struct str room;
    fputs(",\"rooms\":[", stdout);
    for (bool first = true; str_split(&rooms, ',', &room); first = false) {
        struct buf quoted = {0};
        if (jtext_quote(room, &quoted) == OK) {
            printf("%s" STR_FMT, first ? "" : ",", STR_ARG(buf_str(&quoted)));
        }
        buf_fini(&quoted);
    }
    fputs("]", stdout);
}

void report_result(const struct report_place *place, const struct glyfe_result *result)
{
    if (!place->json) {
        printf("%s id=%" PRIu64 " rooms=%s receivers=%" PRIu64 " duplicate=%s", place->event,
               result->id, result->rooms, result->receivers, result->duplicate ? "yes" : "no");
        if (result->replicas > 0) {
            printf(" replicas=%u", result->replicas);
        }
        fputs("\n", stdout);
        return;
    }
    print_place(place);
    print_rooms(str_from(result->rooms));
    printf(",\"id\":%" PRIu64 ",\"receivers\":%" PRIu64 ",\"duplicate\":%s,\"replicas\":%u}\n",
           result->id, result->receivers, result->duplicate ? "true" : "false", result->replicas);
}

void report_dry_run(const struct report_place *place, const struct catalogue_message *message,
                    struct str payload)
{
    char rooms[GLYFE_ROOMS_SIZE];
    size_t len = 0;
    for (size_t i = 0; i < message->room_count; i++) {
        len += (size_t)snprintf(rooms + len, sizeof rooms - len, "%s%s", i > 0 ? "," : "",
                                message->rooms[i].text);
    }
    if (place->json) {
        print_place(place);
        print_rooms(str_from(rooms));
        fputs(",\"dryRun\":true,\"payload\":", stdout);
        fwrite(payload.ptr, 1, payload.len, stdout);
        fputs("}\n", stdout);
        return;
    }
    printf("%s would go to rooms=%s\n", place->event, rooms);
    fwrite(payload.ptr, 1, payload.len, stdout);
    fputs("\n", stdout);
}

enum exit_code report_error(const struct report_place *place, enum exit_code code,
                            const char *message)
{
    if (place->line > 0) {
        fprintf(stderr, "guesslyfe-publish: line %lu: %s\n", place->line, message);
    } else {
        fprintf(stderr, "guesslyfe-publish: %s\n", message);
    }
    if (place->json) {
        print_place(place);
        fputs(",\"error\":", stdout);
        print_quoted(message);
        printf(",\"exitCode\":%d}\n", (int)code);
    }
    return code;
}

enum exit_code report_usage(const char *message)
{
    fprintf(stderr, "guesslyfe-publish: %s\nTry guesslyfe-publish --help.\n", message);
    return EXIT_USAGE;
}

enum exit_code report_complaint(enum err err, struct buf *complaint)
{
    const char *words = complaint->len > 0 ? buf_cstr(complaint) : NULL;
    enum exit_code code = report_usage(words ? words : err_name(err));
    buf_fini(complaint);
    return code;
}

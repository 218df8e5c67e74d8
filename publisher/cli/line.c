#include "publisher/cli/line.h"

#include <inttypes.h>

#include "schema/catalogue.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/jtext.h"
#include "util/utf8.h"

void line_print_quoted(struct str text, FILE *out)
{
    struct buf quoted = {0};
    if (jtext_quote(text, &quoted) == OK) {
        fwrite(quoted.data, 1, quoted.len, out);
    } else {
        fputs("null", out);
    }
    buf_fini(&quoted);
}

/* White space between values is all that a line's end can be in JSON. */
static void print_payload(struct str payload, FILE *out)
{
    if (jtext_check(payload, CATALOGUE_DEPTH_MAX + 1) == OK) {
        for (size_t i = 0; i < payload.len; i++) {
            char c = payload.ptr[i];
            fputc(c == '\n' || c == '\r' ? ' ' : c, out);
        }
    } else if (utf8_valid(payload)) {
        line_print_quoted(payload, out);
    } else {
        fprintf(out, "\"(%zu bytes that are not UTF-8)\"", payload.len);
    }
}

static void print_json(const struct bus_envelope *envelope, const char *time, FILE *out)
{
    fprintf(out, "{\"id\":%" PRIu64 ",\"time\":\"%s\",\"event\":", envelope->id, time);
    line_print_quoted(envelope->event, out);
    for (unsigned i = 0; i < envelope->room_count; i++) {
        fputs(i == 0 ? ",\"rooms\":[" : ",", out);
        line_print_quoted(envelope->rooms[i], out);
    }
    fputs("],\"payload\":", out);
    print_payload(envelope->payload, out);
    fputs("}\n", out);
}

static void print_words(const struct bus_envelope *envelope, const char *time, FILE *out)
{
    fprintf(out, "%" PRIu64 " %s " STR_FMT " ", envelope->id, time, STR_ARG(envelope->event));
    for (unsigned i = 0; i < envelope->room_count; i++) {
        fprintf(out, "%s" STR_FMT, i > 0 ? "," : "", STR_ARG(envelope->rooms[i]));
    }
    fputc(' ', out);
    print_payload(envelope->payload, out);
    fputc('\n', out);
}

void line_print(const struct bus_envelope *envelope, bool json, int64_t now_ms, FILE *out)
{
    char time[CLOCK_ISO8601_LEN + 1];
    clock_iso8601(envelope->id > 0 ? (int64_t)(envelope->id / 1000) : now_ms, time);
    if (json) {
        print_json(envelope, time, out);
    } else {
        print_words(envelope, time, out);
    }
}

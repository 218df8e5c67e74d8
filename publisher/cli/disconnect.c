/* Ending connections, for now: whoever has a good token may come back. */
#include <inttypes.h>
#include <stdio.h>

#include "bus/revocation.h"
#include "publisher/cli/inquiry.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"
#include "util/jtext.h"
#include "util/utf8.h"

static const struct verb_flag flags[] = {
    {.name = "socket", .value = "ID", .help = "The connection of this Socket.IO id"},
    {.name = "token", .value = "JTI", .help = "All connections by the token of this id (jti)"},
    INQUIRY_FLAG,
};

struct target {
    const char *key, *value; /* of the question */
};

/* False: not one of the three, or what cannot be. */
static bool read_target(const struct arguments *arguments, char user[ROOM_ID_MAX + 1],
                        struct target *target)
{
    const char *operand = arguments->operands[1];
    const char *socket = arguments_value(arguments, "socket");
    const char *token = arguments_value(arguments, "token");
    if (!!operand + !!socket + !!token != 1) {
        return false;
    }
    if (operand) {
        *target = (struct target){"user", user};
        return !bus_revocation_user(str_from(operand), user);
    }
    *target = socket ? (struct target){"socket", socket} : (struct target){"token", token};
    return *target->value && utf8_valid(str_from(target->value));
}

static enum exit_code tell(const struct inquiry *inquiry, const struct target *target)
{
    uint64_t count = inquiry_sum(inquiry, STR("disconnected"));
    if (inquiry->console->json) {
        printf("{\"%s\":", target->key);
        line_print_quoted(str_from(target->value), stdout);
        printf(",\"disconnected\":%" PRIu64, count);
        inquiry_print_json(inquiry);
        fputs("}\n", stdout);
    } else {
        inquiry_print_counts(inquiry, " DISCONNECTED", STR("disconnected"));
        printf("%s %s: %" PRIu64 " disconnected\n", target->key, target->value, count);
    }
    return inquiry_judge(inquiry, "connections there may still stand");
}

static enum exit_code disconnect(struct console *console, const struct target *target,
                                 uint64_t wait_ms)
{
    struct inquiry inquiry = {0};
    struct buf members = {0};
    enum err err = buf_printf(&members, "\"%s\":", target->key);
    err = err ? err : jtext_quote(str_from(target->value), &members);
    enum exit_code code =
        err ? EXIT_INTERNAL
            : inquiry_ask(&inquiry, console, STR("disconnect"), buf_str(&members), wait_ms);
    code = code ? code : tell(&inquiry, target);
    buf_fini(&members);
    inquiry_fini(&inquiry);
    return code;
}

static enum exit_code run(const struct arguments *arguments)
{
    struct console console = {0};
    struct target target;
    struct buf complaint = {0};
    char user[ROOM_ID_MAX + 1];
    uint64_t wait_ms;
    if (!read_target(arguments, user, &target)) {
        return report_usage("disconnect whom? A USER, --socket ID, or --token JTI: one of them");
    }
    enum err err = inquiry_wait(arguments, &wait_ms, &complaint);
    if (err) {
        return report_complaint(err, &complaint);
    }
    enum exit_code code = console_open(&console, arguments);
    code = code ? code : disconnect(&console, &target, wait_ms);
    console_close(&console);
    return code;
}

const struct verb verb_disconnect = {
    .name = "disconnect",
    .operands = "USER",
    .operands_most = 1,
    .summary = "end connections, for now",
    .details =
        "Disconnects all connections of a user, or one connection, or those by one token, on all "
        "gateways, and says how many there were on each. Official clients do not come back by "
        "themselves after that, and cannot recover; but nothing keeps them from connecting anew: "
        "see revoke.\n"
        "\n"
        "It ends with status 0 also where there was nobody to disconnect, with 8 where a gateway "
        "has "
        "not answered, and with 9 where there is none.",
    VERB_FLAGS(flags),
    .run = run,
};

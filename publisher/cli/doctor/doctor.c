/* Whether everything around the gateways is as they need it, and what to change where it is not. */
#include "publisher/cli/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/cli/inquiry.h"
#include "publisher/cli/line.h"
#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"

enum { PROXY_IDLE_S = 60 };

static const struct verb_flag flags[] = {
    {.name = "for",
     .value = "PROGRAM",
     .help = "Whose rights in Redis are needed: gateway, publisher or operator; by default it is "
             "enough that one of them could work"},
    {.name = "acl-user",
     .value = "NAME",
     .help = "Look at the rights of this user of Redis (needs 7.0 and the right to ACL DRYRUN); by "
             "default the own ones"},
    {.name = "proxy-idle",
     .value = "SECONDS",
     .help = "After so long a proxy between clients and gateways ends a silent connection; 60 by "
             "default"},
    INQUIRY_FLAG,
};

/* --- Telling --- */

static const struct {
    const char *word, *json;
} verdicts[VERDICTS] = {
    [VERDICT_OK] = {"OK", "ok"},
    [VERDICT_WARN] = {"WARN", "warn"},
    [VERDICT_FAIL] = {"FAIL", "fail"},
    [VERDICT_UNKNOWN] = {"?", "unknown"},
};

static void print_json(enum verdict verdict, const char *check, const char *text,
                       const char *advice)
{
    printf("{\"check\":\"%s\",\"status\":\"%s\",\"text\":", check, verdicts[verdict].json);
    line_print_quoted(str_from(text), stdout);
    if (advice) {
        fputs(",\"advice\":", stdout);
        line_print_quoted(str_from(advice), stdout);
    }
    fputs("}\n", stdout);
}

void doctor_say(struct doctor *doctor, enum verdict verdict, const char *check, const char *advice,
                const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doctor->told[verdict]++;
    if (doctor->console.json) {
        print_json(verdict, check, text, advice);
        return;
    }
    printf("%-5s %-16s %s\n", verdicts[verdict].word, check, text);
    if (advice) {
        printf("%21s→ %s\n", "", advice);
    }
}

void doctor_cannot(struct doctor *doctor, const char *check, const struct answer *answer)
{
    if (answer && answer->kind == ANSWER_ERROR) {
        doctor_say(doctor, VERDICT_UNKNOWN, check, NULL,
                   "can't be checked with this user: " STR_FMT, STR_ARG(answer->text));
    } else {
        doctor_say(doctor, VERDICT_UNKNOWN, check, NULL, "can't be checked: %s",
                   answer ? "Redis answers something else than expected" : doctor->console.why);
    }
}

static void summarize(const struct doctor *doctor)
{
    if (!doctor->console.json) {
        printf("\n%u ok, %u warnings, %u failures, %u not checked\n", doctor->told[VERDICT_OK],
               doctor->told[VERDICT_WARN], doctor->told[VERDICT_FAIL],
               doctor->told[VERDICT_UNKNOWN]);
    }
}

/* --- What Redis says of itself --- */

/* All sections at once; without memory, or rights, nothing is known. */
static void ask_info(struct doctor *doctor)
{
    const struct answer *info = CONSOLE_ASK(&doctor->console, STR("INFO"));
    doctor->info = info && info->kind == ANSWER_TEXT ? str_dup(info->text) : NULL;
}

struct str doctor_info(const struct doctor *doctor, const char *name)
{
    return doctor->info ? answer_info(str_from(doctor->info), name) : STR("");
}

uint64_t doctor_info_number(const struct doctor *doctor, const char *name)
{
    return doctor->info ? answer_info_number(str_from(doctor->info), name) : 0;
}

const char *doctor_setting(struct doctor *doctor, const char *name)
{
    const struct answer *answer =
        CONSOLE_ASK(&doctor->console, STR("CONFIG"), STR("GET"), str_from(name));
    free(doctor->setting);
    bool there = answer && answer->kind == ANSWER_LIST && answer->count == 2;
    doctor->setting = there ? str_dup(answer_item(answer, 1)) : NULL;
    return doctor->setting;
}

/* --- The verb --- */

static enum exit_code examine(struct doctor *doctor)
{
    ask_info(doctor);
    doctor_check_server(doctor);
    doctor_check_memory(doctor);
    doctor_check_bus(doctor);
    doctor_check_rights(doctor);
    doctor_check_fleet(doctor);
    summarize(doctor);
    return doctor->told[VERDICT_FAIL] > 0 ? EXIT_UNSOUND : EXIT_CONFIRMED;
}

static void tell_no_connection(struct doctor *doctor, enum exit_code code)
{
    doctor_say(
        doctor, VERDICT_FAIL, "connection",
        code == EXIT_REFUSED
            ? "check REDIS_USER and REDIS_PASSWORD, and that this is the primary: REDIS_HOST, "
              "or REDIS_SENTINELS"
            : "check that Redis runs, and REDIS_HOST, REDIS_PORT, REDIS_TLS, "
              "REDIS_SENTINELS",
        "%s", doctor->console.why);
}

static enum err read_wishes(struct doctor *doctor, const struct arguments *arguments,
                            struct buf *complaint)
{
    static const char *const programs[] = {"gateway", "publisher", "operator"};
    const struct arguments_range idle = {1, 86400, PROXY_IDLE_S};
    bool known = false;
    doctor->program = arguments_value(arguments, "for");
    doctor->acl_user = arguments_value(arguments, "acl-user");
    for (size_t i = 0; i < ARRAY_LEN(programs) && doctor->program; i++) {
        known |= strcmp(doctor->program, programs[i]) == 0;
    }
    if (doctor->program && !known) {
        enum err err = buf_append(complaint, STR("--for: expected gateway, publisher or operator"));
        return err ? err : ERR_INVALID;
    }
    enum err err =
        arguments_number(arguments, "proxy-idle", idle, &doctor->proxy_idle_ms, complaint);
    doctor->proxy_idle_ms *= err ? 0 : 1000;
    return err ? err : inquiry_wait(arguments, &doctor->wait_ms, complaint);
}

static enum exit_code run(const struct arguments *arguments)
{
    struct doctor doctor = {0};
    struct buf complaint = {0};
    enum err err = read_wishes(&doctor, arguments, &complaint);
    if (err) {
        return report_complaint(err, &complaint);
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    doctor.console.quiet = true; /* the checks tell what went wrong */
    enum exit_code code = console_open(&doctor.console, arguments);
    if (!code) {
        code = examine(&doctor);
    } else if (code != EXIT_USAGE) {
        tell_no_connection(&doctor, code);
    }
    free(doctor.info);
    free(doctor.setting);
    console_close(&doctor.console);
    return code;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "check Redis, rights and the fleet",
    .details =
        "Looks at everything around the gateways that can be looked at from here: Redis' version, "
        "role, replicas, memory, persistence, limits and clock; whether what is published comes "
        "back; the rights of the user of Redis; the gateways and their settings. Each line is OK, "
        "WARN (it works, but not in every case), FAIL (events, clients or revocations are lost, or "
        "will be) or ? (this user may not look), and says what to change. It writes nothing.\n"
        "\n"
        "It ends with status 10 where something failed, with 0 otherwise, with 4 or 5 where Redis "
        "cannot be reached or refuses the user.\n"
        "\n"
        "  guesslyfe-publish doctor --for publisher --proxy-idle 120",
    VERB_FLAGS(flags),
    .run = run,
};

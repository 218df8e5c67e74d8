/* guesslyfe-publish: events for cron jobs, scripts and administrators. */
#include <stdio.h>
#include <string.h>

#include "publisher/cli/command.h"
#include "publisher/cli/report.h"
#include "publisher/settings.h"

/* Commands that are named by the first operand; any other operand is an event. */
static const struct {
    const char *name;
    enum exit_code (*run)(const struct arguments *arguments);
} commands[] = {
    {"events", command_events},
    {"describe", command_describe},
};

static const char usage[] =
    "Usage:\n"
    "  guesslyfe-publish [OPTION…] EVENT --FIELD VALUE…   publish one event\n"
    "  guesslyfe-publish [OPTION…] EVENT JSON             the same, its data as one object\n"
    "  guesslyfe-publish [OPTION…] EVENT < FILE           the same, from standard input\n"
    "  guesslyfe-publish [OPTION…] --bulk < FILE          one {\"event\":…,\"data\":…} a line\n"
    "  guesslyfe-publish events                           list the events\n"
    "  guesslyfe-publish describe EVENT                   its fields, rooms and an example\n"
    "\n"
    "Example:\n"
    "  guesslyfe-publish system:announcement --id 1 --title Hello \\\n"
    "      --message 'We are back' --priority high\n"
    "\n"
    "Options:\n"
    "  --data JSON               the data object\n"
    "  --FIELD VALUE             a field by its name: --marketId or --market-id;\n"
    "                            lists as a,b or JSON\n"
    "  --idempotency-key KEY     the event is written once however often this is\n"
    "                            repeated\n"
    "  --timeout MS              short for --publish-timeout\n"
    "  --wait-replicas N         short for --publish-wait-replicas\n"
    "  --dry-run                 show what would be written and contact nobody\n"
    "  --json                    results and errors as JSON on standard output\n"
    "  --bulk, --lines           read events from standard input, one JSON object a\n"
    "                            line, each with an optional \"idempotencyKey\"\n"
    "  --check-config            print the settings and stop\n"
    "  --help, -h, --version\n";

enum exit_code command_help(const struct arguments *arguments)
{
    (void)arguments;
    fputs(usage, stdout);
    config_print_help(publisher_settings_table(), stdout);
    fputs("\nExit status:\n"
          "  0  Redis has confirmed the event (all events of --bulk)\n"
          "  1  something inside failed, such as memory\n"
          "  2  wrong command line or setting; nothing was written\n"
          "  3  the data was refused, the message names the field; nothing was written\n"
          "  4  Redis cannot be reached; nothing was written\n"
          "  5  Redis refused; the message holds its words\n"
          "  6  no answer after sending: written or not; repeat it with an idempotency key\n"
          "  7  written, but not on as many replicas in time as --wait-replicas wants;\n"
          "     repeat it with an idempotency key\n"
          "With --bulk it is the status of the first line that failed.\n",
          stdout);
    return EXIT_CONFIRMED;
}

enum exit_code command_version(const struct arguments *arguments)
{
    (void)arguments;
    puts("guesslyfe-publish " GUESSLYFE_VERSION);
    return EXIT_CONFIRMED;
}

enum exit_code command_check_config(const struct arguments *arguments)
{
    struct publisher_settings settings;
    struct buf complaint = {0};
    enum err err =
        publisher_settings_load((const char *const *)arguments->settings, &settings, &complaint);
    enum exit_code code = EXIT_CONFIRMED;
    if (err) {
        const char *words = complaint.len > 0 ? buf_cstr(&complaint) : NULL;
        code = report_usage(words ? words : err_name(err));
    } else {
        config_print_values(publisher_settings_table(), &settings, stdout);
        publisher_settings_fini(&settings);
    }
    buf_fini(&complaint);
    return code;
}

/* Of a command that has no fields. */
static enum exit_code refuse_flag(const struct field_flag *flag)
{
    struct str name = {flag->name, flag->name_len};
    struct buf complaint = {0};
    enum err err = buf_printf(&complaint, "unknown option --" STR_FMT, STR_ARG(name));
    err = err ? err : arguments_suggest(name, &complaint);
    const char *words = err ? NULL : buf_cstr(&complaint);
    enum exit_code code = report_usage(words ? words : "unknown option");
    buf_fini(&complaint);
    return code;
}

static enum exit_code run(const struct arguments *arguments)
{
    if (arguments->help || arguments->version) {
        return arguments->help ? command_help(arguments) : command_version(arguments);
    }
    if (arguments->check_config) {
        return command_check_config(arguments);
    }
    if (arguments->bulk) {
        return command_bulk(arguments);
    }
    const char *name = arguments->operands[0];
    if (!name) {
        return report_usage("which event?");
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return arguments->field_count > 0 ? refuse_flag(arguments->fields)
                                              : commands[i].run(arguments);
        }
    }
    return command_publish(arguments);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct buf complaint = {0};
    enum err err = arguments_parse(argc, argv, &arguments, &complaint);
    enum exit_code code = EXIT_INTERNAL;
    if (err) {
        const char *words = complaint.len > 0 ? buf_cstr(&complaint) : NULL;
        code = report_usage(words ? words : err_name(err));
    } else {
        code = run(&arguments);
    }
    arguments_fini(&arguments);
    buf_fini(&complaint);
    if (fflush(stdout) != 0 && code == EXIT_CONFIRMED) {
        fputs("guesslyfe-publish: standard output cannot be written\n", stderr);
        code = EXIT_INTERNAL;
    }
    return code;
}

/* guesslyfe-publish: events for cron jobs, scripts and administrators. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "publisher/cli/command.h"
#include "publisher/cli/report.h"
#include "publisher/cli/verb.h"
#include "publisher/settings.h"

static const char usage[] =
    "Usage:\n"
    "  guesslyfe-publish [OPTION…] EVENT --FIELD VALUE…   publish one event\n"
    "  guesslyfe-publish [OPTION…] EVENT JSON             the same, its data as one object\n"
    "  guesslyfe-publish [OPTION…] EVENT < FILE           the same, from standard input\n"
    "  guesslyfe-publish [OPTION…] --bulk < FILE          one {\"event\":…,\"data\":…} a line\n"
    "  guesslyfe-publish VERB --help                      about one of these:\n";

static const char options[] =
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
    "  --timeout MS              short for --publish-timeout; also how long a verb\n"
    "                            waits for Redis\n"
    "  --wait-replicas N         short for --publish-wait-replicas\n"
    "  --dry-run                 show what would be written and contact nobody\n"
    "  --json                    results and errors as JSON on standard output\n"
    "  --bulk, --lines           read events from standard input, one JSON object a\n"
    "                            line, each with an optional \"idempotencyKey\"\n"
    "  --check-config            print the settings and stop\n"
    "  --help, -h, --version\n";

enum exit_code command_help(const struct arguments *arguments)
{
    if (arguments->verb) {
        verb_print_help(arguments->verb, stdout);
        return EXIT_CONFIRMED;
    }
    fputs(usage, stdout);
    verbs_print_summaries(stdout);
    fputs(options, stdout);
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
          "  8  done, but not every gateway of the registry has answered\n"
          "  9  no gateway is registered; what was to be written is written\n"
          " 10  doctor found something that has to be changed\n"
          "8 to 10 are of verbs alone. With --bulk it is the status of the first line that\n"
          "failed.\n",
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
    if (arguments->verb) {
        return arguments->verb->run(arguments);
    }
    if (!arguments->operands[0]) {
        return report_usage("which event?");
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
    if (fflush(stdout) != 0 && errno != EPIPE && code == EXIT_CONFIRMED) {
        fputs("guesslyfe-publish: standard output cannot be written\n", stderr);
        code = EXIT_INTERNAL;
    }
    return code;
}

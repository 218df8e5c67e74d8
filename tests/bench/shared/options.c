#include "options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { HELP_COLUMN = 24 };

static void print_usage(const struct options *options, FILE *out)
{
    fputs(options->head, out);
    for (size_t i = 0; i < options->count; i++) {
        const struct option_row *row = &options->rows[i];
        int used = fprintf(out, "  --%s %s", row->name, row->value == NULL ? "" : row->value);
        fprintf(out, "%*s%s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "", row->help);
    }
    fputs(options->foot, out);
}

_Noreturn void options_misused(const struct options *options)
{
    print_usage(options, stderr);
    exit(2);
}

static unsigned number(const struct option_row *row, const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > row->max) {
        fprintf(stderr, "--%s: '%s' is not a number from 1 to %u\n", row->name, text, row->max);
        exit(2);
    }
    return (unsigned)value;
}

static void set(const struct option_row *row, const char *text, void *values)
{
    void *field = (char *)values + row->offset;
    if (row->value == NULL) {
        *(bool *)field = true;
    } else if (row->max == 0) {
        *(const char **)field = text;
    } else {
        *(unsigned *)field = number(row, text);
    }
}

int options_read(const struct options *options, int argc, char **argv, void *ret_values)
{
    struct option known[OPTIONS_MAX + 2] = {{.name = "help", .val = 1}};
    int found;
    int index = 0;
    for (size_t i = 0; i < options->count; i++) {
        const struct option_row *row = &options->rows[i];
        known[i + 1] = (struct option){
            .name = row->name,
            .has_arg = row->value == NULL ? no_argument : required_argument,
        };
    }
    while ((found = getopt_long(argc, argv, "", known, &index)) == 0) {
        set(&options->rows[index - 1], optarg, ret_values);
    }
    if (found == 1) {
        print_usage(options, stdout);
        exit(EXIT_SUCCESS);
    }
    if (found != -1) {
        options_misused(options);
    }
    return optind;
}

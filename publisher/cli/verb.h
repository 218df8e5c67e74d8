/*
 * The commands that are named by the first operand: fleet, tail, doctor, … Any other operand is an
 * event. One row each, beside the code that does it; the command line, --help and the man page read
 * the rows.
 */
#ifndef PUBLISHER_CLI_VERB_H
#define PUBLISHER_CLI_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config.h"
#include "publisher/cli/command.h"
#include "util/str.h"

/* A flag that stands behind the verb. */
struct verb_flag {
    const char *name;  /* without its dashes */
    const char *value; /* what stands for the value in --help; NULL: it takes none */
    bool may_be_alone; /* the value, which begins with a digit, may be missing */
    const char *help;  /* one sentence without its full stop */
};

struct verb {
    const char *name;
    const char *operands; /* as --help shows them: "ROOM" */
    size_t operands_most; /* behind the name */
    const char *summary;  /* a few words */
    const char *details;  /* paragraphs, parted by empty lines */
    const struct verb_flag *flags;
    size_t flag_count;
    struct config_table (*settings)(void); /* NULL: those of every publisher */
    enum exit_code (*run)(const struct arguments *arguments);
};

extern const struct verb verb_events, verb_describe, verb_fleet, verb_room, verb_user,
    verb_disconnect, verb_revoke, verb_unrevoke, verb_revocations, verb_tail, verb_doctor,
    verb_token;

#define VERB_FLAGS(array) .flags = (array), .flag_count = ARRAY_LEN(array)

/* NULL where there is none: an event's name, then. */
const struct verb *verb_find(struct str name);
const struct verb_flag *verb_find_flag(const struct verb *verb, struct str name);
struct config_table verb_settings(const struct verb *verb);

/* One line each, for --help. */
void verbs_print_summaries(FILE *out);
/* All of it in 80 columns: VERB --help. */
void verb_print_help(const struct verb *verb, FILE *out);
/* Subsections of the man page. */
void verbs_print_man(FILE *out);

#endif

/* What guesslyfe-publish can do besides its verbs (publisher/cli/verb.h), and how it ends. */
#ifndef PUBLISHER_CLI_COMMAND_H
#define PUBLISHER_CLI_COMMAND_H

#include <guesslyfe/publisher.h>

#include "publisher/cli/arguments.h"
#include "util/err.h"
#include "util/str.h"

/* Documented in --help and the man page; scripts rely on them. */
enum exit_code {
    EXIT_CONFIRMED = 0,      /* Redis confirmed what was to be written */
    EXIT_INTERNAL = 1,       /* no memory, broken pipe, … */
    EXIT_USAGE = 2,          /* command line or settings */
    EXIT_DATA = 3,           /* the data was refused */
    EXIT_UNREACHABLE = 4,    /* nothing was written */
    EXIT_REFUSED = 5,        /* by Redis: password, rights, memory, a replica */
    EXIT_UNKNOWN = 6,        /* written or not */
    EXIT_NOT_REPLICATED = 7, /* written, but not on as many replicas as wanted */
    EXIT_INCOMPLETE = 8,     /* done, but not every gateway that is registered has answered */
    EXIT_NO_GATEWAY = 9,     /* none is registered; what was to be written is */
    EXIT_UNSOUND = 10,       /* doctor found what has to be changed */
};

enum exit_code exit_code_of(enum glyfe_error error);

enum exit_code command_publish(const struct arguments *arguments);
enum exit_code command_bulk(const struct arguments *arguments);
enum exit_code command_help(const struct arguments *arguments);
enum exit_code command_version(const struct arguments *arguments);
enum exit_code command_check_config(const struct arguments *arguments);

#endif

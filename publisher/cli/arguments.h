/* The command line: what was asked for, what an event's fields are to be, which settings were
 * given. */
#ifndef PUBLISHER_CLI_ARGUMENTS_H
#define PUBLISHER_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum { OPERANDS_MAX = 2 };

/* --market-id 7: whether the event has such a field is asked later. */
struct field_flag {
    const char *name; /* behind the dashes, up to name_len */
    size_t name_len;
    const char *value;
};

struct arguments {
    bool help, version, check_config, dry_run, json, bulk;
    const char *data, *key, *timeout, *wait_replicas;
    const char *operands[OPERANDS_MAX]; /* NULL from the first that was not given */
    struct field_flag *fields;
    size_t field_count;
    char **settings; /* "NAME=value", ended by NULL */
    size_t setting_count;
};

/* Borrows argv. INVALID: *complaint says what cannot be. To be released in any case. */
MUST_CHECK enum err arguments_parse(int argc, char **argv, struct arguments *arguments,
                                    struct buf *complaint);
/* Adds which flag was probably meant by `name`, if any is near, to a complaint. */
MUST_CHECK enum err arguments_suggest(struct str name, struct buf *complaint);
void arguments_fini(struct arguments *arguments);

#endif

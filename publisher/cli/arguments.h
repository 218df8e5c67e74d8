/*
 * The command line: what was asked for, what an event's fields are to be, which settings were
 * given. The first operand is an event or a verb (publisher/cli/verb.h); behind a verb its flags go
 * before all others, and there are no fields.
 */
#ifndef PUBLISHER_CLI_ARGUMENTS_H
#define PUBLISHER_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct verb;
struct verb_flag;

/* --market-id 7: whether the event has such a field is asked later. */
struct field_flag {
    const char *name; /* behind the dashes, up to name_len */
    size_t name_len;
    const char *value;
};

struct verb_choice {
    const struct verb_flag *flag;
    const char *value; /* NULL: there was none */
};

struct arguments {
    bool help, version, check_config, dry_run, json, bulk;
    const char *data, *key, *timeout, *wait_replicas;
    const char **operands;       /* ended by NULL; the first is the event or the verb */
    const struct verb *verb;     /* NULL: none was named */
    struct verb_choice *choices; /* the verb's flags that were given */
    size_t choice_count;
    struct field_flag *fields;
    size_t field_count;
    char **settings; /* "NAME=value", ended by NULL */
    size_t setting_count;
};

struct arguments_range {
    uint64_t min, max, fallback;
};

/* Borrows argv. INVALID: *complaint says what cannot be. To be released in any case. */
MUST_CHECK enum err arguments_parse(int argc, char **argv, struct arguments *arguments,
                                    struct buf *complaint);
/* Whether the verb's flag was given, and the value of the last time: NULL where there was none. */
bool arguments_has(const struct arguments *arguments, const char *flag);
const char *arguments_value(const struct arguments *arguments, const char *flag);
/* A number between the bounds, `fallback` where it was not given. INVALID: *complaint says what. */
MUST_CHECK enum err arguments_number(const struct arguments *arguments, const char *flag,
                                     struct arguments_range range, uint64_t *ret_value,
                                     struct buf *complaint);
void arguments_fini(struct arguments *arguments);

#endif

/*
 * Settings from one option table: flags, environment, --help, --check-config and the documentation
 * all read the same rows.
 *
 * A program has a struct of settings and a table of rows that point into it. Precedence: flag, then
 * environment, then the row's default. A refusal names the setting, where it came from, what it was
 * and what would be right.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

enum config_type {
    CONFIG_STRING, /* const char *; NULL when unset and without default */
    CONFIG_NUMBER, /* uint64_t, between min and max */
    CONFIG_BOOL,   /* bool; true/false, yes/no, 1/0; a flag without value is true */
    CONFIG_CHOICE, /* unsigned: index into choices */
};

enum config_flags {
    CONFIG_SECRET = 1 << 0,     /* its value is never printed */
    CONFIG_RELOADABLE = 1 << 1, /* may change while the program runs */
};

struct config_option {
    const char *env;   /* "PING_INTERVAL"; the flag is --ping-interval */
    const char *group; /* heading in --help */
    enum config_type type;
    const char *unit;           /* "ms", "bytes", …; NULL for none */
    const char *fallback;       /* as it would be written; NULL: unset */
    uint64_t min, max;          /* NUMBER: bounds; STRING: bounds of the length, 0 0 for none */
    const char *const *choices; /* CHOICE: NULL-terminated */
    unsigned flags;
    size_t offset;    /* of the value in the settings struct */
    const char *help; /* one sentence without its full stop */
};

struct config_table {
    const struct config_option *options;
    size_t count;
};

/*
 * Fills `settings`. `argv[0]` is skipped; flags are `--name value` or `--name=value`; what is no
 * flag, or stands behind `--`, is left in *ret_rest (an index into argv of the first operand).
 * Strings point into argv, the environment or the table. INVALID: *complaint holds one sentence for
 * the user.
 */
MUST_CHECK enum err config_load(struct config_table table, int argc, char **argv, void *settings,
                                int *ret_rest, struct buf *complaint);

/* The options part of --help, by groups. */
void config_print_help(struct config_table table, FILE *out);
/* One "NAME=value" a line, as they hold now, secrets as "***". */
void config_print_values(struct config_table table, const void *settings, FILE *out);
/* A Markdown table, for docs/. */
void config_print_markdown(struct config_table table, FILE *out);

#endif

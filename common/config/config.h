/*
 * Settings from one option table: flags, environment, --help, --check-config and the documentation
 * all read the same rows.
 *
 * A program has a struct of settings and a table of rows that point into it. Precedence: flag, then
 * environment, then the settings file, then the row's default. A refusal names the setting, where
 * it came from, what it was and what would be right.
 *
 * A secret NAME may also stand in a file: NAME_FILE (--name-file) is the file's path, and the value
 * is its first line. NAME goes before it in the environment; of two flags the last one counts.
 *
 * A table may have one option that names a settings file: NAME=value a line, NAME_FILE=path for a
 * secret; blank lines and those that begin with # are left out. A value may stand in quotes, single
 * or double, between which everything is meant as it is written. What is in no row is refused.
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
#include "util/str.h"

enum config_type {
    CONFIG_STRING, /* const char *; NULL when unset and without default */
    CONFIG_NUMBER, /* uint64_t, between min and max; or 0, told by the one word in choices */
    CONFIG_BOOL,   /* bool; true/false, yes/no, 1/0; a flag without value is true */
    CONFIG_CHOICE, /* unsigned: index into choices */
};

enum config_flags {
    CONFIG_SECRET = 1 << 0,        /* a string; never printed; NAME_FILE exists as well */
    CONFIG_RELOADABLE = 1 << 1,    /* may change while the program runs */
    CONFIG_SETTINGS_FILE = 1 << 2, /* a string; the settings file's path; --config exists as well */
};

struct config_option {
    const char *env;   /* "PING_INTERVAL"; the flag is --ping-interval */
    const char *group; /* heading in --help */
    enum config_type type;
    const char *unit;           /* "ms", "bytes", …; of a string what it names: "file"; or NULL */
    const char *fallback;       /* as it would be written; NULL: unset */
    uint64_t min, max;          /* NUMBER: bounds; STRING: bounds of the length, 0 0 for none */
    const char *const *choices; /* CHOICE: NULL-terminated; NUMBER: the word for 0; or NULL */
    unsigned flags;
    size_t offset;    /* of the value in the settings struct */
    const char *help; /* one sentence without its full stop */
};

struct config_table {
    const struct config_option *options;
    size_t count;
};

enum { CONFIG_FLAG_MAX = 64 }; /* a flag's name with its end, without dashes */

/*
 * Fills `settings`. `argv[0]` is skipped; flags are `--name value` or `--name=value`; what is no
 * flag, or stands behind `--`, is left in *ret_rest (an index into argv of the first operand).
 * All strings lie in the one block *ret_strings, which the caller frees after their last use; on
 * failure they are NULL. INVALID: *complaint holds one sentence for the user.
 */
MUST_CHECK enum err config_load(struct config_table table, int argc, char **argv, void *settings,
                                int *ret_rest, char **ret_strings, struct buf *complaint);

/*
 * The option that a flag sets (its name without dashes), or NULL. *ret_is_file: the flag names a
 * file with the value.
 */
const struct config_option *config_find_flag(struct config_table table, struct str name,
                                             bool *ret_is_file);
/*
 * The flag that somebody who wrote `name` probably meant; false where none is near. Knows --help,
 * --version and --check-config too, which every program takes for itself.
 */
bool config_nearest_flag(struct config_table table, struct str name,
                         char ret_flag[CONFIG_FLAG_MAX]);

/* Whether the option has the same value in both. */
bool config_same_value(const struct config_option *option, const void *a, const void *b);
/* A string stays where it is. */
void config_copy_value(const struct config_option *option, void *settings, const void *from);
/* Appends the value as it would be written, a secret as "***"; nothing where it is unset. */
MUST_CHECK enum err config_write_value(const struct config_option *option, const void *settings,
                                       struct buf *out);

/* The options part of --help, by groups, in 80 columns. */
void config_print_help(struct config_table table, FILE *out);
/* One "NAME=value" a line, as they hold now, secrets as "***". */
void config_print_values(struct config_table table, const void *settings, FILE *out);
/* The names of those that may change while the program runs, as remarks of a settings file. */
void config_print_reloadable(struct config_table table, FILE *out);
/* Markdown: a heading and a table for each group. */
void config_print_markdown(struct config_table table, FILE *out);
/* The options of a man page: a subsection for each group. */
void config_print_man(struct config_table table, FILE *out);

#endif

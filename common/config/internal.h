/* What the files of this room share and nobody else sees. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/config.h"

/* Stores what was written; `source` is where, for the complaint. A string is borrowed. */
MUST_CHECK enum err config_set_value(const struct config_option *option, const char *source,
                                     const char *text, void *settings, struct buf *complaint);

/*
 * The first line of a file without its end, on the heap. INVALID: *ret_why says why there is none,
 * as a phrase that lives as long as strerror's.
 */
MUST_CHECK enum err config_read_line(const char *path, char **ret_line, const char **ret_why);

/* What a settings file says of an option. */
struct config_said {
    const char *text; /* NULL: nothing, or nothing behind the "=" */
    unsigned line;    /* 0: nothing */
};
struct config_settings_file {
    char *text;               /* private: what the strings point into */
    struct config_said *said; /* by option; behind all of them those of NAME_FILE */
};

/* INVALID: *complaint says what is wrong, and where. config_settings_file_fini follows always. */
MUST_CHECK enum err config_settings_file_read(struct config_table table, const char *path,
                                              struct config_settings_file *file,
                                              struct buf *complaint);
/* One that is all zero is fine. */
void config_settings_file_fini(struct config_settings_file *file);

/* The option of that name in capitals, or NULL. *ret_is_file: it is its NAME_FILE. */
const struct config_option *config_find_setting(struct config_table table, struct str name,
                                                bool *ret_is_file);
/* The setting that was probably meant; false where none is near. */
bool config_nearest_setting(struct config_table table, struct str name,
                            char ret_name[CONFIG_FLAG_MAX]);

/* "PING_INTERVAL" as "ping-interval". */
struct str config_flag_name(const char *env, char out[CONFIG_FLAG_MAX]);

/* The NAME_FILE that belongs to a secret, as a row of its own: for printing. */
struct config_file_row {
    struct config_option option;
    char env[CONFIG_FLAG_MAX];
    char help[96];
};
void config_file_row(const struct config_option *secret, struct config_file_row *ret_row);

/*
 * In how few steps one word becomes the other: a letter more, less or another, or two neighbours
 * swapped. Words of CONFIG_FLAG_MAX letters and more are as far from all others as can be.
 */
unsigned config_distance(struct str a, struct str b);

#endif

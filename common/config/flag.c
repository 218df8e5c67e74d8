#include "config/internal.h"

#include <stdio.h>
#include <string.h>

struct str config_flag_name(const char *env, char out[CONFIG_FLAG_MAX])
{
    size_t len = 0;
    for (const char *c = env; *c && len < CONFIG_FLAG_MAX - 1; c++) {
        out[len++] = *c == '_' ? '-' : *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    out[len] = '\0';
    return str_range(out, len);
}

void config_file_row(const struct config_option *secret, struct config_file_row *ret_row)
{
    snprintf(ret_row->env, sizeof ret_row->env, "%s_FILE", secret->env);
    snprintf(ret_row->help, sizeof ret_row->help, "File whose first line is %s", secret->env);
    ret_row->option = (struct config_option){.env = ret_row->env,
                                             .group = secret->group,
                                             .type = CONFIG_STRING,
                                             .unit = "file",
                                             .flags = secret->flags & CONFIG_RELOADABLE,
                                             .help = ret_row->help};
}

/* Looks at every flag of the table until `look` is content; the row's index, or the count. */
static size_t each_flag(struct config_table table, bool (*look)(void *context, struct str flag),
                        void *context, bool *ret_is_file)
{
    char flag[CONFIG_FLAG_MAX];
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        struct config_file_row row;
        config_file_row(option, &row);
        *ret_is_file = false;
        if (look(context, config_flag_name(option->env, flag))) {
            return i;
        }
        if (option->flags & CONFIG_SETTINGS_FILE && look(context, STR("config"))) {
            return i;
        }
        *ret_is_file = option->flags & CONFIG_SECRET;
        if (*ret_is_file && look(context, config_flag_name(row.env, flag))) {
            return i;
        }
    }
    return table.count;
}

static bool is_name(void *context, struct str flag)
{
    const struct str *name = context;
    return str_eq(*name, flag);
}

const struct config_option *config_find_flag(struct config_table table, struct str name,
                                             bool *ret_is_file)
{
    bool is_file;
    size_t i = each_flag(table, is_name, &name, &is_file);
    if (i == table.count) {
        return NULL;
    }
    *ret_is_file = is_file;
    return &table.options[i];
}

const struct config_option *config_find_setting(struct config_table table, struct str name,
                                                bool *ret_is_file)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct config_option *option = &table.options[i];
        struct config_file_row row;
        config_file_row(option, &row);
        *ret_is_file = option->flags & CONFIG_SECRET && str_eq(name, str_from(row.env));
        if (*ret_is_file || str_eq(name, str_from(option->env))) {
            return option;
        }
    }
    return NULL;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Row i of the table of distances between the beginnings of both words, from the two before it. */
static void fill_row(struct str a, struct str b, size_t i, unsigned rows[3][CONFIG_FLAG_MAX])
{
    unsigned *row = rows[i % 3];
    const unsigned *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= b.len; j++) {
        bool same = a.ptr[i - 1] == b.ptr[j - 1];
        row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
        if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1]) {
            row[j] = least(row[j], second[j - 2] + 1);
        }
    }
}

unsigned config_distance(struct str a, struct str b)
{
    if (a.len >= CONFIG_FLAG_MAX || b.len >= CONFIG_FLAG_MAX) {
        return CONFIG_FLAG_MAX;
    }
    unsigned rows[3][CONFIG_FLAG_MAX];
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        fill_row(a, b, i, rows);
    }
    return rows[a.len % 3][b.len];
}

struct search {
    struct str name;
    unsigned distance; /* of the best so far; one more than what is near enough at first */
    char best[CONFIG_FLAG_MAX];
};

static bool is_nearer(void *context, struct str flag)
{
    struct search *search = context;
    unsigned distance = config_distance(search->name, flag);
    if (distance < search->distance) {
        search->distance = distance;
        memcpy(search->best, flag.ptr, flag.len);
        search->best[flag.len] = '\0';
    }
    return distance == 0;
}

/* How far a word may be from what was meant, and one more. */
static unsigned too_far(struct str name)
{
    return (unsigned)(name.len < 64 ? name.len : 64) / 3 + 1;
}

bool config_nearest_setting(struct config_table table, struct str name,
                            char ret_name[CONFIG_FLAG_MAX])
{
    struct search search = {name, too_far(name), ""};
    for (size_t i = 0; i < table.count; i++) {
        struct config_file_row row;
        config_file_row(&table.options[i], &row);
        is_nearer(&search, str_from(table.options[i].env));
        if (table.options[i].flags & CONFIG_SECRET) {
            is_nearer(&search, str_from(row.env));
        }
    }
    memcpy(ret_name, search.best, sizeof search.best);
    return search.best[0] != '\0';
}

bool config_nearest_flag(struct config_table table, struct str name, char ret_flag[CONFIG_FLAG_MAX])
{
    static const char *const own[] = {"help", "version", "check-config"};
    struct search search = {name, too_far(name), ""};
    bool is_file;
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        is_nearer(&search, str_from(own[i]));
    }
    each_flag(table, is_nearer, &search, &is_file);
    if (!search.best[0]) {
        return false;
    }
    memcpy(ret_flag, search.best, sizeof search.best);
    return true;
}

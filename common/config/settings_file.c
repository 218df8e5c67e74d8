/* A file of settings: NAME=value a line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

enum { FILE_MAX_BYTES = 1024 * 1024 };

/* Where the reading is. */
struct reading {
    struct config_table table;
    struct config_settings_file *file;
    struct buf *complaint;
    unsigned line;
};

static enum err complain(struct reading *r, const char *what)
{
    enum err err = buf_printf(r->complaint, "settings file, line %u: %s", r->line, what);
    return err ? err : ERR_INVALID;
}

static enum err complain_unknown(struct reading *r, struct str name)
{
    char near[CONFIG_FLAG_MAX];
    enum err err = buf_printf(r->complaint, "settings file, line %u: unknown setting " STR_FMT "; ",
                              r->line, STR_ARG(name));
    if (!err && config_nearest_setting(r->table, name, near)) {
        err = buf_printf(r->complaint, "did you mean %s?", near);
    } else if (!err) {
        err = buf_append(r->complaint, STR("--help lists all of them"));
    }
    return err ? err : ERR_INVALID;
}

/* Between quotes all is meant as it is written, else blanks at the ends are not. */
static const char *unquote(struct str *value)
{
    char quote = value->len > 0 ? value->ptr[0] : '\0';
    if (quote != '"' && quote != '\'') {
        return NULL;
    }
    struct str rest = str_skip(*value, 1);
    size_t len = str_find(rest, quote);
    if (len == rest.len) {
        return "a quote that begins has to end in the same line";
    }
    if (len + 1 < rest.len) {
        return "nothing may follow the closing quote";
    }
    *value = str_range(rest.ptr, len);
    return NULL;
}

static enum err note(struct reading *r, struct str name, struct str value)
{
    bool is_path;
    const struct config_option *option = config_find_setting(r->table, name, &is_path);
    if (!option) {
        return complain_unknown(r, name);
    }
    if (option->flags & CONFIG_SETTINGS_FILE) {
        return complain(r, "one settings file can't name another");
    }
    struct config_said *said = &r->file->said[option - r->table.options];
    said = is_path ? said + r->table.count : said;
    if (said->line > 0) {
        return complain(r, "this setting has been set above");
    }
    *said = (struct config_said){NULL, r->line};
    if (value.len > 0) {
        said->text = value.ptr;
        /* Behind it is the line's end, a quote or a blank: nothing that is still needed. */
        r->file->text[value.ptr + value.len - r->file->text] = '\0';
    }
    return OK;
}

static enum err take_line(struct reading *r, struct str line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    line = str_trim(line);
    if (line.len == 0 || line.ptr[0] == '#') {
        return OK;
    }
    size_t name_len = str_find(line, '=');
    if (name_len == line.len) {
        return complain(r, "expected NAME=value, or # before a remark");
    }
    struct str value = str_trim(str_skip(line, name_len + 1));
    const char *why = unquote(&value);
    return why ? complain(r, why) : note(r, str_trim(str_range(line.ptr, name_len)), value);
}

static enum err take_all(struct reading *r, size_t len)
{
    struct str rest = {r->file->text, len}, line;
    enum err err = OK;
    while (!err && str_split(&rest, '\n', &line)) {
        r->line++;
        err = take_line(r, line);
    }
    return err;
}

/* NULL, or why there is nothing to read. */
static const char *read_bytes(const char *path, char *text, size_t *ret_len)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return strerror(errno);
    }
    size_t len = fread(text, 1, FILE_MAX_BYTES, file);
    const char *why = ferror(file)              ? strerror(errno)
                      : len == FILE_MAX_BYTES   ? "it is too long"
                      : memchr(text, '\0', len) ? "it holds a NUL byte"
                                                : NULL;
    fclose(file);
    *ret_len = len;
    return why;
}

enum err config_settings_file_read(struct config_table table, const char *path,
                                   struct config_settings_file *file, struct buf *complaint)
{
    struct reading reading = {.table = table, .file = file, .complaint = complaint};
    size_t len = 0;
    file->text = calloc(1, FILE_MAX_BYTES + 1);
    file->said = calloc(2 * table.count + 1, sizeof *file->said);
    if (!file->text || !file->said) {
        return ERR_NOMEM;
    }
    const char *why = read_bytes(path, file->text, &len);
    if (why) {
        enum err err = buf_printf(complaint, "cannot read the settings file \"%s\": %s", path, why);
        return err ? err : ERR_INVALID;
    }
    return take_all(&reading, len);
}

void config_settings_file_fini(struct config_settings_file *file)
{
    if (file->text) {
        explicit_bzero(file->text, FILE_MAX_BYTES);
    }
    free(file->text);
    free(file->said);
}

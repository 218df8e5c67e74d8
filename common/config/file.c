#include "config/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 64 * 1024 };

/* NULL, or what is wrong with the beginning of a file, of which `len` bytes were read. */
static const char *judge(const char *text, size_t len, size_t line_len)
{
    if (line_len == LINE_MAX_BYTES) {
        return "its first line is too long";
    }
    if (memchr(text, '\0', line_len)) {
        return "its first line holds a NUL byte";
    }
    return line_len > 0 ? NULL : len > 0 ? "its first line is empty" : "it is empty";
}

static const char *read_first_line(FILE *file, char *text)
{
    size_t len = fread(text, 1, LINE_MAX_BYTES, file);
    if (ferror(file)) {
        return strerror(errno);
    }
    size_t line_len = str_find(str_range(text, len), '\n');
    if (line_len > 0 && line_len < len && text[line_len - 1] == '\r') {
        line_len--;
    }
    text[line_len] = '\0';
    return judge(text, len, line_len);
}

enum err config_read_line(const char *path, char **ret_line, const char **ret_why)
{
    char *text = calloc(1, LINE_MAX_BYTES + 1);
    if (!text) {
        return ERR_NOMEM;
    }
    FILE *file = fopen(path, "re");
    const char *why = file ? read_first_line(file, text) : strerror(errno);
    if (file) {
        fclose(file);
    }
    char *line = why ? NULL : str_dup(str_from(text));
    explicit_bzero(text, LINE_MAX_BYTES);
    free(text);
    if (why) {
        *ret_why = why;
        return ERR_INVALID;
    }
    if (!line) {
        return ERR_NOMEM;
    }
    *ret_line = line;
    return OK;
}

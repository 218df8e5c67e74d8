#include "util/str.h"

#include <stdlib.h>
#include <string.h>

struct str str_from(const char *terminated)
{
    return terminated ? (struct str){terminated, strlen(terminated)} : (struct str){"", 0};
}

struct str str_range(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static unsigned char ascii_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){s.ptr, prefix.len}, prefix);
}

bool str_eq_secret(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    unsigned char difference = 0;
    for (size_t i = 0; i < a.len; i++) {
        difference |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    }
    return difference == 0;
}

struct str str_skip(struct str s, size_t n)
{
    if (n > s.len) {
        n = s.len;
    }
    return (struct str){s.ptr + n, s.len - n};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s = str_skip(s, 1);
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

size_t str_find(struct str s, char c)
{
    const char *found = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
    return found ? (size_t)(found - s.ptr) : s.len;
}

bool str_split(struct str *rest, char separator, struct str *head)
{
    if (!rest->ptr) {
        return false;
    }
    size_t at = str_find(*rest, separator);
    *head = (struct str){rest->ptr, at};
    *rest = at < rest->len ? str_skip(*rest, at + 1) : (struct str){NULL, 0};
    return true;
}

enum err str_to_u64(struct str s, uint64_t *ret_value)
{
    if (s.len == 0) {
        return ERR_INVALID;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return ERR_INVALID;
        }
        unsigned digit = (unsigned)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return ERR_INVALID;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return OK;
}

enum err str_to_i64(struct str s, int64_t *ret_value)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    enum err err = str_to_u64(negative ? str_skip(s, 1) : s, &magnitude);
    if (err) {
        return err;
    }
    if (magnitude > (uint64_t)INT64_MAX) {
        return ERR_INVALID;
    }
    *ret_value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return OK;
}

char *str_dup(struct str s)
{
    char *copy = malloc(s.len + 1);
    if (copy) {
        if (s.len > 0) {
            memcpy(copy, s.ptr, s.len);
        }
        copy[s.len] = '\0';
    }
    return copy;
}

/*
 * A view of bytes that somebody else owns: pointer and length, no terminator.
 */
#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/err.h"

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
/* For printf: printf(STR_FMT, STR_ARG(s)). */
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).len, (s).ptr

/* A NULL pointer gives the empty view. */
struct str str_from(const char *terminated);
struct str str_range(const char *ptr, size_t len);

bool str_eq(struct str a, struct str b);
/* ASCII letters alike in either case. */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
/* In constant time for equal lengths, for secrets. */
bool str_eq_secret(struct str a, struct str b);

/* The view without its first n bytes; empty where n is larger. */
struct str str_skip(struct str s, size_t n);
/* Without spaces and tabs at both ends. */
struct str str_trim(struct str s);
/* Position of c, or s.len where there is none. */
size_t str_find(struct str s, char c);
/*
 * Takes the part of *rest before the first `separator` into *head and leaves what follows in *rest.
 * Without a separator all of *rest is taken. False when *rest was exhausted (ptr NULL) before.
 */
bool str_split(struct str *rest, char separator, struct str *head);

/* Decimal digits only; INVALID for anything else or over 64 bits. */
MUST_CHECK enum err str_to_u64(struct str s, uint64_t *ret_value);
MUST_CHECK enum err str_to_i64(struct str s, int64_t *ret_value);

/* A terminated copy on the heap; NULL without memory. */
char *str_dup(struct str s);

#endif

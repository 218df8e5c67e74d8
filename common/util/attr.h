/* Compiler attributes and the two macros that C lacks. */
#ifndef UTIL_ATTR_H
#define UTIL_ATTR_H

#include <stddef.h>

#define MUST_CHECK            __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define UNUSED                __attribute__((unused))
/* Without the bytes that would make a struct of pointers and one 32-bit field a multiple of 8. */
#define PACKED_TO_4      __attribute__((packed, aligned(4)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The object of `type` whose `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif

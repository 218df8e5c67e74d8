/* UTF-8 validation (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "util/str.h"

bool utf8_valid(struct str text);

/* State between pieces of one text; zero is the start. */
struct utf8_state {
    uint8_t more;      /* continuation bytes still due */
    uint8_t low, high; /* bounds of the next continuation byte */
};

/* Checks the next piece; false as soon as no continuation could make the text valid. */
bool utf8_feed(struct utf8_state *state, struct str piece);
/* Whether the text may end here. */
bool utf8_complete(const struct utf8_state *state);

#endif

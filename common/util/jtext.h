/*
 * JSON as text: checked, walked and cut into pieces, never re-serialised.
 *
 * What a publisher or a client wrote is forwarded byte by byte, so numbers of any size and keys of
 * any name survive. A parser into values (jansson) is for reading settings and small arguments.
 */
#ifndef UTIL_JTEXT_H
#define UTIL_JTEXT_H

#include <stdbool.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

enum jtext_kind {
    JTEXT_NONE, /* not JSON: the view was empty */
    JTEXT_OBJECT,
    JTEXT_ARRAY,
    JTEXT_STRING,
    JTEXT_NUMBER,
    JTEXT_TRUE,
    JTEXT_FALSE,
    JTEXT_NULL,
};

/*
 * Whether `text` is one JSON value (RFC 8259) in valid UTF-8, white space around it allowed, nested
 * no deeper than `max_depth`. PROTO: malformed. LIMIT: too deep. No allocation, no recursion,
 * linear time.
 */
MUST_CHECK enum err jtext_check(struct str text, unsigned max_depth);

/* Kind of a checked value, by its first byte. */
enum jtext_kind jtext_kind(struct str value);
/* The value without white space around it. */
struct str jtext_trim(struct str value);

/* Walks the elements of a checked array or the members of a checked object. */
struct jtext_walk {
    struct str rest; /* private */
    bool members;    /* private */
};

void jtext_walk(struct jtext_walk *walk, struct str array_or_object);
/* The same for an array's elements without its brackets. */
void jtext_walk_elements(struct jtext_walk *walk, struct str elements);
/*
 * Takes the next element. `ret_key` is the key between its quotes, escapes untouched (empty for
 * arrays; may be NULL); `ret_value` is the value's text, trimmed. False at the end.
 */
bool jtext_next(struct jtext_walk *walk, struct str *ret_key, struct str *ret_value);

/*
 * Appends what a checked string stands for: `string` with its quotes. LIMIT, NOMEM; INVALID for an
 * escape that is half of a surrogate pair, which UTF-8 cannot express.
 */
MUST_CHECK enum err jtext_unescape(struct str string, struct buf *out);
/* Appends valid UTF-8 as a JSON string with its quotes. LIMIT, NOMEM. */
MUST_CHECK enum err jtext_quote(struct str text, struct buf *out);
/* Whether a key or string between its quotes stands for `plain`. */
bool jtext_is(struct str between_quotes, struct str plain);
/*
 * The value of the member `key` of a checked object; the last one where it stands more than once,
 * as JavaScript has it. An empty view (kind JTEXT_NONE) where it is missing.
 */
struct str jtext_member(struct str object, struct str key);

#endif

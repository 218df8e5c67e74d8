/* Whether one value is what its field wants: the part of the catalogue that knows the types. */
#ifndef SCHEMA_CHECK_H
#define SCHEMA_CHECK_H

#include "schema/catalogue.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/*
 * `value` is the trimmed text of a well-formed JSON value. INVALID: *complaint says
 * `data.<field>: expected …, got …`. `scratch` is overwritten.
 */
MUST_CHECK enum err check_value(const struct catalogue_field *field, struct str value,
                                struct buf *scratch, struct buf *complaint);
/* What a field should have been, with nothing there. Always an error. */
MUST_CHECK enum err check_missing(const struct catalogue_field *field, struct buf *complaint);

/* What a JSON string stands for: a view into `string`, or into `scratch` where there are escapes.
 */
MUST_CHECK enum err check_text(struct str string, struct buf *scratch, struct str *ret_text);
/* `text`, or as much of its beginning as a message should show; never half a character. */
struct str check_excerpt(struct str text);

/* Writes what `field` takes, in words: "0 or 1", "one of \"buy\", \"sell\"". */
MUST_CHECK enum err check_describe(const struct catalogue_field *field, struct buf *out);

#endif

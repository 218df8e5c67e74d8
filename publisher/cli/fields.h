/* From field flags to an event's data: --market-id 7 --outcome 1 as {"marketId":"7","outcome":1}.
 */
#ifndef PUBLISHER_CLI_FIELDS_H
#define PUBLISHER_CLI_FIELDS_H

#include "publisher/cli/arguments.h"
#include "schema/catalogue.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/*
 * Each value becomes JSON of its field's type where it can; where it cannot it becomes a string,
 * and catalogue_encode says what is wrong with it. A flag is a field's name as it is or with
 * dashes. INVALID (with a complaint) only for what cannot be put into JSON: bytes that are not
 * UTF-8.
 */
MUST_CHECK enum err fields_to_json(const struct catalogue_event *event,
                                   const struct field_flag *flags, size_t count, struct buf *json,
                                   struct buf *complaint);

/* "marketId" as "market-id", appended. */
MUST_CHECK enum err fields_flag_name(const char *field, struct buf *out);

#endif

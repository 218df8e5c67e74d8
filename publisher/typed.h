/* From a struct of <guesslyfe/events.h> to the event's data as JSON. */
#ifndef PUBLISHER_TYPED_H
#define PUBLISHER_TYPED_H

#include <guesslyfe/publisher.h>

#include "schema/catalogue.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/*
 * `offsets` are those of the event's fields in the struct `values`. INVALID: *complaint names the
 * field. Whether the values suit the catalogue is for catalogue_encode to say.
 */
MUST_CHECK enum err typed_to_json(const struct catalogue_event *event, const size_t *offsets,
                                  const void *values, struct buf *json, struct buf *complaint);

/* What the generated functions call. */
enum glyfe_error typed_publish(struct glyfe_publisher *publisher, const char *event,
                               const size_t *offsets, const void *values,
                               const char *idempotency_key, struct glyfe_result *ret_result);

#endif

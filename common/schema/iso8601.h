/* Dates and times as RFC 3339 writes them: "2025-01-16T10:00:00.000Z", "…+01:00". */
#ifndef SCHEMA_ISO8601_H
#define SCHEMA_ISO8601_H

#include <stdbool.h>

#include "util/str.h"

/*
 * Whether `text` is a date and time that exist in the calendar, with seconds and a zone, the
 * fraction of up to nine digits optional. Leap seconds are refused: JavaScript cannot read them.
 */
bool iso8601_valid(struct str text);

#endif

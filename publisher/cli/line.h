/* One line for one event that has passed. */
#ifndef PUBLISHER_CLI_LINE_H
#define PUBLISHER_CLI_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bus/envelope.h"
#include "util/str.h"

/*
 * Id, time, event, rooms, payload: between spaces, or as a JSON object. The time is the id's; of an
 * event without id it is now_ms. A payload that is no JSON becomes a JSON string, so that nothing
 * in it ends the line or speaks to the terminal.
 */
void line_print(const struct bus_envelope *envelope, bool json, int64_t now_ms, FILE *out);
/* `text`, which is UTF-8, as a JSON string; null where there is no memory. */
void line_print_quoted(struct str text, FILE *out);

#endif

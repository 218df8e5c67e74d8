/* What the user gets to read: results on standard output, complaints on standard error. */
#ifndef PUBLISHER_CLI_REPORT_H
#define PUBLISHER_CLI_REPORT_H

#include <guesslyfe/publisher.h>

#include "publisher/cli/command.h"
#include "schema/catalogue.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/* Where an outcome belongs: `line` is that of the bulk input, 0 for none. */
struct report_place {
    bool json;
    const char *event; /* NULL: not known */
    unsigned long line;
};

void report_result(const struct report_place *place, const struct glyfe_result *result);
void report_dry_run(const struct report_place *place, const struct catalogue_message *message,
                    struct str payload);
/* Returns the code that belongs to it. In JSON it also goes to standard output. */
enum exit_code report_error(const struct report_place *place, enum exit_code code,
                            const char *message);
enum exit_code report_usage(const char *message);
/* The complaint, which is released; where there is none, the error itself. */
enum exit_code report_complaint(enum err err, struct buf *complaint);

#endif

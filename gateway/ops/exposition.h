/*
 * Writing metrics in the text format of Prometheus (0.0.4): families, each with its numbers.
 */
#ifndef OPS_EXPOSITION_H
#define OPS_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

/* Begins every name. */
#define OPS_METRICS_PREFIX "guesslyfe_gateway_"
#define OPS_METRICS_TYPE   "text/plain; version=0.0.4; charset=utf-8"

/* A text that is being written: nothing more is once something has failed. */
struct exposition {
    struct buf *out;
    enum err err;               /* NOMEM, LIMIT */
    const char *family, *label; /* private */
};

/* The numbers that follow are of this family. `label` is what they differ in, or NULL. */
void exposition_family(struct exposition *text, const char *type, const char *name,
                       const char *label, const char *help);
void exposition_number(struct exposition *text, uint64_t number);
/* Milliseconds told in seconds; UINT64_MAX: not known, left out. */
void exposition_seconds(struct exposition *text, uint64_t ms);
/* `value` is one of the label and needs no escapes. */
void exposition_labelled(struct exposition *text, const char *value, uint64_t number);
void exposition_all_labelled(struct exposition *text, const char *(*name_of)(size_t),
                             const uint64_t *numbers, size_t count);

#endif

/*
 * What one gateway answers to operators, whoever asks it: the operations port, or the supervisor of
 * several workers.
 */
#ifndef OPS_ANSWER_H
#define OPS_ANSWER_H

#include "ops/server.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

/* Appends the body of the answer; the status is that of HTTP. NOMEM, LIMIT. */
MUST_CHECK enum err ops_answer_write(const struct ops_sources *sources, enum ops_question question,
                                     unsigned *ret_status, struct buf *out);

/* Answers by itself, at once. Borrows the sources. */
struct ops_answerer ops_answerer_of(const struct ops_sources *sources);

#endif

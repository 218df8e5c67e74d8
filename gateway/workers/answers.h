/*
 * A worker's end of the channel: answers the supervisor, where a gateway alone would have an
 * operations port.
 */
#ifndef WORKERS_ANSWERS_H
#define WORKERS_ANSWERS_H

#include "loop/loop.h"
#include "ops/server.h"
#include "util/attr.h"
#include "util/err.h"

struct worker_answers;

/*
 * Takes the descriptor, borrows the rest. When the loop's first turn has run, the supervisor is
 * told that the worker serves, and signals are let in. A supervisor that is gone ends the loop.
 */
MUST_CHECK enum err worker_answers_open(struct loop *loop, int channel,
                                        const struct ops_sources *sources,
                                        struct worker_answers **ret_answers);
/* NULL is fine. */
void worker_answers_close(struct worker_answers *answers);

#endif

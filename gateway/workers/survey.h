/*
 * Surveys: an operator's question, asked of all workers, and answered when all have answered or the
 * time is up. Who has not answered by then is told as down.
 */
#ifndef WORKERS_SURVEY_H
#define WORKERS_SURVEY_H

#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "ops/server.h"
#include "util/list.h"
#include "util/str.h"
#include "workers/channel.h"
#include "workers/worker.h"

/* Shorter than the shortest patience of those who ask (a second, of a Kubernetes probe). */
enum { SURVEY_MS = 500 };

/* Those that go on, no more than the operations port has connections. */
struct surveys {
    struct loop *loop;
    struct worker *workers;
    size_t count;
    struct list list;
    uint32_t serial; /* of the last one */
};

/* Borrows all. */
void surveys_init(struct surveys *surveys, struct loop *loop, struct worker *workers, size_t count);

/* Asks on behalf of the exchange. */
struct ops_answerer surveys_answerer(struct surveys *surveys);

/* A worker's answer; one that comes too late only tells that the worker answers again. */
void surveys_take(struct surveys *surveys, struct worker *worker, const struct channel_frame *frame,
                  struct str body);
/* The worker will not answer any more. */
void surveys_lose(struct surveys *surveys, const struct worker *worker);

#endif

#include "workers/survey.h"

#include <stdlib.h>

#include "workers/merge.h"

/* What is expected of one worker, or came from it. */
struct part {
    bool awaited;
    struct buf body;
    struct merge_part said;
};

struct survey {
    struct list node;
    struct surveys *surveys;
    struct http_exchange *exchange;
    enum ops_question question;
    uint32_t serial;
    size_t awaited;
    struct wheel_timer deadline;
    struct part parts[]; /* of all workers */
};

#define NO_ANSWER "it does not answer"

void surveys_init(struct surveys *surveys, struct loop *loop, struct worker *workers, size_t count)
{
    *surveys = (struct surveys){.loop = loop, .workers = workers, .count = count};
    list_init(&surveys->list);
}

static void destroy(struct survey *survey)
{
    list_remove(&survey->node);
    loop_timer_cancel(survey->surveys->loop, &survey->deadline);
    for (size_t i = 0; i < survey->surveys->count; i++) {
        buf_fini(&survey->parts[i].body);
    }
    free(survey);
}

static enum err merge(enum ops_question question, const struct merge_part *parts, size_t count,
                      unsigned *ret_status, struct buf *out)
{
    bool good = true;
    enum err err = ERR_INVALID;
    switch (question) {
    case OPS_HEALTH:
        err = merge_health(parts, count, out);
        break;
    case OPS_READINESS:
        err = merge_readiness(parts, count, &good, out);
        break;
    case OPS_METRICS:
        err = merge_metrics(parts, count, out);
        break;
    case OPS_STATS:
        err = merge_stats(parts, count, out);
        break;
    case OPS_QUESTIONS:
        break;
    }
    *ret_status = good ? 200 : 503;
    return err;
}

static enum err merge_survey(struct survey *survey, unsigned *ret_status, struct buf *out)
{
    size_t count = survey->surveys->count;
    struct merge_part *parts = calloc(count, sizeof *parts);
    if (!parts) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        parts[i] = survey->parts[i].said;
        parts[i].body = buf_str(&survey->parts[i].body);
        parts[i].restarts = survey->surveys->workers[i].restarts;
    }
    enum err err = merge(survey->question, parts, count, ret_status, out);
    free(parts);
    return err;
}

static void finish(struct survey *survey)
{
    struct http_exchange *exchange = survey->exchange;
    enum ops_question question = survey->question;
    struct buf body;
    unsigned status = 0;
    buf_init(&body, OPS_ANSWER_MAX);
    enum err err = merge_survey(survey, &status, &body);
    destroy(survey);
    ops_respond(exchange, question, err, status, buf_str(&body));
    buf_fini(&body);
}

/* Nothing more is awaited of this worker; the last one ends the survey. */
static void settle(struct survey *survey, size_t i, const char *why_not)
{
    survey->parts[i].awaited = false;
    survey->parts[i].said.why_not = why_not;
    if (--survey->awaited == 0) {
        finish(survey);
    }
}

static void on_deadline(struct wheel_timer *timer)
{
    struct survey *survey = container_of(timer, struct survey, deadline);
    for (size_t i = 0; i < survey->surveys->count; i++) {
        if (survey->parts[i].awaited) {
            survey->surveys->workers[i].silent = true;
            survey->parts[i].said.why_not = NO_ANSWER;
        }
    }
    finish(survey);
}

static void on_abort(struct http_exchange *exchange)
{
    destroy(http_exchange_owner(exchange));
}

/*
 * Asks, or says why not. A worker that owes an answer is not asked again: nobody has to wait for it
 * twice, and its questions do not pile up.
 */
static const char *ask(const struct worker *worker, const struct survey *survey)
{
    struct channel_frame frame = {.serial = survey->serial, .question = (uint32_t)survey->question};
    if (worker->state == WORKER_DOWN) {
        return "it has ended";
    }
    if (worker->state == WORKER_STARTING) {
        return "it is starting";
    }
    bool asked =
        worker->channel && !worker->silent && !channel_send(worker->channel, frame, STR(""));
    return asked ? NULL : NO_ANSWER;
}

static uint32_t next_serial(struct surveys *surveys)
{
    surveys->serial++;
    surveys->serial += surveys->serial == 0; /* which is no question's */
    return surveys->serial;
}

static void on_question(void *owner, enum ops_question question, struct http_exchange *exchange)
{
    struct surveys *surveys = owner;
    struct survey *survey = calloc(1, sizeof *survey + surveys->count * sizeof survey->parts[0]);
    if (!survey) {
        ops_respond(exchange, question, ERR_NOMEM, 0, STR(""));
        return;
    }
    survey->surveys = surveys;
    survey->exchange = exchange;
    survey->question = question;
    survey->serial = next_serial(surveys);
    wheel_timer_init(&survey->deadline, on_deadline);
    list_init(&survey->node);
    for (size_t i = 0; i < surveys->count; i++) {
        struct part *part = &survey->parts[i];
        buf_init(&part->body, OPS_ANSWER_MAX);
        part->said.why_not = ask(&surveys->workers[i], survey);
        part->awaited = !part->said.why_not;
        survey->awaited += part->awaited;
    }
    if (survey->awaited == 0) {
        finish(survey);
        return;
    }
    list_push_back(&surveys->list, &survey->node);
    loop_timer_set(surveys->loop, &survey->deadline, SURVEY_MS);
    http_exchange_watch(exchange, on_abort, survey);
}

struct ops_answerer surveys_answerer(struct surveys *surveys)
{
    return (struct ops_answerer){on_question, surveys};
}

static struct survey *find(const struct surveys *surveys, uint32_t serial)
{
    LIST_FOR_EACH (node, following, &surveys->list) {
        struct survey *survey = list_entry(node, struct survey, node);
        if (survey->serial == serial) {
            return survey;
        }
    }
    return NULL;
}

void surveys_take(struct surveys *surveys, struct worker *worker, const struct channel_frame *frame,
                  struct str body)
{
    worker->silent = false;
    struct survey *survey = find(surveys, frame->serial);
    if (!survey || !survey->parts[worker->index].awaited) {
        return;
    }
    struct part *part = &survey->parts[worker->index];
    part->said.status = frame->status;
    bool whole = frame->status != 500 && !buf_append(&part->body, body);
    settle(survey, worker->index, whole ? NULL : "out of memory");
}

void surveys_lose(struct surveys *surveys, const struct worker *worker)
{
    LIST_FOR_EACH (node, following, &surveys->list) {
        struct survey *survey = list_entry(node, struct survey, node);
        if (survey->parts[worker->index].awaited) {
            settle(survey, worker->index, "it has ended");
        }
    }
}

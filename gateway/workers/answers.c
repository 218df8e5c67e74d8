#include "workers/answers.h"

#include <stdlib.h>

#include "log/log.h"
#include "ops/answer.h"
#include "workers/channel.h"
#include "workers/signals.h"

struct worker_answers {
    struct loop *loop;
    const struct ops_sources *sources;
    struct channel *channel;
    struct loop_task begin;
};

/* Nobody would know how this worker is, or tell it to stop. */
static void give_up(struct worker_answers *answers, const char *why)
{
    log_error("stopping without a supervisor", LOG_CSTR("why", why));
    channel_close(answers->channel);
    answers->channel = NULL;
    loop_stop(answers->loop);
}

static void answer(void *owner, const struct channel_frame *question, struct str nothing)
{
    struct worker_answers *answers = owner;
    struct channel_frame frame = {.serial = question->serial, .question = question->question};
    struct buf body;
    (void)nothing;
    buf_init(&body, OPS_ANSWER_MAX);
    if (ops_answer_write(answers->sources, (enum ops_question)question->question, &frame.status,
                         &body)) {
        frame.status = 500;
        buf_clear(&body);
    }
    enum err err = channel_send(answers->channel, frame, buf_str(&body));
    buf_fini(&body);
    if (err) {
        give_up(answers, err_name(err));
    }
}

static void on_end(void *owner)
{
    give_up(owner, "it is gone");
}

static const struct channel_ops channel_ops = {answer, on_end};

static void begin(struct loop_task *task)
{
    struct worker_answers *answers = container_of(task, struct worker_answers, begin);
    enum err err = channel_send(answers->channel, (struct channel_frame){.serial = 0}, STR(""));
    if (err) {
        give_up(answers, err_name(err));
    }
    signals_release();
}

enum err worker_answers_open(struct loop *loop, int channel, const struct ops_sources *sources,
                             struct worker_answers **ret_answers)
{
    struct worker_answers *answers = calloc(1, sizeof *answers);
    if (!answers) {
        return ERR_NOMEM;
    }
    *answers = (struct worker_answers){.loop = loop, .sources = sources};
    loop_task_init(&answers->begin, begin);
    answers->channel = channel_open(loop, channel, &channel_ops, answers);
    if (!answers->channel) {
        free(answers);
        return ERR_NOMEM;
    }
    loop_defer(loop, &answers->begin);
    *ret_answers = answers;
    return OK;
}

void worker_answers_close(struct worker_answers *answers)
{
    if (answers) {
        loop_task_cancel(&answers->begin);
        channel_close(answers->channel);
        free(answers);
    }
}

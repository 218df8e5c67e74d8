#include "workers/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log/log.h"

/* The lowest descriptor that a worker keeps nothing of, and the one of its channel below. */
enum { FIRST_CLOSED = STDERR_FILENO + 2, CHANNEL_FD = STDERR_FILENO + 1 };

/* Ends with the supervisor, however that ends. */
static void tie_to(pid_t supervisor)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        log_error("could not start", LOG_CSTR("why", "prctl"), LOG_ERRNO());
        exit(EXIT_FAILURE);
    }
    if (getppid() != supervisor) {
        _exit(EXIT_FAILURE); /* it ended before the line above */
    }
}

/*
 * Of the supervisor's descriptors a worker keeps one: another worker's channel would keep that from
 * ending, and the operations port would stay taken. The memory stays as it is, never looked at
 * again. A session of its own, so that a terminal's Ctrl-C comes once, from the supervisor.
 */
static void leave_supervisor(const struct worker *worker, int channel)
{
    log_set_tag("worker", worker->index);
    if (dup2(channel, CHANNEL_FD) < 0) {
        log_error("could not start", LOG_CSTR("why", "dup2"), LOG_ERRNO());
        exit(EXIT_FAILURE);
    }
    closefrom(FIRST_CLOSED);
    setsid();
}

/*
 * Signals are held back until the loop runs: see signals.h. Who reads its settings anew on SIGHUP
 * has a handler by then, else the signal says nothing.
 */
static _Noreturn void be_worker(const struct worker *worker, const struct worker_job *job,
                                int channel)
{
    leave_supervisor(worker, channel);
    signal(SIGHUP, SIG_IGN);
    if (job->hung_up) {
        raise(SIGHUP);
    }
    struct worker_place place = {.index = worker->index,
                                 .port = job->port,
                                 .ops_port = job->ops_port,
                                 .channel = CHANNEL_FD};
    exit(job->work(job->owner, &place));
}

enum err worker_start(struct worker *worker, const struct worker_job *job,
                      const struct channel_ops *ops)
{
    int ends[2];
    pid_t supervisor = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return ERR_IO;
    }
    struct channel *channel = channel_open(job->loop, ends[0], ops, worker);
    pid_t pid = channel ? fork() : -1;
    if (pid == 0) {
        tie_to(supervisor);
        be_worker(worker, job, ends[1]);
    }
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        bool no_memory = !channel;
        channel_close(channel);
        errno = error;
        return no_memory ? ERR_NOMEM : ERR_IO;
    }
    worker->pid = pid;
    worker->state = WORKER_STARTING;
    worker->silent = false;
    worker->started_ms = loop_now(job->loop);
    worker->channel = channel;
    return OK;
}

void worker_ended(struct worker *worker)
{
    channel_close(worker->channel);
    worker->channel = NULL;
    worker->pid = 0;
    worker->state = WORKER_DOWN;
}

void worker_signal(const struct worker *worker, int number)
{
    /* It may be a corpse that is yet to be waited for: then it is not told. */
    if (worker->pid > 0) {
        kill(worker->pid, number);
    }
}

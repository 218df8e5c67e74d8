#include "workers/supervisor.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/log.h"
#include "net/port.h"
#include "ops/server.h"
#include "workers/signals.h"
#include "workers/survey.h"

struct supervisor {
    const struct supervisor_options *options;
    struct loop *loop;
    struct net_port port; /* held, so that it stays ours while no worker has it */
    struct worker_job job;
    struct worker *workers;
    struct surveys surveys;
    struct ops_server *ops;
    struct event *signals;
    bool serving; /* all have begun to serve, once */
    bool stopping;
    bool failed;
};

static size_t running(const struct supervisor *supervisor)
{
    size_t count = 0;
    for (unsigned i = 0; i < supervisor->options->workers; i++) {
        count += supervisor->workers[i].pid > 0;
    }
    return count;
}

static bool all_up(const struct supervisor *supervisor)
{
    bool up = true;
    for (unsigned i = 0; i < supervisor->options->workers; i++) {
        up = up && supervisor->workers[i].state == WORKER_UP;
    }
    return up;
}

static void signal_all(struct supervisor *supervisor, int number)
{
    for (unsigned i = 0; i < supervisor->options->workers; i++) {
        worker_signal(&supervisor->workers[i], number);
    }
}

/* From now on nothing is started again, and the last worker's end is that of the loop. */
static void stop(struct supervisor *supervisor, int number)
{
    supervisor->stopping = true;
    for (unsigned i = 0; i < supervisor->options->workers; i++) {
        loop_timer_cancel(supervisor->loop, &supervisor->workers[i].restart);
    }
    signal_all(supervisor, number);
    if (running(supervisor) == 0) {
        loop_stop(supervisor->loop);
    }
}

/* What a worker cannot do at all, the next one cannot either. SIGINT: without ado. */
static void fail(struct supervisor *supervisor)
{
    supervisor->failed = true;
    stop(supervisor, SIGINT);
}

/* --- Workers' channels --- */

static void begun(struct supervisor *supervisor, struct worker *worker)
{
    worker->state = WORKER_UP;
    log_info("worker started", LOG_U64("worker", worker->index), LOG_U64("pid", worker->pid));
    if (!supervisor->serving && all_up(supervisor)) {
        supervisor->serving = true;
        log_info("listening", LOG_U64("port", supervisor->port.number),
                 LOG_U64("ops_port", supervisor->job.ops_port),
                 LOG_CSTR("version", supervisor->options->version), LOG_U64("pid", getpid()),
                 LOG_U64("workers", supervisor->options->workers));
    }
}

static void on_frame(void *owner, const struct channel_frame *frame, struct str body)
{
    struct worker *worker = owner;
    if (frame->serial == 0) {
        begun(worker->supervisor, worker);
    } else {
        surveys_take(&worker->supervisor->surveys, worker, frame, body);
    }
}

/* It is ending, mostly; its process tells. */
static void on_channel_end(void *owner)
{
    struct worker *worker = owner;
    channel_close(worker->channel);
    worker->channel = NULL;
    surveys_lose(&worker->supervisor->surveys, worker);
}

static const struct channel_ops channel_ops = {on_frame, on_channel_end};

/* --- Workers' lives --- */

static void restart_later(struct supervisor *supervisor, struct worker *worker, uint64_t ran_ms)
{
    uint64_t delay_ms = backoff_next(&worker->backoff, ran_ms);
    log_warn("worker is started again", LOG_U64("worker", worker->index),
             LOG_U64("after_ms", delay_ms));
    loop_timer_set(supervisor->loop, &worker->restart, delay_ms);
}

static void on_restart(struct wheel_timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, restart);
    struct supervisor *supervisor = worker->supervisor;
    if (worker_start(worker, &supervisor->job, &channel_ops)) {
        log_error("worker not started", LOG_U64("worker", worker->index), LOG_ERRNO());
        restart_later(supervisor, worker, 0);
        return;
    }
    worker->restarts++;
}

static void log_end(const struct worker *worker, int status, bool wanted)
{
    enum log_level level = wanted ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    char name[32] = "";
    if (WIFSIGNALED(status)) {
        const char *abbreviation = sigabbrev_np(WTERMSIG(status));
        snprintf(name, sizeof name, "SIG%s", abbreviation ? abbreviation : "");
        log_write(level, "worker ended",
                  LOG_FIELDS(LOG_U64("worker", worker->index), LOG_U64("pid", worker->pid),
                             LOG_CSTR("signal", name)));
    } else {
        log_write(level, "worker ended",
                  LOG_FIELDS(LOG_U64("worker", worker->index), LOG_U64("pid", worker->pid),
                             LOG_U64("status", WEXITSTATUS(status))));
    }
}

static void ended(struct supervisor *supervisor, struct worker *worker, int status)
{
    uint64_t ran_ms = loop_now(supervisor->loop) - worker->started_ms;
    bool had_begun = worker->state == WORKER_UP;
    log_end(worker, status, supervisor->stopping);
    worker_ended(worker);
    surveys_lose(&supervisor->surveys, worker);
    if (supervisor->stopping) {
        if (running(supervisor) == 0) {
            loop_stop(supervisor->loop);
        }
    } else if (!supervisor->serving && !had_begun) {
        log_error("could not start", LOG_CSTR("why", "a worker ended before it served"));
        fail(supervisor);
    } else {
        restart_later(supervisor, worker, ran_ms);
    }
}

static void reap(struct supervisor *supervisor)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (unsigned i = 0; i < supervisor->options->workers; i++) {
            if (supervisor->workers[i].pid == pid) {
                ended(supervisor, &supervisor->workers[i], status);
            }
        }
    }
}

/* --- Signals --- */

static void take_signal(struct supervisor *supervisor, int number)
{
    switch (number) {
    case SIGCHLD:
        reap(supervisor);
        break;
    case SIGHUP:
        supervisor->job.hung_up = true;
        signal_all(supervisor, SIGHUP);
        break;
    default:
        log_info("stopping", LOG_CSTR("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"),
                 LOG_U64("workers", running(supervisor)));
        stop(supervisor, number);
        break;
    }
}

static void on_signals(evutil_socket_t fd, short what, void *arg)
{
    struct supervisor *supervisor = arg;
    struct signalfd_siginfo info;
    (void)what;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        take_signal(supervisor, (int)info.ssi_signo);
    }
}

static enum err watch_signals(struct supervisor *supervisor)
{
    signals_hold();
    int fd = signals_open();
    if (fd < 0) {
        return ERR_IO;
    }
    supervisor->signals =
        event_new(loop_base(supervisor->loop), fd, EV_READ | EV_PERSIST, on_signals, supervisor);
    if (!supervisor->signals) {
        close(fd);
        return ERR_NOMEM;
    }
    return event_add(supervisor->signals, NULL) ? ERR_NOMEM : OK;
}

/* --- Beginning and end --- */

static enum err make_workers(struct supervisor *supervisor)
{
    unsigned count = supervisor->options->workers;
    supervisor->workers = calloc(count, sizeof *supervisor->workers);
    if (!supervisor->workers) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        supervisor->workers[i].supervisor = supervisor;
        supervisor->workers[i].index = i;
        wheel_timer_init(&supervisor->workers[i].restart, on_restart);
    }
    surveys_init(&supervisor->surveys, supervisor->loop, supervisor->workers, count);
    return OK;
}

/* Both ports, before there is anybody who would have to be told that one is taken. */
static enum err open_ports(struct supervisor *supervisor, struct buf *complaint)
{
    const struct supervisor_options *options = supervisor->options;
    enum err err = net_port_reserve(&supervisor->port, options->host, options->port, complaint);
    return err ? err
               : ops_server_open(supervisor->loop, options->ops_host, options->ops_port,
                                 surveys_answerer(&supervisor->surveys), &supervisor->ops,
                                 complaint);
}

static enum err open_all(struct supervisor *supervisor, struct buf *complaint)
{
    supervisor->loop = loop_new();
    enum err err = supervisor->loop ? make_workers(supervisor) : ERR_NOMEM;
    err = err ? err : open_ports(supervisor, complaint);
    return err ? err : watch_signals(supervisor);
}

static enum err start_workers(struct supervisor *supervisor)
{
    const struct supervisor_options *options = supervisor->options;
    supervisor->job = (struct worker_job){.loop = supervisor->loop,
                                          .port = supervisor->port.number,
                                          .ops_port = ops_server_port(supervisor->ops),
                                          .work = options->work,
                                          .owner = options->owner};
    enum err err = OK;
    for (unsigned i = 0; i < options->workers && !err; i++) {
        err = worker_start(&supervisor->workers[i], &supervisor->job, &channel_ops);
    }
    return err;
}

/* The workers have ended, or there were none. */
static void close_all(struct supervisor *supervisor)
{
    if (supervisor->signals) {
        close(event_get_fd(supervisor->signals));
        event_free(supervisor->signals);
    }
    ops_server_free(supervisor->ops); /* ends the surveys */
    net_port_close(&supervisor->port);
    free(supervisor->workers);
    loop_free(supervisor->loop);
}

static enum err serve(struct supervisor *supervisor)
{
    if (start_workers(supervisor)) {
        log_error("could not start", LOG_CSTR("why", "cannot fork"), LOG_ERRNO());
        if (running(supervisor) == 0) {
            return ERR_IO;
        }
        fail(supervisor);
    }
    enum err err = loop_run(supervisor->loop);
    if (err) {
        log_error("event loop failed", LOG_ERR(err));
    }
    return err ? err : supervisor->failed ? ERR_CLOSED : OK;
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor supervisor = {.options = options};
    struct buf complaint;
    buf_init(&complaint, 0);
    enum err err = open_all(&supervisor, &complaint);
    if (err) {
        const char *why = buf_cstr(&complaint);
        log_error("could not start", LOG_CSTR("why", why && *why ? why : err_name(err)));
    } else {
        err = serve(&supervisor);
    }
    close_all(&supervisor);
    buf_fini(&complaint);
    if (!err) {
        log_info("stopped");
    }
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

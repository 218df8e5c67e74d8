/* guesslyfe-gateway: arguments, signals, and the loop that everything runs on. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway.h"
#include "log/log.h"
#include "reload.h"
#include "workers/cpus.h"
#include "workers/supervisor.h"

enum { EXIT_USAGE = 2, DESCRIPTORS_SPARE = 64 };

static void print_help(void)
{
    printf("Usage: guesslyfe-gateway [--FLAG VALUE]...\n\n"
           "Carries GuessLyfe's events from Redis to Socket.IO clients.\n\n"
           "  --help, -h                this text\n"
           "  --version                 the version\n"
           "  --check-config            print the settings as they would be used, and exit;\n"
           "                            status 2 and a complaint when one is wrong\n\n"
           "Every setting is a flag or an environment variable (in brackets, with its\n"
           "default), or a line of the settings file; the flag wins, then the variable.\n"
           "SIGHUP reloads those with \"reload\".\n");
    config_print_help(gateway_option_table(), stdout);
    printf("\nSignals:\n"
           "  SIGTERM  hands the clients on to other gateways, then ends it\n"
           "  SIGINT, a second SIGTERM\n"
           "           end it now\n"
           "  SIGHUP   reads the settings file, the files with secrets and the certificate\n"
           "           again\n"
           "A supervisor (--workers) passes them to its workers.\n\n"
           "Exit status:\n"
           "  0  a signal ended it\n"
           "  1  it could not start or go on\n"
           "  2  wrong settings\n");
}

/* Takes a flag without value out of argv. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], flag) == 0) {
            memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
            --*argc;
            return true;
        }
    }
    return false;
}

/* Complains on standard error. */
static enum err read_settings(int argc, char **argv, struct live_settings *live)
{
    struct buf complaint = {0};
    enum err err = live_settings_load(live, argc, argv, &complaint);
    if (err) {
        const char *text = buf_cstr(&complaint);
        fprintf(stderr, "guesslyfe-gateway: %s\n", text && *text ? text : err_name(err));
    }
    buf_fini(&complaint);
    return err;
}

/* Every client is a descriptor: takes what the system allows and says when that is too little. */
static void raise_descriptor_limit(const struct gateway_settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        log_warn("limit of open files not known", LOG_ERRNO());
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        log_warn("limit of open files not raised", LOG_ERRNO());
    }
    if (limit.rlim_cur < settings->max_connections + DESCRIPTORS_SPARE) {
        log_warn("limit of open files is below MAX_CONNECTIONS", LOG_U64("limit", limit.rlim_cur),
                 LOG_U64("max_connections", settings->max_connections));
    }
}

/* --- Signals --- */

struct process {
    struct loop *loop;
    struct live_settings *live;
    struct gateway *gateway;
};

static void stop(void *owner)
{
    struct process *process = owner;
    loop_stop(process->loop);
}

/* A worker is silent: its supervisor says where all of them listen. */
static void log_listening(const struct gateway *gateway)
{
    if (!gateway_is_worker(gateway)) {
        log_info("listening", LOG_U64("port", gateway_port(gateway)),
                 LOG_U64("ops_port", gateway_ops_port(gateway)),
                 LOG_CSTR("version", GUESSLYFE_VERSION), LOG_U64("pid", getpid()));
    }
}

/* Hands the clients on first; whoever does not want to wait for that sends another. */
static void on_term(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct process *process = arg;
    log_info("stopping", LOG_CSTR("signal", "SIGTERM"));
    if (gateway_draining(process->gateway)) {
        stop(process);
    } else {
        gateway_drain(process->gateway, stop, process);
    }
}

static void on_interrupt(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    log_info("stopping", LOG_CSTR("signal", "SIGINT"));
    stop(arg);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct process *process = arg;
    log_info("reloading", LOG_CSTR("signal", "SIGHUP"));
    live_settings_reload(process->live, process->gateway);
    raise_descriptor_limit(&process->live->now);
}

static const struct {
    int number;
    event_callback_fn on_signal;
} signals[] = {{SIGTERM, on_term}, {SIGINT, on_interrupt}, {SIGHUP, on_hangup}};

/* Runs until a signal or an error of the loop itself. */
static enum err run(struct process *process)
{
    struct event *events[ARRAY_LEN(signals)] = {NULL};
    enum err err = OK;
    for (size_t i = 0; i < ARRAY_LEN(signals) && !err; i++) {
        events[i] = evsignal_new(loop_base(process->loop), signals[i].number, signals[i].on_signal,
                                 process);
        err = events[i] && event_add(events[i], NULL) == 0 ? OK : ERR_NOMEM;
    }
    if (!err) {
        log_listening(process->gateway);
        err = loop_run(process->loop);
    }
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        if (events[i]) {
            event_free(events[i]);
        }
    }
    return err;
}

static int serve(struct live_settings *live)
{
    struct buf complaint = {0};
    struct process process = {.loop = loop_new(), .live = live};
    enum err err = process.loop
                       ? gateway_open(process.loop, &live->now, &process.gateway, &complaint)
                       : ERR_NOMEM;
    if (err) {
        const char *why = buf_cstr(&complaint);
        log_error("could not start", LOG_CSTR("why", why && *why ? why : err_name(err)));
    } else {
        err = run(&process);
        if (err) {
            log_error("event loop failed", LOG_ERR(err));
        }
    }
    gateway_close(process.gateway);
    loop_free(process.loop);
    buf_fini(&complaint);
    if (!err) {
        log_info("stopped");
    }
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A worker's life: that of a gateway alone, on the port of all. */
static int work(void *owner, const struct worker_place *place)
{
    struct live_settings *live = owner; /* the worker's own from now on */
    live->now.worker_port = place->port;
    live->now.worker_ops_port = place->ops_port;
    live->now.worker = place->index;
    live->now.worker_channel = place->channel;
    return serve(live);
}

static int supervise(struct live_settings *live, unsigned workers)
{
    const struct gateway_settings *settings = &live->now;
    const struct supervisor_options options = {.host = settings->host,
                                               .ops_host = settings->ops_host,
                                               .port = (uint16_t)settings->port,
                                               .ops_port = (uint16_t)settings->ops_port,
                                               .workers = workers,
                                               .version = GUESSLYFE_VERSION,
                                               .work = work,
                                               .owner = live};
    return supervisor_run(&options);
}

/* How many processes are to serve. */
static unsigned workers_wanted(const struct gateway_settings *settings)
{
    unsigned workers = settings->workers ? (unsigned)settings->workers : cpus_usable();
    return workers < WORKERS_MAX ? workers : WORKERS_MAX;
}

static int show(const struct gateway_settings *settings)
{
    config_print_values(gateway_option_table(), settings, stdout);
    config_print_reloadable(gateway_option_table(), stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_with(struct live_settings *live)
{
    const struct gateway_settings *settings = &live->now;
    /* Writing to a connection that is gone is an error to be handled, not the process' end. */
    signal(SIGPIPE, SIG_IGN);
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format, NULL,
              NULL);
    raise_descriptor_limit(settings);
    unsigned workers = workers_wanted(settings);
    return workers > 1 ? supervise(live, workers) : serve(live);
}

int main(int argc, char **argv)
{
    if (take_flag(&argc, argv, "--help") || take_flag(&argc, argv, "-h")) {
        print_help();
        return EXIT_SUCCESS;
    }
    if (take_flag(&argc, argv, "--version")) {
        printf("guesslyfe-gateway %s\n", GUESSLYFE_VERSION);
        return EXIT_SUCCESS;
    }
    bool check_only = take_flag(&argc, argv, "--check-config");
    struct live_settings live;
    int status = EXIT_USAGE;
    if (!read_settings(argc, argv, &live)) {
        status = check_only ? show(&live.now) : run_with(&live);
    }
    live_settings_fini(&live);
    return status;
}

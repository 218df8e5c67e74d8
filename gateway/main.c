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
           "default); the flag wins.\n");
    config_print_help(gateway_option_table(), stdout);
    printf("\nSignals: SIGTERM and SIGINT end it; a supervisor (--workers) passes them to its\n"
           "workers, SIGHUP too.\n\n"
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

/* Loads and checks; complains on standard error. *ret_strings as in config_load. */
static enum err read_settings(int argc, char **argv, struct gateway_settings *settings,
                              char **ret_strings)
{
    struct buf complaint;
    buf_init(&complaint, 0);
    int rest = 0;
    enum err err =
        config_load(gateway_option_table(), argc, argv, settings, &rest, ret_strings, &complaint);
    if (!err && rest < argc) {
        err = buf_printf(&complaint, "unexpected argument \"%s\"; --help tells the usage",
                         argv[rest]);
        err = err ? err : ERR_INVALID;
    }
    err = err ? err : gateway_settings_check(settings, &complaint);
    if (err) {
        const char *text = buf_cstr(&complaint);
        fprintf(stderr, "guesslyfe-gateway: %s\n", text && *text ? text : err_name(err));
    }
    settings->redis.client_name = "guesslyfe-gateway";
    settings->redis.reconnect = true;
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

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct loop *loop = arg;
    log_info("stopping", LOG_CSTR("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
    loop_stop(loop);
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

/* Runs until a signal or an error of the loop itself. */
static enum err run(struct loop *loop, struct gateway *gateway)
{
    struct event *term = evsignal_new(loop_base(loop), SIGTERM, on_signal, loop);
    struct event *interrupt = evsignal_new(loop_base(loop), SIGINT, on_signal, loop);
    enum err err = ERR_NOMEM;
    if (term && interrupt && event_add(term, NULL) == 0 && event_add(interrupt, NULL) == 0) {
        log_listening(gateway);
        err = loop_run(loop);
    }
    if (term) {
        event_free(term);
    }
    if (interrupt) {
        event_free(interrupt);
    }
    return err;
}

static int serve(const struct gateway_settings *settings)
{
    struct buf complaint;
    buf_init(&complaint, 0);
    struct gateway *gateway = NULL;
    struct loop *loop = loop_new();
    enum err err = loop ? gateway_open(loop, settings, &gateway, &complaint) : ERR_NOMEM;
    if (err) {
        const char *why = buf_cstr(&complaint);
        log_error("could not start", LOG_CSTR("why", why && *why ? why : err_name(err)));
    } else {
        err = run(loop, gateway);
        if (err) {
            log_error("event loop failed", LOG_ERR(err));
        }
    }
    gateway_close(gateway);
    loop_free(loop);
    buf_fini(&complaint);
    if (!err) {
        log_info("stopped");
    }
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A worker's life: that of a gateway alone, on the port of all. */
static int work(void *owner, const struct worker_place *place)
{
    struct gateway_settings settings = *(const struct gateway_settings *)owner;
    settings.port = place->port;
    settings.ops_port = place->ops_port;
    settings.worker = place->index;
    settings.worker_channel = place->channel;
    return serve(&settings);
}

static int supervise(struct gateway_settings *settings, unsigned workers)
{
    const struct supervisor_options options = {.host = settings->host,
                                               .ops_host = settings->ops_host,
                                               .port = (uint16_t)settings->port,
                                               .ops_port = (uint16_t)settings->ops_port,
                                               .workers = workers,
                                               .version = GUESSLYFE_VERSION,
                                               .work = work,
                                               .owner = settings};
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
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_with(struct gateway_settings *settings)
{
    /* Writing to a connection that is gone is an error to be handled, not the process' end. */
    signal(SIGPIPE, SIG_IGN);
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format, NULL,
              NULL);
    raise_descriptor_limit(settings);
    unsigned workers = workers_wanted(settings);
    return workers > 1 ? supervise(settings, workers) : serve(settings);
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
    struct gateway_settings settings;
    memset(&settings, 0, sizeof settings);
    char *strings = NULL;
    int status = EXIT_USAGE;
    if (!read_settings(argc, argv, &settings, &strings)) {
        status = check_only ? show(&settings) : run_with(&settings);
    }
    free(strings);
    return status;
}

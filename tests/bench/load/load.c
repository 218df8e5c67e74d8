/*
 * The load generator: many authenticated clients against one server, events published past it
 * through Redis, and an account of every delivery. Usage: see usage() and work.h.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>

#include "util/attr.h"
#include "work.h"

struct options {
    struct fleet_options fleet;
    struct work_options work;
    unsigned clients;
    unsigned redis_port;
    const char *script;
    enum event_form form;
};

static const char usage_text[] =
    "load --port P --redis-port P --secret S --clients N [options] WORK...\n"
    "works: warm:CLIENTS connect idle:SECONDS subscribe fanout:FLIGHT:EVENTS pace:RATE:EVENTS "
    "storm:EVENTS:FLIGHT hear:SECONDS join:CLIENTS trades:COUNT:SECONDS move:SECONDS close\n"
    "  --host ADDRESS      of the server (127.0.0.1)\n"
    "  --next-host ADDRESS where clients go when their server stops (move)\n"
    "  --first-user N      the number of the first client's user (1)\n"
    "  --rooms N           market:1 to market:N: each client in one of them, or, with a multiple "
    "of the clients, in as many (1)\n"
    "  --socketio          publish as the Redis adapter of Socket.IO on Node reads it\n"
    "  --script FILE       publish.lua, for events that have to be in a log (storm)\n"
    "  --keep              publish all events by it\n"
    "  --bare              clients stop at the Engine.IO handshake\n"
    "  --polling           clients poll instead of opening a WebSocket\n"
    "  --tls               over TLS, with a full handshake each; any certificate will do\n"
    "  --recovery          clients ask for Connection State Recovery\n"
    "  --sources N         loopback addresses to connect from (200)\n"
    "  --concurrency N     handshakes under way at once (64)\n"
    "  --rate N            handshakes begun a second at most (no limit)\n"
    "  --seconds N         a work publishes no longer (60)\n"
    "  --patience N        seconds without progress that end a work (10)\n"
    "  --server-pid PID    the process to measure\n"
    "Prints a line of JSON a work; fails when a client or a delivery was lost, or came twice.\n";

enum {
    MAX_CLIENTS = 100000,
    MAX_SOURCES = 10000,
    MAX_SECONDS = 3600,
    MAX_PID = 1 << 22,
    MAX_USER = 100000000
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"redis-port", required_argument, NULL, 'r'},
    {"secret", required_argument, NULL, 's'},
    {"clients", required_argument, NULL, 'n'},
    {"host", required_argument, NULL, 'h'},
    {"rooms", required_argument, NULL, 'm'},
    {"socketio", no_argument, NULL, 'i'},
    {"script", required_argument, NULL, 'l'},
    {"bare", no_argument, NULL, 'b'},
    {"polling", no_argument, NULL, 'o'},
    {"tls", no_argument, NULL, 'e'},
    {"next-host", required_argument, NULL, 'N'},
    {"first-user", required_argument, NULL, 'u'},
    {"keep", no_argument, NULL, 'k'},
    {"recovery", no_argument, NULL, 'v'},
    {"sources", required_argument, NULL, 'S'},
    {"concurrency", required_argument, NULL, 'C'},
    {"rate", required_argument, NULL, 'R'},
    {"seconds", required_argument, NULL, 't'},
    {"patience", required_argument, NULL, 'T'},
    {"server-pid", required_argument, NULL, 'P'},
    {0},
};

static unsigned number(const char *text, unsigned max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > max) {
        fprintf(stderr, "load: '%s' is not a number from 1 to %u\n%s", text, max, usage_text);
        exit(2);
    }
    return (unsigned)value;
}

/* The options that say what the clients are and do. */
static bool set_fleet_option(struct options *options, int option)
{
    switch (option) {
    case 'p':
        options->fleet.port = number(optarg, UINT16_MAX);
        return true;
    case 's':
        options->fleet.secret = optarg;
        return true;
    case 'n':
        options->clients = number(optarg, MAX_CLIENTS);
        return true;
    case 'h':
        options->fleet.host = optarg;
        return true;
    case 'N':
        options->fleet.next_host = optarg;
        return true;
    case 'u':
        options->fleet.first_user = number(optarg, MAX_USER);
        return true;
    case 'm':
        options->fleet.rooms = number(optarg, MAX_CLIENTS);
        return true;
    case 'b':
        options->fleet.bare = true;
        return true;
    case 'o':
        options->fleet.polling = true;
        return true;
    case 'e':
        options->fleet.tls = true;
        return true;
    case 'v':
        options->fleet.recovery = true;
        return true;
    case 'S':
        options->fleet.sources = number(optarg, MAX_SOURCES);
        return true;
    default:
        return false;
    }
}

static bool set_option(struct options *options, int option)
{
    switch (option) {
    case 'r':
        options->redis_port = number(optarg, UINT16_MAX);
        return true;
    case 'i':
        options->form = EVENT_SOCKETIO;
        return true;
    case 'l':
        options->script = optarg;
        return true;
    case 'k':
        options->work.keep = true;
        return true;
    case 'C':
        options->work.concurrency = number(optarg, MAX_CLIENTS);
        return true;
    case 'R':
        options->work.rate = number(optarg, MAX_CLIENTS);
        return true;
    case 't':
        options->work.seconds = number(optarg, MAX_SECONDS);
        return true;
    case 'T':
        options->work.patience = number(optarg, MAX_SECONDS);
        return true;
    case 'P':
        options->work.server_pid = (int)number(optarg, MAX_PID);
        return true;
    default:
        return set_fleet_option(options, option);
    }
}

static bool parse(int argc, char **argv, struct options *options)
{
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!set_option(options, option)) {
            return false;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (!work_is_valid(argv[i])) {
            fprintf(stderr, "load: no such work: %s\n", argv[i]);
            return false;
        }
    }
    return optind < argc && options->fleet.port > 0 && options->redis_port > 0 &&
           options->fleet.secret != NULL && options->clients > 0;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool run_works(struct work_context *context, char **works)
{
    for (; *works != NULL; works++) {
        if (!work_run(context, *works)) {
            fprintf(stderr, "load: %s did not go well\n", *works);
            return false;
        }
    }
    return true;
}

static enum err open_publisher(struct publisher *publisher, const struct options *options)
{
    enum err err = publisher_open(publisher, "127.0.0.1", options->redis_port);
    if (err == OK && options->script != NULL) {
        err = publisher_load(publisher, options->script);
    }
    return err;
}

static int run(const struct options *options, char **works)
{
    static struct fanout fanout;
    struct fleet fleet;
    struct publisher publisher;
    bool ok = false;
    enum err err = fleet_init(&fleet, &options->fleet, options->clients);
    if (err != OK) {
        fprintf(stderr, "load: no clients: %s\n", err_name(err));
        return EXIT_FAILURE;
    }
    err = open_publisher(&publisher, options);
    if (err == OK) {
        err = fanout_init(&fanout, &fleet, &publisher, options->form);
    }
    if (err == OK) {
        struct work_context context = {
            .options = &options->work, .fleet = &fleet, .fanout = &fanout};
        ok = run_works(&context, works);
    } else {
        fprintf(stderr, "load: no Redis: %s\n", err_name(err));
    }
    fanout_fini(&fanout);
    publisher_close(&publisher);
    fleet_fini(&fleet);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options = {
        .fleet = {.host = "127.0.0.1", .first_user = 1, .rooms = 1, .sources = 200},
        .work = {.concurrency = 64, .seconds = 60, .patience = 10},
    };
    if (!parse(argc, argv, &options)) {
        fputs(usage_text, stderr);
        return 2;
    }
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    return run(&options, argv + optind);
}

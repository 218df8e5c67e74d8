/*
 * The load generator: many authenticated clients against one server, events published past it
 * through Redis, and an account of every delivery. Usage: --help and work.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/options.h"
#include "shared/process.h"
#include "util/attr.h"
#include "work.h"

struct settings {
    struct fleet_options fleet;
    struct work_options work;
    unsigned clients;
    unsigned redis_port;
    const char *script;
    bool socketio;
};

enum {
    MAX_CLIENTS = 100000,
    MAX_ROOMS = 100000,
    MAX_SECONDS = 3600,
    MAX_PID = 1 << 22, /* PID_MAX_LIMIT of Linux */
    MAX_USER = 100000000
};

#define AT(member) offsetof(struct settings, member)

static const struct option_row rows[] = {
    {"port", "P", UINT16_MAX, AT(fleet.port), "of the server"},
    {"redis-port", "P", UINT16_MAX, AT(redis_port), "of Redis, on 127.0.0.1"},
    {"secret", "S", 0, AT(fleet.secret), "that the clients' tokens are signed with"},
    {"clients", "N", MAX_CLIENTS, AT(clients), "how many"},
    {"host", "ADDRESS", 0, AT(fleet.host), "of the server, a loopback one (127.0.0.1)"},
    {"next-host", "ADDRESS", 0, AT(fleet.next_host),
     "where clients go when their server stops (move)"},
    {"first-user", "N", MAX_USER, AT(fleet.first_user),
     "the number of the first client's user (1)"},
    {"rooms", "N", MAX_ROOMS, AT(fleet.rooms),
     "market:1 to market:N: each client in one of them, or, with a multiple of the clients, in as "
     "many (1)"},
    {"socketio", NULL, 0, AT(socketio),
     "publish as the Redis adapter of Socket.IO on Node reads it"},
    {"script", "FILE", 0, AT(script), "publish.lua, for events that have to be in a log (storm)"},
    {"keep", NULL, 0, AT(work.keep), "publish all events by it"},
    {"bare", NULL, 0, AT(fleet.bare), "clients stop at the Engine.IO handshake"},
    {"polling", NULL, 0, AT(fleet.polling), "clients poll instead of opening a WebSocket"},
    {"tls", NULL, 0, AT(fleet.tls),
     "over TLS, with a full handshake each; any certificate will do"},
    {"recovery", NULL, 0, AT(fleet.recovery), "clients ask for Connection State Recovery"},
    {"concurrency", "N", MAX_CLIENTS, AT(work.concurrency), "handshakes under way at once (64)"},
    {"seconds", "N", MAX_SECONDS, AT(work.seconds), "a work publishes no longer (60)"},
    {"patience", "N", MAX_SECONDS, AT(work.patience),
     "seconds without progress that end a work (10)"},
    {"server-pid", "PID", MAX_PID, AT(work.server_pid), "the process to measure"},
};

static const struct options options = {
    .head =
        "load --port P --redis-port P --secret S --clients N [options] WORK...\n"
        "works: warm:CLIENTS connect idle:SECONDS subscribe fanout:FLIGHT:EVENTS pace:RATE:EVENTS\n"
        "       storm:EVENTS:FLIGHT hear:SECONDS join:CLIENTS trades:COUNT:SECONDS move:SECONDS "
        "close\n",
    .foot = "Prints a line of JSON a work; fails when a client or a delivery was lost, or came "
            "twice.\n",
    .rows = rows,
    .count = ARRAY_LEN(rows),
};
_Static_assert(ARRAY_LEN(rows) <= OPTIONS_MAX, "options_read has room for no more");

/* The works that are asked for, at the end of argv. */
static char **parse(int argc, char **argv, struct settings *settings)
{
    int first_work = options_read(&options, argc, argv, settings);
    if (first_work == argc || settings->fleet.port == 0 || settings->redis_port == 0 ||
        settings->fleet.secret == NULL || settings->clients == 0) {
        options_misused(&options);
    }
    for (int i = first_work; i < argc; i++) {
        if (!work_is_valid(argv[i])) {
            fprintf(stderr, "load: no such work: %s\n", argv[i]);
            options_misused(&options);
        }
    }
    return argv + first_work;
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

static enum err open_publisher(struct publisher *publisher, const struct settings *settings)
{
    enum err err = publisher_open(publisher, settings->redis_port);
    if (err == OK && settings->script != NULL) {
        err = publisher_load(publisher, settings->script);
    }
    return err;
}

static int run(const struct settings *settings, char **works)
{
    static struct fanout fanout;
    struct fleet fleet;
    struct publisher publisher;
    bool ok = false;
    enum err err = fleet_init(&fleet, &settings->fleet, settings->clients);
    if (err != OK) {
        fprintf(stderr, "load: no clients: %s\n", err_name(err));
        return EXIT_FAILURE;
    }
    err = open_publisher(&publisher, settings);
    if (err == OK) {
        err = fanout_init(&fanout, &fleet, &publisher,
                          settings->socketio ? EVENT_SOCKETIO : EVENT_PLAIN);
    }
    if (err == OK) {
        struct work_context context = {
            .options = &settings->work, .fleet = &fleet, .fanout = &fanout};
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
    struct settings settings = {
        .fleet = {.host = "127.0.0.1", .first_user = 1, .rooms = 1},
        .work = {.concurrency = 64, .seconds = 60, .patience = 10},
    };
    char **works = parse(argc, argv, &settings);
    process_allow_files();
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    return run(&settings, works);
}

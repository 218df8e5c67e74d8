/*
 * A real redis-server for a test: on a free port, in a folder of its own that goes with it.
 * Anything that fails ends the test program. Skip-free: a machine without redis-server fails.
 */
#ifndef SUPPORT_REDIS_SERVER_H
#define SUPPORT_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid; /* 0 while stopped */
    uint16_t port;
    bool tls;
    char folder[64];
    const char *const *extra; /* further arguments, NULL-terminated; NULL: none */
    uint16_t primary;         /* port of the server that it is a replica of; 0: it is none */
};

/*
 * Starts one and waits until it takes connections. `extra` is borrowed: {"--requirepass", "secret",
 * NULL}. With `tls` it speaks nothing else; the folder then holds ca.crt, server.crt/.key for
 * "localhost" and 127.0.0.1, client.crt/.key, and other-ca.crt that signed nothing.
 */
void redis_server_start(struct redis_server *server, const char *const *extra, bool tls);
/* A replica of a plain server; waits until it is told of writes. */
void redis_server_start_replica(struct redis_server *server, const struct redis_server *primary);
/* SIGKILL, like a machine that dies. */
void redis_server_kill(struct redis_server *server);
/* On the same port as before, empty. */
void redis_server_start_again(struct redis_server *server);
void redis_server_pause(struct redis_server *server);
void redis_server_resume(struct redis_server *server);
/* Kills it and removes its folder. */
void redis_server_stop(struct redis_server *server);

/* A file of its folder; borrowed until the next call. */
const char *redis_server_file(const struct redis_server *server, const char *name);

/*
 * One command from another connection, words separated by single spaces (plain servers without a
 * password only); the raw answer is in `answer`, terminated and cut to its size.
 */
void redis_server_ask(const struct redis_server *server, const char *command, char *answer,
                      int size);

#endif

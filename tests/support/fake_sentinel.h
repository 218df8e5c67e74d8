/*
 * A sentinel that says what a test wants, on a port of its own, served by a thread: as a link to a
 * sentinel sees one. Its memory is its own, so that failing allocations are not its.
 */
#ifndef SUPPORT_FAKE_SENTINEL_H
#define SUPPORT_FAKE_SENTINEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_SENTINEL_CLIENTS = 8, FAKE_SENTINEL_INPUT = 1024 };

struct fake_sentinel_client {
    int fd; /* -1: a free place */
    bool subscribed, let_in;
    size_t len;
    char input[FAKE_SENTINEL_INPUT];
};

struct fake_sentinel {
    /* Set before the start; the port at any time. */
    const char *master;       /* the name that it knows */
    const char *password;     /* NULL: none is wanted */
    const char *answer;       /* raw, instead of the primary's address; NULL: the address */
    bool silent;              /* takes connections and says nothing */
    atomic_uint primary_port; /* on 127.0.0.1 */

    atomic_uint asked;       /* how often it told, or said that it does not know */
    atomic_uint subscribers; /* now */
    uint16_t port;
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /* of clients */
    atomic_bool stop;
    struct fake_sentinel_client clients[FAKE_SENTINEL_CLIENTS];
};

void fake_sentinel_start(struct fake_sentinel *sentinel);
void fake_sentinel_stop(struct fake_sentinel *sentinel);
/* Raw bytes to all subscribers. */
void fake_sentinel_publish(struct fake_sentinel *sentinel, const char *bytes);
/* "+switch-master" to all subscribers: the primary is on this port now. */
void fake_sentinel_switch(struct fake_sentinel *sentinel, const char *master, unsigned port);
/* Closes all connections. */
void fake_sentinel_drop(struct fake_sentinel *sentinel);

#endif

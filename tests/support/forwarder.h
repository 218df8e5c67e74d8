/*
 * A port that leads to another: the first connection to it to the first port given, and so on, the
 * last for all that follow. For what goes wrong between two programs that are both well. In a
 * thread of its own.
 */
#ifndef SUPPORT_FORWARDER_H
#define SUPPORT_FORWARDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { FORWARDER_PAIRS_MAX = 16, FORWARDER_PORTS_MAX = 4 };

struct forwarder {
    uint16_t port;
    /* private */
    uint16_t ports[FORWARDER_PORTS_MAX];
    unsigned count;
    int listener;
    int pairs[FORWARDER_PAIRS_MAX][2];
    unsigned used;
    atomic_uint accepted;
    atomic_bool stopping;
    pthread_t thread;
};

void forwarder_start(struct forwarder *forwarder, const uint16_t *ports, unsigned count);
void forwarder_stop(struct forwarder *forwarder);
/* Connections so far. */
unsigned forwarder_accepted(struct forwarder *forwarder);

#endif

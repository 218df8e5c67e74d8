/* What the floor says to a client until it is subscribed: fixed texts, one for each request. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stddef.h>

enum { ANSWER_MAX = 512 };

/* Each writes whole frames into `out` and returns their length. */
size_t answer_upgrade(char out[ANSWER_MAX]);   /* the HTTP response and the Engine.IO handshake */
size_t answer_connect(char out[ANSWER_MAX]);   /* the namespace and the event "connected" */
size_t answer_subscribe(char out[ANSWER_MAX]); /* the ack */

#endif

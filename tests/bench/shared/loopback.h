/* Connecting to what listens on 127.0.0.1: the bench's Redis. */
#ifndef BENCH_LOOPBACK_H
#define BENCH_LOOPBACK_H

#include "util/attr.h"
#include "util/err.h"

/* A TCP connection that sends at once and waits where it must; the caller closes it. IO. */
MUST_CHECK enum err loopback_connect(unsigned port, int *ret_fd);

#endif

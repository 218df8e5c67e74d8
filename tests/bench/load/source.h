/* Sockets that come from many loopback addresses, because one has only so many ports. */
#ifndef BENCH_SOURCE_H
#define BENCH_SOURCE_H

/* A non-blocking TCP socket bound to the loopback address number `source`; -1 on failure. */
int source_socket(unsigned source);

#endif

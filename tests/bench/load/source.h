/* Sockets that come from many loopback addresses, because one has only so many ports. */
#ifndef BENCH_SOURCE_H
#define BENCH_SOURCE_H

/* A non-blocking TCP socket for client `index`, bound to one of 200 addresses; -1 on failure. */
int source_socket(unsigned index);

#endif

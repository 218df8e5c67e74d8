/* The little of MessagePack that an event in Socket.IO's Redis adapter needs, written only. */
#ifndef BENCH_MSGPACK_H
#define BENCH_MSGPACK_H

#include <stddef.h>

/* The caller's bytes have room for all that is written. */
struct msgpack {
    char *bytes;
    size_t len;
};

/* Up to 15 members or pairs, which follow. */
void msgpack_array(struct msgpack *out, size_t count);
void msgpack_map(struct msgpack *out, size_t count);
/* Up to 255 bytes. */
void msgpack_text(struct msgpack *out, const char *text);
/* 0 to 127. */
void msgpack_number(struct msgpack *out, unsigned number);

#endif

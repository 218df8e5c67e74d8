/*
 * Heads of HTTP/1.1 messages, as much of them as a proxy needs: where they end, how long the body
 * behind them is, and what the connection is to become.
 */
#ifndef FLEET_MESSAGE_H
#define FLEET_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>

enum { MESSAGE_HEAD_MAX = 65536 };

enum message_result {
    MESSAGE_WHOLE, /* of the head */
    MESSAGE_MORE,  /* it goes on */
    MESSAGE_BAD,   /* none of HTTP/1.1, too long, or of unknown length */
};

struct message {
    size_t head; /* bytes, with the empty line */
    uint64_t body;
    bool has_length;
    bool chunked;
    bool close;      /* its sender closes the connection behind it */
    bool upgrade;    /* a request for a WebSocket */
    bool safe;       /* GET or HEAD: may be repeated where it is not known what became of it */
    bool head_only;  /* the answer to it has no body */
    unsigned status; /* of an answer, else 0 */
};

/* Looks at the beginning of `from`, and takes nothing from it. */
enum message_result message_read(struct evbuffer *from, struct message *message);

/*
 * Moves the head to `to`. Connection is a matter between two neighbours: the header is left out,
 * and written anew where the receiver shall close. A request for a WebSocket, and the answer 101,
 * must go through as they are: keep_connection.
 */
void message_move_head(struct evbuffer *from, struct evbuffer *to, const struct message *message,
                       bool keep_connection, bool close);

#endif

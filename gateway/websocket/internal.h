/* Between the two halves of a stream: reader.c takes frames apart, stream.c reacts. */
#ifndef WEBSOCKET_INTERNAL_H
#define WEBSOCKET_INTERNAL_H

#include <stddef.h>

#include "websocket/stream.h"

/* reader.c */

/* Bytes that have arrived; unmasked in place. Any of the reactions below may end the stream. */
void ws_reader_feed(struct ws_stream *stream, char *bytes, size_t len);
/* Drops what is incomplete. */
void ws_reader_free(struct ws_stream *stream);

/* stream.c */

/* A whole message, text already valid UTF-8. */
void ws_stream_on_message(struct ws_stream *stream, enum ws_opcode opcode, struct str payload);
/* A whole control frame. */
void ws_stream_on_control(struct ws_stream *stream, enum ws_opcode opcode, struct str payload);
/* The peer broke the protocol, or memory is short: ends the stream with this close code. */
void ws_stream_fault(struct ws_stream *stream, unsigned code);

#endif

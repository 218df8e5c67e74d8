/*
 * A client's address as its session keeps it for log lines: in 7 bytes (IPv4) or 19 (IPv6), where
 * the text has up to 22 or 48.
 */
#ifndef ENGINEIO_PEER_H
#define ENGINEIO_PEER_H

#include <stddef.h>

#include "net/conn.h"

enum { EIO_PEER_MAX = 19 };

/* From the text that net_conn_peer makes; what is no address is "unknown". Returns its bytes. */
size_t eio_peer_pack(const char *text, unsigned char out[EIO_PEER_MAX]);
/* The text again. */
void eio_peer_print(const unsigned char *packed, char out[NET_PEER_MAX]);

#endif

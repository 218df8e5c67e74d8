/*
 * A peer's address as it is kept for log lines: in 7 bytes (IPv4) or 19 (IPv6), where the text has
 * up to 22 or 48.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stddef.h>

struct sockaddr_storage;

enum { NET_ADDRESS_MAX = 19, NET_ADDRESS_TEXT_MAX = 64 };

/* From what the system says; what is neither IPv4 nor IPv6 is "unknown". Returns its bytes. */
size_t net_address_pack(const struct sockaddr_storage *name, unsigned char out[NET_ADDRESS_MAX]);
/* "203.0.113.7:52100", "[2001:db8::1]:52100" or "unknown". */
void net_address_print(const unsigned char *packed, char out[NET_ADDRESS_TEXT_MAX]);

#endif

#include "engineio/peer.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/str.h"

/* One byte for the kind, then address and port in network order. */
enum { UNKNOWN, IPV4, IPV6 };

static size_t address_size(unsigned char kind)
{
    return kind == IPV6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

static bool split(const char *text, char host[INET6_ADDRSTRLEN], uint64_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || str_to_u64(str_from(colon + 1), ret_port) || *ret_port > UINT16_MAX) {
        return false;
    }
    struct str name = str_range(text, (size_t)(colon - text));
    if (name.len >= 2 && name.ptr[0] == '[') {
        name = str_range(name.ptr + 1, name.len - 2);
    }
    if (name.len >= INET6_ADDRSTRLEN) {
        return false;
    }
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    return true;
}

size_t eio_peer_pack(const char *text, unsigned char out[EIO_PEER_MAX])
{
    char host[INET6_ADDRSTRLEN];
    uint64_t port;
    out[0] = text[0] == '[' ? IPV6 : IPV4;
    if (!split(text, host, &port) ||
        inet_pton(out[0] == IPV6 ? AF_INET6 : AF_INET, host, out + 1) != 1) {
        out[0] = UNKNOWN;
        return 1;
    }
    size_t size = 1 + address_size(out[0]);
    out[size] = (unsigned char)(port >> 8);
    out[size + 1] = (unsigned char)port;
    return size + 2;
}

void eio_peer_print(const unsigned char *packed, char out[NET_PEER_MAX])
{
    char host[INET6_ADDRSTRLEN];
    const unsigned char *port = packed + 1 + address_size(packed[0]);
    if (packed[0] == UNKNOWN ||
        !inet_ntop(packed[0] == IPV6 ? AF_INET6 : AF_INET, packed + 1, host, sizeof host)) {
        snprintf(out, NET_PEER_MAX, "unknown");
        return;
    }
    snprintf(out, NET_PEER_MAX, packed[0] == IPV6 ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port[0] << 8 | port[1]);
}

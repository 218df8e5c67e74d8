#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* One byte for the kind, then address and port in network order. */
enum { UNKNOWN, IPV4, IPV6 };

static size_t address_size(unsigned char kind)
{
    return kind == IPV6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

static size_t pack(unsigned char kind, const void *address, in_port_t port, unsigned char *out)
{
    size_t size = address_size(kind);
    out[0] = kind;
    memcpy(out + 1, address, size);
    memcpy(out + 1 + size, &port, sizeof port);
    return 1 + size + sizeof port;
}

size_t net_address_pack(const struct sockaddr_storage *name, unsigned char out[NET_ADDRESS_MAX])
{
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
        return pack(IPV4, &v4->sin_addr, v4->sin_port, out);
    }
    if (name->ss_family != AF_INET6) {
        out[0] = UNKNOWN;
        return 1;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) { /* of a socket that listens for both */
        return pack(IPV4, &v6->sin6_addr.s6_addr[12], v6->sin6_port, out);
    }
    return pack(IPV6, &v6->sin6_addr, v6->sin6_port, out);
}

void net_address_print(const unsigned char *packed, char out[NET_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    const unsigned char *port = packed + 1 + address_size(packed[0]);
    if (packed[0] == UNKNOWN ||
        !inet_ntop(packed[0] == IPV6 ? AF_INET6 : AF_INET, packed + 1, host, sizeof host)) {
        snprintf(out, NET_ADDRESS_TEXT_MAX, "unknown");
        return;
    }
    snprintf(out, NET_ADDRESS_TEXT_MAX, packed[0] == IPV6 ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port[0] << 8 | port[1]);
}

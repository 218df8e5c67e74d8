/* HOST:PORT as people write it, for programs of the tests. */
#ifndef SUPPORT_ADDRESS_H
#define SUPPORT_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <arpa/inet.h>
#include <netinet/in.h>

/* An IPv4 address and a port from 1 on, like 127.0.0.1:3000; false for anything else. */
static inline bool address_parse(const char *text, struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    unsigned port;
    int used = 0;
    if (sscanf(text, "%15[0-9.]:%u%n", host, &port, &used) != 2 || text[used] != '\0' || port < 1 ||
        port > UINT16_MAX || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        return false;
    }
    address.sin_port = htons((uint16_t)port);
    *ret_address = address;
    return true;
}

#endif

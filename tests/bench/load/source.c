#include "source.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOURCES = 200, FIRST_SOURCE = 0x7f010001 /* 127.1.0.1 */ };

int source_socket(unsigned index)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(FIRST_SOURCE + index % SOURCES),
    };
    int on = 1;
    /* The port is chosen at connect, where the same one can serve several destinations. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory of its size, so that a byte too many is noticed. */
static void packs_into(const struct sockaddr_storage *name, size_t size, const char *expected)
{
    unsigned char packed[NET_ADDRESS_MAX];
    char out[NET_ADDRESS_TEXT_MAX];
    assert_int_equal(net_address_pack(name, packed), size);
    unsigned char *kept = malloc(size);
    assert_non_null(kept);
    memcpy(kept, packed, size);
    net_address_print(kept, out);
    free(kept);
    assert_string_equal(out, expected);
}

static void v4(const char *host, uint16_t port, const char *expected)
{
    struct sockaddr_storage name = {0};
    struct sockaddr_in *address = (struct sockaddr_in *)&name;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, host, &address->sin_addr), 1);
    packs_into(&name, 7, expected);
}

static void v6(const char *host, uint16_t port, size_t size, const char *expected)
{
    struct sockaddr_storage name = {0};
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)&name;
    *address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET6, host, &address->sin6_addr), 1);
    packs_into(&name, size, expected);
}

static void addresses_come_back_as_they_were(void **state)
{
    (void)state;
    v4("203.0.113.7", 52100, "203.0.113.7:52100");
    v4("255.255.255.255", 65535, "255.255.255.255:65535");
    v4("0.0.0.0", 0, "0.0.0.0:0");
    v6("2001:db8::1", 52100, 19, "[2001:db8::1]:52100");
    v6("::1", 1, 19, "[::1]:1");
    v6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535, 19,
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535");
}

static void an_ipv4_peer_of_an_ipv6_socket_is_one_of_ipv4(void **state)
{
    (void)state;
    v6("::ffff:203.0.113.7", 52100, 7, "203.0.113.7:52100");
}

static void what_is_no_address_is_unknown(void **state)
{
    (void)state;
    packs_into(&(struct sockaddr_storage){.ss_family = AF_UNIX}, 1, "unknown");
    packs_into(&(struct sockaddr_storage){0}, 1, "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_back_as_they_were),
        cmocka_unit_test(an_ipv4_peer_of_an_ipv6_socket_is_one_of_ipv4),
        cmocka_unit_test(what_is_no_address_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
